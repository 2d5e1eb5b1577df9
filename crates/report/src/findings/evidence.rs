//! What the findings are made of, and which heap snapshot speaks for the peak.

use deadweight_analysis::LedgerSample;
use deadweight_heap::{ProcessId, SnapshotAnswer};

use crate::attribution::rows::Rows;

/// What the findings are made of.
pub(crate) struct Evidence<'a> {
    pub(crate) snapshots: &'a [SnapshotAnswer],
    pub(crate) rows: &'a Rows<'a>,
    /// When the heap was at its highest, nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) peak_nanos: u64,
    /// What the resident memory consisted of, in the order of time.
    pub(crate) moments: &'a [LedgerSample],
    /// Start of the run and its last event, nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) span_nanos: (u64, u64),
}

/// A snapshot after the peak must be so many times nearer to it than the one before it.
const MUCH_NEARER: u64 = 8;

/// Of complete snapshots of one process, in the order of time, the one that tells most about the peak: the last one before it,
/// or else the first one. But if the first one after it came much sooner, and the heap was no smaller by then, that one: a
/// snapshot is begun when memory has grown, which is often in the moment after the highest point.
pub(crate) fn of_peak<'a>(snapshots: &[&'a SnapshotAnswer], peak_nanos: u64) -> Option<&'a SnapshotAnswer> {
    let next = snapshots.partition_point(|snapshot| snapshot.nanos <= peak_nanos);
    let after = snapshots.get(next).copied();
    let Some(before) = next.checked_sub(1).and_then(|last| snapshots.get(last).copied()) else {
        return after;
    };
    let is_better = |after: &&SnapshotAnswer| {
        let distance = (after.nanos - peak_nanos).saturating_mul(MUCH_NEARER);
        distance <= peak_nanos - before.nanos && after.all.bytes() >= before.all.bytes()
    };
    Some(after.filter(is_better).unwrap_or(before))
}

/// The snapshots of each process that were written to their end, in the order of time.
pub(super) fn by_process<'a>(snapshots: &'a [SnapshotAnswer]) -> Vec<(ProcessId, Vec<&'a SnapshotAnswer>)> {
    let mut lists: std::collections::BTreeMap<ProcessId, Vec<&'a SnapshotAnswer>> = Default::default();
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.complete) {
        lists.entry(snapshot.process).or_default().push(snapshot);
    }
    lists
        .values_mut()
        .for_each(|list| list.sort_by_key(|snapshot| snapshot.number));
    lists.into_iter().collect()
}
