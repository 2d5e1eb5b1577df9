//! Joins the replay's answer with the supervisor's account.

use std::path::PathBuf;

use deadweight_analysis::Analysis;
use deadweight_analysis::UNCAUGHT_MEMORY_ERROR;
use deadweight_analysis::manifest::{ExitKind, Manifest};
use deadweight_heap::SnapshotAnswer;

use crate::disk::{Disk, Lookup};
use crate::findings::out_of_memory::MEMORY_ERROR;
use crate::model::{Churn, End, Mode, Peak, Process, Report, Run, SCHEMA};
use crate::sites::{By, Rows, churned};
use crate::{calltree, findings, growth, ledger, names, processes, regions, units, warnings};

/// What a report is to contain, and whose code is the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildOptions {
    /// Folders whose files are the user's own, wherever they are: a package installed for work on it, for example.
    pub user_roots: Vec<PathBuf>,
    /// How many sites each list has at most.
    pub max_sites: usize,
    /// Whether source lines and installed packages may be looked up.
    pub disk: Disk,
}

impl BuildOptions {
    /// The default, with source lines and installed packages looked up on this machine.
    pub fn with_disk() -> BuildOptions {
        BuildOptions {
            disk: Disk::Read,
            ..BuildOptions::default()
        }
    }
}

impl Default for BuildOptions {
    fn default() -> BuildOptions {
        BuildOptions {
            user_roots: Vec::new(),
            max_sites: 50,
            disk: Disk::Untouched,
        }
    }
}

/// Seconds from one `CLOCK_MONOTONIC` time to a later one.
pub(crate) fn seconds_between(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}

/// Start of the run on `CLOCK_MONOTONIC`: the supervisor's, or else the first event's.
pub(crate) fn start_nanos(manifest: Option<&Manifest>, analysis: &Analysis) -> Option<u64> {
    let first_event = || analysis.processes.iter().map(|process| process.span_nanos.0).min();
    manifest
        .map(|manifest| manifest.started_monotonic_nanos)
        .filter(|nanos| *nanos > 0)
        .or_else(first_event)
}

/// Start of the run and the last thing that is known of it.
fn span_nanos(manifest: Option<&Manifest>, analysis: &Analysis) -> (u64, u64) {
    let last_event = analysis.processes.iter().map(|process| process.span_nanos.1).max();
    let last_look = analysis.moments.last().map(|moment| moment.nanos);
    let start = start_nanos(manifest, analysis).unwrap_or(0);
    (start, last_event.max(last_look).unwrap_or(start))
}

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
    options: &BuildOptions,
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
        sites: rows.sites(By::Inner, options.max_sites, |row| row.amounts.peak),
        user_sites: rows.sites(By::User, options.max_sites, |row| row.amounts.peak),
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

/// Where the report may look for sources and packages.
fn lookup(manifest: Option<&Manifest>, rows: &Rows<'_>, options: &BuildOptions) -> Lookup {
    let cwd = manifest.map_or("", |manifest| manifest.cwd.as_str());
    let started_unix = manifest.map_or(0, |manifest| manifest.started_unix);
    let files = rows.list.iter().flat_map(|row| [row.inner.file, row.user.file]);
    let seen = manifest.into_iter().flat_map(|manifest| &manifest.processes);
    let programs = seen.filter_map(|process| process.argv.first()).map(String::as_str);
    Lookup::new(options.disk, (cwd, started_unix), files, programs)
}

/// Makes the report of a run. Without a manifest (the supervisor was killed before it wrote one) what only it knew
/// is missing; without answers of heap snapshots, what keeps memory alive.
pub fn build(
    manifest: Option<&Manifest>,
    analysis: &Analysis,
    heaps: &[SnapshotAnswer],
    options: &BuildOptions,
) -> Report {
    let rows = Rows::new(analysis, &options.user_roots);
    let started = processes::started_pid(manifest, analysis);
    let processes = processes::merge(manifest, analysis);
    let freed = rows.total(|row| churned(&row.amounts));
    let live_at_end = analysis.processes.iter().map(|process| process.end.bytes);
    let regions = regions::build(analysis, start_nanos(manifest, analysis).unwrap_or(0));
    let unmet = manifest.map_or(Vec::new(), |manifest| regions::unmet(&manifest.regions, &regions));
    let mut report = Report {
        schema: SCHEMA,
        run: run(manifest, analysis, started),
        peak: peak(manifest, analysis, &processes, &rows, options),
        findings: Vec::new(),
        warnings: warnings::collect(manifest, analysis, &processes),
        churn: Churn {
            bytes: freed.bytes,
            blocks: freed.blocks,
            sites: rows.sites(By::Inner, options.max_sites, |row| churned(&row.amounts)),
        },
        end: End {
            heap_bytes: (!analysis.processes.is_empty()).then(|| live_at_end.fold(0, u64::saturating_add)),
            sites: rows.sites(By::Inner, options.max_sites, |row| row.amounts.end),
        },
        growth: growth::measure(&rows, analysis, start_nanos(manifest, analysis)),
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
    let evidence = findings::heap::Evidence {
        snapshots: heaps,
        rows: &rows,
        peak_nanos: analysis.peak.nanos,
        moments: &analysis.moments,
        span_nanos: span_nanos(manifest, analysis),
    };
    let lookup = lookup(manifest, &rows, options);
    findings::find(&evidence, &lookup, started, &mut report);
    report
}
