//! What grows from snapshot to snapshot of one process.
//!
//! Objects have no identity over time, because CPython reuses addresses. A holder is taken to be the same if its path is
//! the same: root, names and types. As the shortest path may lead through a variable of a function that happened to be
//! running, it is also the same if, in both snapshots, it is the only holder with this attribute name, owner type, own type
//! and element type.

use std::collections::BTreeMap;
use std::ops::Range;

use deadweight_capture::read::ProcessId;

use crate::answer::{Holder, SnapshotAnswer};

/// One holder in the snapshots of its process.
#[derive(Clone, Debug)]
pub struct HolderSeries<'a> {
    /// Whose it is.
    pub process: ProcessId,
    /// The snapshots that list it, each with the holder as it was then, in the order of time.
    pub points: Vec<(&'a SnapshotAnswer, &'a Holder)>,
    /// The points over which it grew without interruption up to its largest size; at least one.
    pub rise: Range<usize>,
}

/// All holders of all snapshots, the one that grew to the largest size first.
pub fn holders_over_time(snapshots: &[SnapshotAnswer]) -> Vec<HolderSeries<'_>> {
    let mut order: Vec<&SnapshotAnswer> = snapshots.iter().collect();
    order.sort_by_key(|snapshot| (snapshot.process, snapshot.number));
    let mut series: Vec<(ProcessId, Vec<(&SnapshotAnswer, &Holder)>)> = Vec::new();
    let mut by_key: BTreeMap<(ProcessId, &str), usize> = BTreeMap::new();
    let mut by_attribute: BTreeMap<(ProcessId, Attribute<'_>), usize> = BTreeMap::new();
    for snapshot in order {
        let process = snapshot.process;
        let mut named: BTreeMap<Attribute<'_>, u32> = BTreeMap::new();
        for attribute in snapshot.holders.iter().filter_map(attribute) {
            *named.entry(attribute).or_default() += 1;
        }
        for holder in &snapshot.holders {
            let attribute = attribute(holder).filter(|attribute| named.get(attribute) == Some(&1));
            let same = by_key.get(&(process, holder.key.as_str())).copied();
            let same = same.or_else(|| by_attribute.get(&(process, attribute?)).copied());
            let at = same.unwrap_or(series.len());
            if at == series.len() {
                series.push((process, Vec::new()));
            }
            by_key.insert((process, &holder.key), at);
            if let Some(attribute) = attribute {
                by_attribute.insert((process, attribute), at);
            }
            let points = &mut series[at].1;
            // If several holders of a snapshot have the same path, the first one is the largest.
            if points.last().is_none_or(|(last, _)| last.number != snapshot.number) {
                points.push((snapshot, holder));
            }
        }
    }
    let mut all: Vec<HolderSeries<'_>> = series
        .into_iter()
        .map(|(process, points)| {
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

/// Of a holder that is an attribute: its owner's type, its name, its own type and that of its elements.
type Attribute<'a> = (&'a str, &'a str, &'a str, Option<&'a str>);

fn attribute(holder: &Holder) -> Option<Attribute<'_>> {
    let [.., owner, _] = holder.path.as_slice() else {
        return None;
    };
    let elements = holder.elements.as_ref().map(|elements| elements.type_name.as_str());
    // Variables of modules and classes always have the same path.
    let is_attribute = owner.edge.starts_with('.') && !matches!(owner.type_name.as_str(), "module" | "type");
    is_attribute.then_some((&owner.type_name, &owner.edge, &holder.type_name, elements))
}

impl<'a> HolderSeries<'a> {
    /// The end of the rise: the holder at its largest. Every series has at least one point.
    pub fn top(&self) -> (&'a SnapshotAnswer, &'a Holder) {
        self.points[self.rise.end - 1]
    }
}

/// The longest strictly rising run of values that ends with the largest one. Empty only if there are no values.
pub fn rise(values: &[u64]) -> Range<usize> {
    let most = values.iter().max();
    // The first of several equal maxima: what comes after it is not growth.
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
