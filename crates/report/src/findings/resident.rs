//! Findings out of what the resident memory consisted of over time.
//!
//! - `allocator_slack`: freed memory that an allocator kept for 10 % of the run and for at least 0.5 s, and that was not
//!   needed again. What is free for a moment, or only when everything ends, is the way of all programs. Low;
//!   medium if it is at least 50 % of the peak and 256 MiB, and was kept for 33 % of the run.
//! - `file_mapping`, low: pages of mapped files or shared memory, programs and libraries apart, are at least
//!   30 % of the peak.
//! - `child_process`: see [`children`].

pub(super) mod children;

use deadweight_analysis::{Amount, FileKind, LedgerSample, Resident};

use crate::attribution::rows::{By, Row};
use crate::build::ledger;
use crate::findings::evidence::Evidence;
use crate::findings::finding::finding;
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Report, Severity};
use crate::words::{names, units};

/// Files that are named.
const NAMED: usize = 3;
/// Sites named by a finding.
const SITES: usize = 5;

/// All findings of these kinds.
pub(super) fn find(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let slack = allocator_slack(evidence, report);
    slack.into_iter().chain(file_mapping(evidence, report)).collect()
}

/// Slack that is there because leaked blocks keep it apart is told with the leak, and only there.
pub(super) fn drop_explained(findings: &mut Vec<Finding>) {
    let leaks = findings.iter().filter(|found| found.kind == FindingKind::NativeLeak);
    let explained = leaks.filter_map(|found| found.bytes).max().unwrap_or(0);
    findings.retain(|found| {
        found.kind != FindingKind::AllocatorSlack
            || found.bytes > Some(explained.saturating_mul(limit::SLACK_TIMES_THE_LEAK))
    });
}

/// Slack of which at least 90 % was there at every moment from `from` to `to`, in nanoseconds of `CLOCK_MONOTONIC`.
struct Kept<'a> {
    resident: &'a Resident,
    from: u64,
    to: u64,
}

/// The most slack that was kept for at least `least_nanos` nanoseconds and not needed again: a program that fills the
/// same memory once more later would need it anyway.
fn most_kept<'a>(moments: &[&'a LedgerSample], least_nanos: u64) -> Option<Kept<'a>> {
    let mut best: Option<(&'a Resident, usize)> = None;
    for (first, begin) in moments.iter().enumerate() {
        let mut least = begin.resident.as_ref()?;
        for (at, moment) in moments.iter().enumerate().skip(first + 1) {
            let resident = moment.resident.as_ref()?;
            if resident.slack() < least.slack() {
                least = resident;
            }
            if best.is_some_and(|(best, _)| best.slack() >= least.slack()) {
                break;
            }
            let live = |moment: &LedgerSample| moment.live.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
            let later = moments.iter().skip(at).map(|moment| live(moment)).max().unwrap_or(0);
            let is_long = moment.nanos.saturating_sub(begin.nanos) >= least_nanos;
            if is_long && later.saturating_sub(live(moment)) <= limit::SLACK_NEEDED_AGAIN.of(least.slack()) {
                best = Some((least, first));
            }
        }
    }
    let (resident, at) = best?;
    // For how long most of it was there.
    let has_it = |moment: &&&LedgerSample| {
        moment
            .resident
            .is_some_and(|now| now.slack() >= limit::SLACK_STILL_KEPT.of(resident.slack()))
    };
    let (before, after) = moments.split_at(at);
    Some(Kept {
        resident,
        from: before.iter().rev().take_while(has_it).last().or(after.first())?.nanos,
        to: after.iter().take_while(has_it).last()?.nanos,
    })
}

