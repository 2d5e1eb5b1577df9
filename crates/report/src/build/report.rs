//! Joins the replay's answer with the supervisor's account: a report that has everything but its findings.

use deadweight_analysis::Analysis;
use deadweight_analysis::UNCAUGHT_MEMORY_ERROR;
use deadweight_analysis::manifest::{ExitKind, Manifest};
use deadweight_heap::SnapshotAnswer;

use crate::attribution::rows::{By, Rows, churned};
use crate::build::clock::{seconds_between, start_nanos};
use crate::build::{calltree, growth, ledger, processes, regions, warnings};
use crate::model::{Churn, End, Mode, Peak, Process, Report, Run, SCHEMA};
use crate::words::{names, units};

/// What [`Exit::evidence`](deadweight_analysis::manifest::Exit::evidence) says of a program that ended by a MemoryError that nothing caught.
pub(crate) const MEMORY_ERROR: &str = "MemoryError";

fn run(manifest: Option<&Manifest>, analysis: &Analysis, started: Option<u32>) -> Run {
    let of_started = |process: &&deadweight_analysis::ProcessAnswer| Some(process.id.pid) == started;
    let pythons = || analysis.processes.iter().filter(|process| process.python.is_some());
    // After an exec, the last incarnation is the program.
    let python = pythons().rfind(of_started).or(pythons().next());
    let last_event = analysis.processes.iter().map(|process| process.span_nanos.1).max();
    let recorded_seconds = || Some(seconds_between(start_nanos(manifest, analysis)?, last_event?));
    let recorded_argv = || {
        analysis
            .processes
            .iter()
            .find(of_started)
            .map(|process| process.argv.clone())
    };
    Run {
        argv: manifest
            .map(|manifest| manifest.argv.clone())
            .filter(|argv| !argv.is_empty())
            .or_else(recorded_argv)
            .unwrap_or_default(),
        python: python.and_then(|process| process.python).map(units::python_version),
        mode: if analysis.exact { Mode::Exact } else { Mode::Sampled },
        sampling_interval_bytes: Some(analysis.interval_bytes).filter(|_| !analysis.exact),
        started: manifest.map(|manifest| units::timestamp(manifest.started_unix)),
        seconds: manifest
            .and_then(|manifest| manifest.seconds)
            .filter(|seconds| seconds.is_finite())
            .or_else(recorded_seconds),
        complete: manifest.is_some_and(|manifest| manifest.exit.is_some())
            && analysis.warnings.is_empty()
            && analysis.processes.iter().all(warnings::is_whole),
        exit: manifest.and_then(|manifest| manifest.exit.clone()).unwrap_or_default(),
        heap_snapshots: 0,
        watched: manifest.is_some_and(|manifest| manifest.watched),
        cwd: manifest
            .map(|manifest| manifest.cwd.clone())
            .filter(|cwd| !cwd.is_empty()),
    }
}

fn peak(
    manifest: Option<&Manifest>,
    analysis: &Analysis,
    processes: &[Process],
    rows: &Rows<'_>,
    max_sites: usize,
) -> Peak {
    let found = &analysis.peak;
    let recorded = !analysis.processes.is_empty();
    // A look from outside may have met more than the polls between which it was taken.
    let looked = analysis.moments.iter().map(|moment| moment.total).max();
    let rss = manifest.and_then(|manifest| manifest.peak_rss_bytes).max(looked);
    let start = start_nanos(manifest, analysis).filter(|_| found.nanos > 0);
    Peak {
        seconds: start.map(|start| seconds_between(start, found.nanos)),
        pid: processes::heaviest_pid(processes),
        heap_bytes: recorded.then_some(found.heap.bytes),
        heap_error_bytes: recorded.then(|| found.heap.error_bytes()),
        rss_bytes: rss,
        rss_seconds: manifest
            .and_then(|manifest| manifest.peak_rss_seconds)
            .filter(|seconds| seconds.is_finite()),
        sites: rows.sites(By::Inner, max_sites, |row| row.amounts.peak),
        user_sites: rows.sites(By::User, max_sites, |row| row.amounts.peak),
        ledger: ledger::build(analysis, rss, start_nanos(manifest, analysis)),
        tree: calltree::build(rows),
    }
}

/// A program that failed because nothing caught a MemoryError has had a limit of its own, if anybody told of one.
fn note_memory_errors(analysis: &Analysis, report: &mut Report) {
    let started = report.processes.first().map(|process| process.pid);
    for answer in &analysis.processes {
        let is_told = answer.notes.iter().any(|note| note == UNCAUGHT_MEMORY_ERROR);
        let process = report.processes.iter_mut().find(|process| process.pid == answer.id.pid);
        let Some(process) = process.filter(|process| is_told && process.exit.kind == ExitKind::Failed) else {
            continue;
        };
        process.exit.evidence = Some(MEMORY_ERROR.to_owned());
        if let Some(bytes) = process.rlimit_bytes {
            process.exit.limit_bytes = Some(bytes);
            process.exit.limit_kind = Some("rlimit".to_owned());
        }
        if Some(process.pid) == started {
            report.run.exit = process.exit.clone();
        }
    }
    // Without the agent's word it is no more than a hint.
    if let Some(process) = report.processes.first()
        && process.exit.kind == ExitKind::Failed
        && process.exit.evidence.is_none()
        && let Some(bytes) = process.rlimit_bytes
    {
        report.warnings.push(format!(
            "{} had a limit of {} for its address space or data (ulimit -v, ulimit -d). If it ended with a MemoryError, that \
             is why.",
            names::program(&report.run.argv),
            units::size(bytes)
        ));
    }
}

/// The report of a run without its findings.
pub(crate) fn measured(
    manifest: Option<&Manifest>,
    analysis: &Analysis,
    heaps: &[SnapshotAnswer],
    rows: &Rows<'_>,
    max_sites: usize,
) -> Report {
    let started = processes::started_pid(manifest, analysis);
    let processes = processes::merge(manifest, analysis);
    let freed = rows.total(|row| churned(&row.amounts));
    let live_at_end = analysis.processes.iter().map(|process| process.end.bytes);
    let regions = regions::build(analysis, start_nanos(manifest, analysis).unwrap_or(0));
    let unmet = manifest.map_or(Vec::new(), |manifest| regions::unmet(&manifest.regions, &regions));
    let mut report = Report {
        schema: SCHEMA,
        run: run(manifest, analysis, started),
        peak: peak(manifest, analysis, &processes, rows, max_sites),
        findings: Vec::new(),
        warnings: warnings::collect(manifest, analysis, &processes),
        churn: Churn {
            bytes: freed.bytes,
            blocks: freed.blocks,
            sites: rows.sites(By::Inner, max_sites, |row| churned(&row.amounts)),
        },
        end: End {
            heap_bytes: (!analysis.processes.is_empty()).then(|| live_at_end.fold(0, u64::saturating_add)),
            sites: rows.sites(By::Inner, max_sites, |row| row.amounts.end),
        },
        growth: growth::measure(rows, analysis, start_nanos(manifest, analysis)),
        processes,
        regions,
        timeline: None,
        end_was_seen: manifest.is_some_and(|manifest| manifest.exit.is_some()),
        next_step: None,
    };
    report.run.heap_snapshots = heaps.iter().filter(|heap| heap.complete).count() as u64;
    report.warnings.extend(unmet);
    let about_heaps = heaps.iter().flat_map(|heap| &heap.warnings);
    report
        .warnings
        .extend(about_heaps.map(|warning| names::clean(warning).into_owned()));
    note_memory_errors(analysis, &mut report);
    report
}
