//! `child_process`: the peak belongs to other processes than the one started.
//!
//! Found when more than half of the resident memory of the tree at its peak, and at least 64 MiB, is in other
//! processes. Low, because a healthy worker pool looks like that too; medium only from 256 MiB on and if a process of
//! the run was killed because memory ran out. Without looks from outside the heaps are compared instead.

use deadweight_analysis::Amount;

use crate::attribution::rows::{By, Row};
use crate::build::ledger;
use crate::findings::evidence::Evidence;
use crate::findings::finding::finding;
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Process, Report, Severity};
use crate::words::{names, units};

/// Sites named by the finding.
const SITES: usize = 5;

/// Each process's part of the peak, the largest first, and of what.
fn shares(evidence: &Evidence<'_>, report: &Report) -> Option<(Vec<(u32, u64)>, &'static str)> {
    if let Some(moment) = ledger::highest(evidence.moments) {
        let shares = moment.processes.iter().map(|share| (share.pid, share.bytes));
        return Some((shares.collect(), "resident memory"));
    }
    let part = |process: &Process| Some((process.pid, process.heap_at_peak_bytes.filter(|bytes| *bytes > 0)?));
    let mut shares: Vec<(u32, u64)> = report.processes.iter().filter_map(part).collect();
    shares.sort_by_key(|&(pid, bytes)| (std::cmp::Reverse(bytes), pid));
    (!shares.is_empty()).then_some((shares, "heap"))
}

pub(in crate::findings) fn find(evidence: &Evidence<'_>, started: Option<u32>, report: &Report) -> Option<Finding> {
    let started = started?;
    let (shares, what) = shares(evidence, report)?;
    let sum =
        |shares: &mut dyn Iterator<Item = &(u32, u64)>| shares.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
    let whole = sum(&mut shares.iter());
    let children: Vec<(u32, u64)> = shares.iter().copied().filter(|(pid, _)| *pid != started).collect();
    let bytes = sum(&mut children.iter());
    if bytes < limit::CHILDREN_LEAST_BYTES || bytes <= limit::CHILDREN_MORE_THAN_OF_TREE.of(whole) {
        return None;
    }
    let &(largest, most) = children.first()?;
    let ran_out = report
        .findings
        .iter()
        .any(|found| found.kind == FindingKind::OutOfMemory);
    let severity = if ran_out && bytes >= limit::CHILDREN_MEDIUM_BYTES {
        Severity::Medium
    } else {
        Severity::Low
    };
    let argv = report
        .processes
        .iter()
        .find(|process| process.pid == largest)
        .map(|process| process.argv.as_slice());
    // A forked worker has the command line of the process that was started.
    let who = names::process(largest, argv.unwrap_or_default());
    let worth_counting = children.iter().filter(|(_, bytes)| *bytes >= most / 20).count().max(1);
    let title = match worth_counting {
        1 => format!(
            "{} of the {what} at the peak ({}) was in the child process {who}, not in the process that was started.",
            units::percent(bytes, whole),
            units::size(bytes),
        ),
        many => format!(
            "{} of the {what} at the peak ({}) was in {}, not in the process that was started; the largest is {who} \
             with {}.",
            units::percent(bytes, whole),
            units::size(bytes),
            units::count(many as u64, "child process", "child processes"),
            units::size(most),
        ),
    };
    let of_children = |row: &Row<'_>| match evidence.rows.pid(row) {
        pid if pid != started => row.amounts.peak,
        _ => Amount::default(),
    };
    let mut found = finding(FindingKind::ChildProcess, severity, title, Some(bytes), report);
    found.pid = Some(largest);
    found.count = Some(worth_counting as u64);
    found.sites = evidence.rows.sites(By::Inner, SITES, of_children);
    found.user_sites = evidence.rows.sites(By::User, SITES, of_children);
    found.suggestion =
        Some("Look at the lines that run in the child processes, and at how many of them run at once.".to_owned());
    Some(found)
}