fn allocator_slack(evidence: &Evidence<'_>, report: &Report) -> Option<Finding> {
    let moments: Vec<&LedgerSample> = evidence
        .moments
        .iter()
        .filter(|moment| !moment.is_coarse && moment.resident.is_some())
        .collect();
    let (start, end) = evidence.span_nanos;
    let run = end.saturating_sub(start);
    let kept = most_kept(
        &moments,
        limit::SLACK_LEAST_OF_RUN.of(run).max(limit::SLACK_LEAST_NANOS),
    )?;
    let whole = report.peak.rss_bytes?;
    let certain = kept
        .resident
        .slack()
        .saturating_sub(limit::SLACK_ERRORS * kept.resident.error);
    if certain < limit::SLACK_LEAST_BYTES.max(limit::SLACK_LEAST_OF_PEAK.of(whole)) {
        return None;
    }
    let bytes = kept.resident.slack();
    let is_large = bytes >= limit::SLACK_MEDIUM_BYTES.max(limit::SLACK_MEDIUM_OF_PEAK.of(whole));
    let is_long = kept.to.saturating_sub(kept.from) >= limit::SLACK_MEDIUM_OF_RUN.of(run);
    let severity = if is_large && is_long {
        Severity::Medium
    } else {
        Severity::Low
    };
    let seconds = kept.to.saturating_sub(kept.from) as f64 / 1e9;
    let (whose, advice) = keeper(kept.resident);
    let title = format!(
        "{} that the program had freed stayed resident for {}: {whose} kept it.",
        units::size(bytes),
        units::duration(seconds),
    );
    let mut found = finding(FindingKind::AllocatorSlack, severity, title, Some(bytes), report);
    let freed = |row: &Row<'_>| {
        let (peak, end) = (row.amounts.peak, row.amounts.end);
        Amount {
            bytes: peak.bytes.saturating_sub(end.bytes),
            blocks: peak.blocks.saturating_sub(end.blocks),
            variance: peak.variance,
        }
    };
    found.pid = evidence.rows.heaviest_pid(freed);
    found.sites = evidence.rows.sites(By::Inner, SITES, freed);
    found.user_sites = evidence.rows.sites(By::User, SITES, freed);
    found.lingered_seconds = Some(seconds);
    found.suggestion = Some(advice.to_owned());
    Some(found)
}

/// Which allocator has most of the slack, and what helps.
pub(crate) fn keeper(resident: &Resident) -> (&'static str, &'static str) {
    let parts = [
        (resident.heap_slack, HEAP),
        (resident.arena_slack, ARENAS),
        (resident.pymalloc_slack, PYMALLOC),
    ];
    parts
        .into_iter()
        .max_by_key(|(bytes, _)| *bytes)
        .map_or(HEAP, |(_, words)| words)
}

const HEAP: (&str, &str) = (
    "the C library's malloc",
    "It is not a leak: nothing in the program has it. A block in use above the freed ones keeps the heap from shrinking. \
     Give it back with ctypes.CDLL(None).malloc_trim(0) after the large work, or have blocks above a size mapped one by \
     one with GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072, or do the large work in a process of its own.",
);
const ARENAS: (&str, &str) = (
    "the arenas that the C library makes for threads",
    "It is not a leak: each thread's arena keeps what was freed in it. Limit them with MALLOC_ARENA_MAX=2 (or \
     GLIBC_TUNABLES=glibc.malloc.arena_max=2), or give the memory back with ctypes.CDLL(None).malloc_trim(0).",
);
const PYMALLOC: (&str, &str) = (
    "Python's allocator for small objects",
    "It is not a leak: an arena of 1 MiB (256 KiB before Python 3.10) stays as long as one object in it lives, and a few \
     long-lived objects are spread over many. Make what lives long (caches, indexes) before or apart from the large \
     temporary structure, keep that in arrays instead of small objects, or build it in a process of its own. malloc_trim \
     does not help here.",
);

fn file_mapping(evidence: &Evidence<'_>, report: &Report) -> Option<Finding> {
    let moment = ledger::highest(evidence.moments)?;
    let whole = report.peak.rss_bytes?;
    let of = |kind: FileKind| {
        let files = moment.files.iter().filter(move |file| file.kind == kind);
        files.map(|file| file.pss).fold(0, u64::saturating_add)
    };
    let (data, shared) = (of(FileKind::Data), of(FileKind::Shared));
    let bytes = data.saturating_add(shared);
    if bytes < limit::FILES_LEAST_BYTES.max(limit::FILES_LEAST_OF_PEAK.of(whole)) {
        return None;
    }
    let name = |path: &str| names::clean(path).into_owned();
    let mut list: Vec<String> = moment
        .files
        .iter()
        .take(NAMED)
        .filter(|file| file.pss >= bytes / 20)
        .map(|file| format!("{} ({})", name(&file.path), units::size(file.pss)))
        .collect();
    if moment.files.len() > list.len() {
        list.push(format!("{} more", moment.files.len() - list.len()));
    }
    let what = if shared > data { "shared memory" } else { "mapped files" };
    let title = format!(
        "{} of the {} resident at the peak are pages of {what}: {}.",
        units::size(bytes),
        units::size(whole),
        list.join(", "),
    );
    let mut found = finding(FindingKind::FileMapping, Severity::Low, title, Some(bytes), report);
    found.count = Some(moment.files.len() as u64);
    found.pid = moment.processes.first().map(|share| share.pid);
    found.suggestion = Some(
        if shared > data {
            "Shared memory counts against a limit until the last process lets go of it (close() and unlink()), and it \
             cannot be dropped. It is counted once here, however many processes map it."
        } else {
            "It is no leak: the kernel drops unchanged pages of files when memory gets scarce, though a container's \
             limit counts them. Read in pieces, or call madvise(MADV_DONTNEED) on what is done with, if it must be less."
        }
        .to_owned(),
    );
    Some(found)
}
