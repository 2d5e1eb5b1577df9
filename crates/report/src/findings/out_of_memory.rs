//! Who ended because memory ran out, and what that means for the others.

use deadweight_analysis::Amount;
use deadweight_analysis::manifest::{Exit, ExitKind};

use crate::attribution::rows::{By, Row, Rows};
use crate::build::report::MEMORY_ERROR;
use crate::findings::finding::{SITES, finding};
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Process, Report, Severity};
use crate::words::{names, units};

/// The limit that was hit, in words: `the limit of 512 MiB of its container or job (cgroup)`.
fn limit(exit: &Exit) -> Option<String> {
    let size = exit.limit_bytes.map(units::size);
    let of = |whose: &str| match &size {
        Some(size) => format!("the limit of {size} of {whose}"),
        None => format!("the limit of {whose}"),
    };
    Some(match exit.limit_kind.as_deref()? {
        "cgroup" => of("its container or job (cgroup)"),
        "rlimit" => of("the process (ulimit)"),
        "machine" => match size {
            Some(size) => format!("the machine's memory, {size}"),
            None => "the machine's memory".to_owned(),
        },
        _ => of("its memory"),
    })
}

/// How the started program fared after a child of it was killed at `killed` seconds.
fn aftermath(report: &Report, killed: Option<f64>) -> String {
    let program = names::program(&report.run.argv);
    let after = killed.and_then(|killed| Some(report.run.seconds? - killed));
    let how = match report.run.exit.kind {
        ExitKind::Ok => "ended normally".to_owned(),
        ExitKind::Unknown => return format!("{program} went on without it."),
        _ => crate::words::exit::bad_end(&report.run.exit).unwrap_or_default(),
    };
    match after {
        Some(after) if after >= limit::WENT_ON_LEAST_SECONDS => {
            format!(
                "{program} went on without it for {} and {how}. If it seemed to hang: multiprocessing.Pool replaces the \
                 worker but never returns the lost task, so whoever waits for that waits for ever \
                 (concurrent.futures raises BrokenProcessPool instead).",
                units::duration(after)
            )
        }
        _ => format!("After that {program} {how}."),
    }
}

/// At most one finding: the started program's end, or else that of its children.
pub(super) fn find(rows: &Rows<'_>, report: &Report) -> Option<Finding> {
    let ran_out = |exit: &Exit| exit.kind == ExitKind::OomKilled || exit.evidence.as_deref() == Some(MEMORY_ERROR);
    let killed: Vec<&Process> = report
        .processes
        .iter()
        .filter(|process| ran_out(&process.exit))
        .collect();
    let program = names::program(&report.run.argv);
    let (pid, title, suggestion, bytes);
    if ran_out(&report.run.exit) {
        let exit = &report.run.exit;
        pid = report.processes.first().map(|process| process.pid);
        let reached = limit(exit).map_or_else(String::new, |limit| format!(": it reached {limit}"));
        if exit.kind == ExitKind::OomKilled {
            title = format!("{program} was killed because memory ran out{reached}.");
            suggestion =
                "The kernel killed it with SIGKILL, so there was no exception and no message. Give it more memory, \
                          or look at the lines that made the peak: they had the memory when it ran out."
                    .to_owned();
        } else {
            title = format!("{program} ended with a MemoryError: it could get no more memory{reached}.");
            suggestion =
                "Raise the limit, or look at the lines that made the peak: they had the memory when it ran out."
                    .to_owned();
        }
        bytes = report.peak.rss_bytes.or(report.peak.heap_bytes);
    } else {
        let first = killed.first()?;
        pid = Some(first.pid);
        let who = names::process(first.pid, &first.argv);
        let after = first
            .ended_seconds
            .map_or_else(String::new, |seconds| format!(" after {}", units::duration(seconds)));
        let reached = limit(&first.exit).map_or_else(String::new, |limit| format!(": it reached {limit}"));
        title = match killed.len() {
            1 => format!("A child process, {who}, was killed{after} because memory ran out{reached}."),
            many => format!(
                "{many} child processes were killed because memory ran out; the first one, {who},{after}{reached}."
            ),
        };
        suggestion = format!(
            "The kernel killed it with SIGKILL, so there was no exception and no message. {}",
            aftermath(report, first.ended_seconds)
        );
        let of_killed = killed.iter().filter_map(|process| process.peak_rss_bytes);
        bytes = of_killed.max().or(report.peak.rss_bytes);
    }
    let mut found = finding(FindingKind::OutOfMemory, Severity::High, title, bytes, report);
    found.pid = pid;
    found.count = Some(killed.len().max(1) as u64);
    let of_killed = |row: &Row<'_>| match killed.iter().any(|process| process.pid == rows.pid(row)) {
        true => row.amounts.peak,
        false => Amount::default(),
    };
    found.sites = rows.sites(By::Inner, SITES, of_killed);
    found.user_sites = rows.sites(By::User, SITES, of_killed);
    // It had ended before the peak of all.
    if found.sites.is_empty() {
        found.sites = report.peak.sites.iter().take(SITES).cloned().collect();
        found.user_sites = report.peak.user_sites.iter().take(SITES).cloned().collect();
    }
    found.suggestion = Some(suggestion);
    Some(found)
}
