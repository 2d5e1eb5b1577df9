//! Lines of the same function in two versions of its file.
//!
//! An edit above a function moves all its lines by the same distance, an edit inside moves some. So the distance at which
//! most memory falls on itself is taken first; the stretches that are left are paired in the same way.

use std::collections::BTreeMap;

/// A line with the memory that came from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbered {
    /// The line; 0 where there is none.
    pub line: u32,
    /// How much, in bytes: what decides between several ways to pair.
    pub bytes: u64,
}

/// Pairs the lines of one function: indices into `before` and `after`. A line is in at most one pair, and pairs never
/// cross. Lines with the same number must have been summed up.
pub fn pair(before: &[Numbered], after: &[Numbered]) -> Vec<(usize, usize)> {
    let in_order = |lines: &[Numbered]| {
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|at| lines[*at].line);
        order
    };
    let (old, new) = (in_order(before), in_order(after));
    let (mut pairs, mut stretches) = (Vec::new(), vec![(old.as_slice(), new.as_slice())]);
    while let Some((old, new)) = stretches.pop() {
        let distance = distance(before, after, (old, new));
        let (mut from_old, mut from_new, mut found) = (0, 0, Vec::new());
        for (at_old, index) in old.iter().enumerate() {
            let moved = i64::from(before[*index].line) + distance;
            let Ok(at_new) = new.binary_search_by_key(&moved, |index| i64::from(after[*index].line)) else {
                continue;
            };
            found.push((*index, new[at_new]));
            stretches.push((&old[from_old..at_old], &new[from_new..at_new]));
            (from_old, from_new) = (at_old + 1, at_new + 1);
        }
        // What no distance brings together has been changed too much.
        if !found.is_empty() {
            stretches.push((&old[from_old..], &new[from_new..]));
        }
        pairs.extend(found);
    }
    pairs.sort_unstable();
    pairs
}

/// Stretches with more lines than this are taken as unmoved: every line would be compared with every other.
const MOST: usize = 200;

/// By how many lines a stretch moved: the distance that lets most memory fall on lines of the other version, the
/// smallest one of several.
fn distance(before: &[Numbered], after: &[Numbered], (old, new): (&[usize], &[usize])) -> i64 {
    if old.len() > MOST || new.len() > MOST {
        return 0;
    }
    let mut weights: BTreeMap<i64, u64> = BTreeMap::new();
    for (old, new) in old.iter().flat_map(|old| new.iter().map(move |new| (*old, *new))) {
        let (old, new) = (before[old], after[new]);
        let weight = weights.entry(i64::from(new.line) - i64::from(old.line)).or_default();
        // At least 1, so that lines without memory count too.
        *weight = weight.saturating_add(old.bytes.min(new.bytes).max(1));
    }
    let best = weights
        .into_iter()
        .max_by_key(|(distance, weight)| (*weight, std::cmp::Reverse(distance.abs()), *distance));
    best.map_or(0, |(distance, _)| distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(before: &[(u32, u64)], after: &[(u32, u64)]) -> Vec<(u32, u32)> {
        let lines = |lines: &[(u32, u64)]| -> Vec<Numbered> {
            lines.iter().map(|&(line, bytes)| Numbered { line, bytes }).collect()
        };
        let (before, after) = (lines(before), lines(after));
        let mut pairs: Vec<(u32, u32)> = pair(&before, &after)
            .into_iter()
            .map(|(a, b)| (before[a].line, after[b].line))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn a_function_that_moved_keeps_its_lines() {
        let before = [(10, 100), (12, 5), (14, 50)];
        assert_eq!(
            paired(&before, &[(50, 100), (52, 5), (54, 50)]),
            [(10, 50), (12, 52), (14, 54)]
        );
        assert_eq!(paired(&[(10, 5)], &[(50, 9)]), [(10, 50)], "by 40 lines");
    }

    #[test]
    fn a_new_line_is_nobodys() {
        let after = [(50, 100), (52, 5), (55, 900)];
        assert_eq!(paired(&[(10, 100), (12, 5)], &after), [(10, 50), (12, 52)]);
        assert_eq!(paired(&[(10, 100)], &[(10, 50), (12, 50)]), [(10, 10)]);
    }

    #[test]
    fn an_edit_inside_moves_only_what_is_below_it() {
        assert_eq!(
            paired(&[(10, 90), (20, 70)], &[(10, 90), (23, 70)]),
            [(10, 10), (20, 23)]
        );
        let before = [(10, 90), (20, 70), (21, 1)];
        assert_eq!(
            paired(&before, &[(10, 90), (23, 70), (24, 1)]),
            [(10, 10), (20, 23), (21, 24)]
        );
    }

    #[test]
    fn pairs_never_cross_and_are_one_to_one() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..500 {
            let mut lines = || {
                let mut all: Vec<(u32, u64)> = (0..random(8)).map(|_| (random(40) as u32, random(99))).collect();
                all.sort_unstable();
                all.dedup_by_key(|(line, _)| *line);
                all
            };
            let (before, after) = (lines(), lines());
            let pairs = paired(&before, &after);
            assert!(
                pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1),
                "{before:?} {after:?} {pairs:?}"
            );
            assert!(before.is_empty() || after.is_empty() || !pairs.is_empty());
        }
    }
}
