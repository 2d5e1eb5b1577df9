//! Findings out of heap snapshots: what keeps memory alive.
//!
//! How grave one is follows from its share of the highest resident memory alone: high from a quarter and
//! [`HIGH_LEAST`], medium from a tenth and [`MEDIUM_LEAST`], low below; nothing is said below a hundredth.

pub(crate) mod advice;
mod course;
mod garbage;
mod holders;
mod leaks;
mod pinned;

use std::collections::HashMap;

use deadweight_analysis::{Amount, LedgerSample};
use deadweight_heap::{ProcessId, SnapshotAnswer, StackBytes, Step, short_type};

pub(crate) use holders::expression;

use super::finding;
use crate::model::{Finding, FindingKind, Link, Report, Severity};
use crate::sites::{By, Row, Rows};

const HIGH_LEAST: u64 = 64 << 20;
const MEDIUM_LEAST: u64 = 32 << 20;
/// Sites named by a finding.
const SITES: usize = 5;
/// Findings of each kind.
const MOST: usize = 5;

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

/// All findings of these kinds.
pub(crate) fn find(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut found = garbage::collectable(evidence, report);
    found.extend(garbage::uncollectable(evidence, report));
    found.extend(leaks::lost_references(evidence, report));
    found.extend(holders::growing(evidence, report));
    found.extend(leaks::native(evidence, report));
    found.extend(pinned::find(evidence, report));
    found
}

/// How grave an amount is; `None` if it is not worth a word.
pub(super) fn severity(bytes: u64, report: &Report) -> Option<Severity> {
    let whole = report
        .peak
        .rss_bytes
        .or(report.peak.heap_bytes)
        .filter(|whole| *whole > 0)?;
    let parts = |part: u64| bytes >= whole.div_ceil(part);
    match () {
        () if parts(4) && bytes >= HIGH_LEAST => Some(Severity::High),
        () if parts(10) && bytes >= MEDIUM_LEAST => Some(Severity::Medium),
        () if parts(100) => Some(Severity::Low),
        () => None,
    }
}

/// Whether it is growth and not wavering: by a third. The next snapshot is taken when the heap has grown by a quarter,
/// and only the last few are kept.
fn has_grown(first: u64, top: u64) -> bool {
    first <= top / 4 * 3
}

/// A finding of this process with its sites.
fn found(
    (kind, severity, title, bytes): (FindingKind, Severity, String, u64),
    process: ProcessId,
    stacks: &[StackBytes],
    (evidence, report): (&Evidence<'_>, &Report),
) -> Finding {
    let mut found = finding(kind, severity, title, Some(bytes), report);
    found.pid = Some(process.pid);
    let index = evidence.rows.index_of(process);
    let mut by_stack: HashMap<usize, u64> = HashMap::new();
    for part in stacks {
        let sum = by_stack.entry(part.stack.0 as usize).or_default();
        *sum = sum.saturating_add(part.bytes);
    }
    let amount = |row: &Row<'_>| match Some(row.process) == index {
        true => Amount {
            bytes: by_stack.get(&row.stack).copied().unwrap_or(0),
            ..Amount::default()
        },
        false => Amount::default(),
    };
    found.sites = evidence.rows.sites(By::Inner, SITES, amount);
    found.user_sites = evidence.rows.sites(By::User, SITES, amount);
    found
}

/// The model's chain: types without their modules. The first step of a held object may be a root, whose name stays.
fn chain(steps: &[Step], rooted: bool) -> Vec<Link> {
    let link = |(at, step): (usize, &Step)| Link {
        type_name: match rooted && at == 0 {
            true => step.type_name.clone(),
            false => short_type(&step.type_name).to_owned(),
        },
        edge: step.edge.clone(),
    };
    steps.iter().enumerate().map(link).collect()
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
fn by_process<'a>(snapshots: &'a [SnapshotAnswer]) -> Vec<(ProcessId, Vec<&'a SnapshotAnswer>)> {
    let mut lists: std::collections::BTreeMap<ProcessId, Vec<&'a SnapshotAnswer>> = Default::default();
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.complete) {
        lists.entry(snapshot.process).or_default().push(snapshot);
    }
    lists
        .values_mut()
        .for_each(|list| list.sort_by_key(|snapshot| snapshot.number));
    lists.into_iter().collect()
}
