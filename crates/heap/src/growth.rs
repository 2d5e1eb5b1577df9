//! What grows from snapshot to snapshot of one process.
//!
//! Objects have no identity over time, because CPython uses addresses again. A holder is the same if the path to it
//! is: root, names and types.

use std::collections::BTreeMap;
use std::ops::Range;

use deadweight_capture::read::ProcessId;

use crate::answer::{Holder, SnapshotAnswer};

/// One holder in the snapshots of its process.
#[derive(Clone, Debug)]
pub struct HolderSeries<'a> {
    /// Whose it is.
    pub process: ProcessId,
    /// The snapshots in which it is listed and the holder there, in the order of time.
    pub points: Vec<(&'a SnapshotAnswer, &'a Holder)>,
    /// The points in which it grew without a break, to its largest size; at least one.
    pub rise: Range<usize>,
}

/// All holders of all snapshots, the ones with the largest end of a rise first.
pub fn holders_over_time(snapshots: &[SnapshotAnswer]) -> Vec<HolderSeries<'_>> {
    let mut order: Vec<&SnapshotAnswer> = snapshots.iter().collect();
    order.sort_by_key(|snapshot| (snapshot.process, snapshot.number));
    let mut series: BTreeMap<(ProcessId, &str), Vec<(&SnapshotAnswer, &Holder)>> = BTreeMap::new();
    for snapshot in order {
        for holder in &snapshot.holders {
            let points = series.entry((snapshot.process, &holder.key)).or_default();
            // Of several holders with one path in a snapshot, the first is the largest.
            if points.last().is_none_or(|(last, _)| last.number != snapshot.number) {
                points.push((snapshot, holder));
            }
        }
    }
    let mut all: Vec<HolderSeries<'_>> = series
        .into_iter()
        .map(|((process, _), points)| {
            let sizes: Vec<u64> = points.iter().map(|(_, holder)| holder.amount.bytes()).collect();
            HolderSeries {
                process,
                rise: rise(&sizes),
                points,
            }
        })
        .collect();
    all.sort_by_key(|series| std::cmp::Reverse(series.top().1.amount.bytes()));
    all
}

impl<'a> HolderSeries<'a> {
    /// The end of the rise: the holder at its largest. Every series has at least one point.
    pub fn top(&self) -> (&'a SnapshotAnswer, &'a Holder) {
        self.points[self.rise.end - 1]
    }
}

/// The longest run of values that ends with the largest one, in which each is larger than the one before it. Empty
/// only for no values.
pub fn rise(values: &[u64]) -> Range<usize> {
    let most = values.iter().max();
    // Of several largest ones the first: what comes after it is no longer growth.
    let Some(top) = values.iter().position(|value| Some(value) == most) else {
        return 0..0;
    };
    let falls = values[..=top].windows(2).rposition(|pair| pair[1] <= pair[0]);
    falls.map_or(0, |at| at + 1)..top + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_ends_at_the_largest_value_and_begins_after_the_last_fall() {
        assert_eq!(rise(&[]), 0..0);
        assert_eq!(rise(&[5]), 0..1);
        assert_eq!(rise(&[1, 2, 3]), 0..3);
        assert_eq!(rise(&[9, 1, 2, 10, 3]), 1..4);
        assert_eq!(rise(&[3, 3]), 0..1);
        assert_eq!(rise(&[3, 2, 1]), 0..1);
    }
}
