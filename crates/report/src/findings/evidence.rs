//! What the findings are made of, and which heap snapshot speaks for the peak.

use deadweight_analysis::LedgerSample;
use deadweight_heap::{ProcessId, SnapshotAnswer};

use crate::attribution::rows::Rows;
use crate::findings::thresholds as limit;

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

/// Of heap snapshots of one process, in the order of time, the one that stands for the peak: its number in the list.
///
/// That is the last one before the peak, or else the first one. But if the first one after it came much sooner, and the
/// heap was no smaller by then, that one: a snapshot is begun when memory has grown, which is often in the moment after the
/// highest point. `nanos` says when each was taken, `bytes` how much one holds; of one that was not written to its end that
/// is `None`, and it stands for nothing. `bytes` is asked of as few as possible.
pub fn snapshot_of_peak(nanos: &[u64], peak_nanos: u64, bytes: impl FnMut(usize) -> Option<u64>) -> Option<usize> {
    let mut bytes = bytes;
    let mut whole = |at: usize| Some((at, bytes(at)?));
    let next = nanos.partition_point(|nanos| *nanos <= peak_nanos);
    let Some((before, least)) = (0..next).rev().find_map(&mut whole) else {
        return (next..nanos.len()).find_map(whole).map(|(at, _)| at);
    };
    let most = (peak_nanos - nanos[before]) / limit::SNAPSHOT_AFTER_PEAK_TIMES_NEARER;
    let near = (next..nanos.len()).take_while(|at| nanos[*at] - peak_nanos <= most);
    let after = near.into_iter().find_map(whole).filter(|(_, bytes)| *bytes >= least);
    Some(after.map_or(before, |(at, _)| at))
}

/// The one of a process's snapshots, in the order of time, that stands for the peak.
pub(crate) fn of_peak<'a>(snapshots: &[&'a SnapshotAnswer], peak_nanos: u64) -> Option<&'a SnapshotAnswer> {
    let nanos: Vec<u64> = snapshots.iter().map(|snapshot| snapshot.nanos).collect();
    let bytes = |at: usize| snapshots[at].complete.then(|| snapshots[at].all.bytes());
    snapshot_of_peak(&nanos, peak_nanos, bytes).map(|at| snapshots[at])
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
