//! Unreachable objects: what the collector would free, and what it never will.

use deadweight_heap::{CycleGroup, SnapshotAnswer, short_type};

use super::advice;
use super::history::{self, AtPeak};
use crate::findings::evidence::{Evidence, by_process, of_peak};
use crate::findings::finding::{MOST, chain, found, severity};
use crate::model::{Finding, FindingKind, Report};
use crate::words::units;

/// Garbage in the snapshot of each process that tells most about the peak.
pub(super) fn collectable(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut all = Vec::new();
    for (_, snapshots) in by_process(evidence.snapshots) {
        if let Some(snapshot) = of_peak(&snapshots, evidence.peak_nanos) {
            all.extend(snapshot.cycles.iter().map(|group| (snapshot, group)));
        }
    }
    largest(all, |snapshot, group| {
        let history = history::of(evidence, snapshot.process, &group.stacks);
        let in_snapshot = (group.amount.bytes(), group.stacks.as_slice());
        let AtPeak { bytes, because } = history::at_peak(history.as_ref(), in_snapshot, snapshot.nanos, evidence);
        let severity = severity(bytes, report)?;
        let about = if because.is_some() { "About " } else { "" };
        let title = format!(
            "{about}{} of the peak was garbage: {} that only the cycle {} kept alive.",
            units::size(bytes),
            objects(group.instances, &group.type_name),
            advice::drawn_cycle(&group.cycle),
        );
        let what = (FindingKind::CyclicGarbage, severity, title, bytes);
        let mut found = found(what, snapshot.process, &group.stacks, (evidence, report));
        describe(&mut found, group, true);
        found.evidence.extend(because);
        found.suggestion = Some(advice::for_garbage(group));
        Some(found)
    })
}

/// Unreachable objects of the last snapshot of each process that the collector does not see.
pub(super) fn uncollectable(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut all = Vec::new();
    for (_, snapshots) in by_process(evidence.snapshots) {
        if let Some(&snapshot) = snapshots.last() {
            all.extend(snapshot.uncollectable.iter().map(|group| (snapshot, group)));
        }
    }
    largest(all, |snapshot, group| {
        let bytes = group.amount.bytes();
        let severity = severity(bytes, report)?;
        let title = format!(
            "{} can never be freed: {} in the cycle {}, part of which Python's collector cannot see.",
            units::size(bytes),
            objects(group.instances, &group.type_name),
            advice::drawn_cycle(&group.cycle),
        );
        let what = (FindingKind::Uncollectable, severity, title, bytes);
        let mut found = found(what, snapshot.process, &group.stacks, (evidence, report));
        describe(&mut found, group, false);
        found.suggestion = Some(advice::for_uncollectable(group));
        Some(found)
    })
}

type Candidate<'a> = (&'a SnapshotAnswer, &'a CycleGroup);

/// The findings of the largest groups over all processes.
fn largest<'a>(
    mut all: Vec<Candidate<'a>>,
    make: impl Fn(&'a SnapshotAnswer, &'a CycleGroup) -> Option<Finding>,
) -> Vec<Finding> {
    all.sort_by_key(|(snapshot, group)| {
        (
            std::cmp::Reverse(group.amount.bytes()),
            snapshot.process,
            group.fingerprint,
        )
    });
    all.into_iter()
        .take(MOST)
        .filter_map(|(snapshot, group)| make(snapshot, group))
        .collect()
}

fn describe(found: &mut Finding, group: &CycleGroup, freeable: bool) {
    found.count = Some(group.instances);
    found.type_name = Some(group.type_name.clone());
    found.chain = chain(&group.cycle, false);
    found.cycle = Some(true);
    found.freeable_by_gc = Some(freeable);
}

/// `1 DataFrame object`, `10 DataFrame objects`.
pub(super) fn objects(count: u64, type_name: &str) -> String {
    let short = short_type(type_name);
    units::count(count, &format!("{short} object"), &format!("{short} objects"))
}
