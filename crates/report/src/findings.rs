//! What is wrong or worth knowing. Here is what the recorded amounts alone can tell.
//!
//! A healthy run has no finding above [`Severity::Low`], so each kind is held to what it can prove:
//!
//! - `out_of_memory`, high: the supervisor saw the kernel kill a process because memory ran out.
//! - `child_process`, low: more than half of the tree's heap at its peak, and at least [`CHILDREN_LEAST`], was in
//!   other processes than the started one. A healthy worker pool looks like that too; so it is medium only from
//!   [`CHILDREN_LARGE`] on and if a process of the run was killed because memory ran out.
//! - `peak_spike`, low: lines whose memory at the peak was mostly freed by the end and was at least
//!   [`SPIKE_PERCENT`] of the peak. When it was freed cannot be told here, so nothing is said about it.
//!
//! What heap snapshots tell is in [`heap`].

pub(crate) mod heap;

use deadweight_analysis::Amount;
use deadweight_analysis::manifest::{Exit, ExitKind};

use crate::model::{Finding, FindingKind, Process, Report, Severity, Site};
use crate::sites::{By, Row, Rows};
use crate::{names, units};

/// Children with less heap than this are no finding.
const CHILDREN_LEAST: u64 = 64 << 20;
/// Children with less heap than this are never more than good to know.
const CHILDREN_LARGE: u64 = 256 << 20;
/// A line's memory below this share of the peak is no spike.
const SPIKE_PERCENT: u64 = 30;
/// Nor is it below this.
const SPIKE_LEAST: u64 = 64 << 20;
/// Sites named by a finding.
const SITES: usize = 5;

fn share(bytes: u64, report: &Report) -> Option<f64> {
    let whole = report.peak.rss_bytes.filter(|bytes| *bytes > 0)?;
    Some((bytes as f64 / whole as f64).min(1.0))
}

fn finding(kind: FindingKind, severity: Severity, title: String, bytes: Option<u64>, report: &Report) -> Finding {
    Finding {
        kind,
        severity,
        title,
        bytes,
        share_of_peak: bytes.and_then(|bytes| share(bytes, report)),
        count: None,
        type_name: None,
        pid: None,
        sites: Vec::new(),
        user_sites: Vec::new(),
        chain: Vec::new(),
        cycle: None,
        freeable_by_gc: None,
        lingered_seconds: None,
        suggestion: None,
    }
}

/// The limit that was hit, in words: `the cgroup's limit of 512 MiB`.
pub(crate) fn limit(exit: &Exit) -> Option<String> {
    let whose = match exit.limit_kind.as_deref()? {
        "cgroup" => "the cgroup's limit",
        "rlimit" => "the process's limit (ulimit)",
        "machine" => "the machine's memory",
        _ => "the limit",
    };
    Some(match exit.limit_bytes {
        Some(bytes) => format!("{whose} of {}", units::size(bytes)),
        None => whose.to_owned(),
    })
}

fn out_of_memory(report: &Report) -> Vec<Finding> {
    let started = report.run.exit.kind == ExitKind::OomKilled;
    let killed: Vec<&Process> = report
        .processes
        .iter()
        .filter(|process| process.exit.kind == ExitKind::OomKilled)
        .collect();
    let (exit, pid) = match killed.first() {
        _ if started => (&report.run.exit, report.processes.first().map(|process| process.pid)),
        Some(process) => (&process.exit, Some(process.pid)),
        None => return Vec::new(),
    };
    let who = match killed.first() {
        Some(process) if !started => names::process(process.pid, &process.argv),
        _ => names::program(&report.run.argv),
    };
    let reached = limit(exit).map_or_else(String::new, |limit| format!(": it reached {limit}"));
    let title = format!("{who} was killed because memory ran out{reached}.");
    let bytes = report.peak.rss_bytes.or(report.peak.heap_bytes);
    let mut found = finding(FindingKind::OutOfMemory, Severity::High, title, bytes, report);
    found.pid = pid;
    found.count = Some(killed.len().max(1) as u64);
    found.sites = report.peak.sites.iter().take(SITES).cloned().collect();
    found.user_sites = report.peak.user_sites.iter().take(SITES).cloned().collect();
    found.suggestion = Some("Look at the lines that made the peak: they had the memory when it ran out.".to_owned());
    vec![found]
}

