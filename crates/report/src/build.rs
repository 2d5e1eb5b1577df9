//! Joins the replay's answer with the supervisor's account.

use std::path::PathBuf;

use deadweight_analysis::Analysis;
use deadweight_analysis::manifest::Manifest;
use deadweight_heap::SnapshotAnswer;

use crate::model::{Churn, End, Ledger, Mode, Peak, Process, Report, Run, SCHEMA};
use crate::sites::{By, Rows, churned};
use crate::{calltree, findings, names, processes, units, warnings};

/// What a report is to contain, and whose code is the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildOptions {
    /// Folders whose files are the user's own, wherever they are: a package installed for work on it, for example.
    pub user_roots: Vec<PathBuf>,
    /// How many sites each list has at most.
    pub max_sites: usize,
}

impl Default for BuildOptions {
    fn default() -> BuildOptions {
        BuildOptions {
            user_roots: Vec::new(),
            max_sites: 50,
        }
    }
}

/// Seconds from one `CLOCK_MONOTONIC` time to a later one.
fn seconds_between(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}

/// Start of the run on `CLOCK_MONOTONIC`: the supervisor's, or else the first event's.
fn start_nanos(manifest: Option<&Manifest>, analysis: &Analysis) -> Option<u64> {
    let first_event = || analysis.processes.iter().map(|process| process.span_nanos.0).min();
    manifest
        .map(|manifest| manifest.started_monotonic_nanos)
        .filter(|nanos| *nanos > 0)
        .or_else(first_event)
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
    let parts = &found.composition;
    let start = start_nanos(manifest, analysis).filter(|_| found.nanos > 0);
    Peak {
        seconds: start.map(|start| seconds_between(start, found.nanos)),
        pid: processes::heaviest_pid(processes),
        heap_bytes: recorded.then_some(found.heap.bytes),
        heap_error_bytes: recorded.then(|| found.heap.error_bytes()),
        rss_bytes: manifest.and_then(|manifest| manifest.peak_rss_bytes),
        rss_seconds: manifest
            .and_then(|manifest| manifest.peak_rss_seconds)
            .filter(|seconds| seconds.is_finite()),
        sites: rows.sites(By::Inner, options.max_sites, |row| row.amounts.peak),
        user_sites: rows.sites(By::User, options.max_sites, |row| row.amounts.peak),
        ledger: Ledger {
            python_objects: recorded.then_some(parts.python_bytes),
            native_blocks: recorded.then(|| parts.native_bytes.saturating_add(parts.mapped_bytes)),
            ..Ledger::default()
        },
        tree: calltree::build(rows),
    }
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
        processes,
        next_step: None,
    };
    let about_heaps = heaps.iter().flat_map(|heap| &heap.warnings);
    report
        .warnings
        .extend(about_heaps.map(|warning| names::clean(warning).into_owned()));
    let evidence = findings::heap::Evidence {
        snapshots: heaps,
        rows: &rows,
        peak_nanos: analysis.peak.nanos,
    };
    findings::find(&evidence, started, &mut report);
    report
}