fn child_process(rows: &Rows<'_>, started: Option<u32>, report: &Report) -> Option<Finding> {
    let started = started?;
    let children: Vec<&Process> = report
        .processes
        .iter()
        .filter(|process| process.pid != started && process.heap_at_peak_bytes > Some(0))
        .collect();
    let bytes = children
        .iter()
        .filter_map(|process| process.heap_at_peak_bytes)
        .fold(0, u64::saturating_add);
    let whole = report.peak.heap_bytes?;
    if bytes < CHILDREN_LEAST || bytes <= whole / 2 {
        return None;
    }
    let ran_out = report
        .findings
        .iter()
        .any(|found| found.kind == FindingKind::OutOfMemory);
    let severity = if ran_out && bytes >= CHILDREN_LARGE {
        Severity::Medium
    } else {
        Severity::Low
    };
    let title = format!(
        "{} of the heap at the peak ({}) was in {}, not in the process that was started.",
        units::percent(bytes, whole),
        units::size(bytes),
        units::count(children.len() as u64, "child process", "child processes"),
    );
    let of_children = |row: &Row<'_>| match rows.pid(row) {
        pid if pid != started => row.amounts.peak,
        _ => Amount::default(),
    };
    let mut found = finding(FindingKind::ChildProcess, severity, title, Some(bytes), report);
    found.pid = rows.heaviest_pid(of_children);
    found.count = Some(children.len() as u64);
    found.sites = rows.sites(By::Inner, SITES, of_children);
    found.user_sites = rows.sites(By::User, SITES, of_children);
    found.suggestion =
        Some("Look at the lines that run in the child processes, and at how many of them run at once.".to_owned());
    Some(found)
}

fn peak_spikes(rows: &Rows<'_>, report: &Report) -> Vec<Finding> {
    let Some(whole) = report.peak.rss_bytes.or(report.peak.heap_bytes) else {
        return Vec::new();
    };
    let least = (whole / 100).saturating_mul(SPIKE_PERCENT).max(SPIKE_LEAST);
    let freed = |site: &Site| {
        let end = rows.at_user_line(&site.at, |row| row.amounts.end);
        site.bytes.saturating_sub(end.bytes)
    };
    let spike = |site: &Site| {
        let bytes = freed(site);
        if bytes < least {
            return None;
        }
        let title = format!(
            "{} that came from {} was live at the peak and freed before the end.",
            units::size(bytes),
            names::location(&site.at, report.run.cwd.as_deref()),
        );
        let mut found = finding(FindingKind::PeakSpike, Severity::Low, title, Some(bytes), report);
        found.count = Some(site.blocks);
        let at_site = |row: &Row<'_>| match rows.is_at_user_line(row, &site.at) {
            true => row.amounts.peak,
            false => Amount::default(),
        };
        found.pid = rows.heaviest_pid(at_site);
        found.sites = rows.sites(By::Inner, SITES, at_site);
        found.user_sites = vec![site.clone()];
        found.suggestion = Some(
            "If not all of it is needed at once, work in smaller pieces, or drop what is done with earlier.".to_owned(),
        );
        Some(found)
    };
    // The sites are in the order of their bytes.
    let large = report.peak.user_sites.iter().take_while(|site| site.bytes >= least);
    large.filter_map(spike).collect()
}

/// All findings of a report that has everything else, the gravest first, then by bytes.
pub(crate) fn find(evidence: &heap::Evidence<'_>, started: Option<u32>, report: &mut Report) {
    let rows = evidence.rows;
    report.findings = out_of_memory(report);
    let more: Vec<Finding> = child_process(rows, started, report)
        .into_iter()
        .chain(heap::find(evidence, report))
        .chain(peak_spikes(rows, report))
        .collect();
    report.findings.extend(more);
    report
        .findings
        .sort_by_key(|found| (found.severity, std::cmp::Reverse(found.bytes)));
}
