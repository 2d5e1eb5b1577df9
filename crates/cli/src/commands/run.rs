//! `deadweight run`: from the arguments to the program's exit status.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use deadweight_capture::manifest::Manifest;
use deadweight_capture::wire;
use nix::time::{ClockId, clock_gettime};

use crate::args::RunArgs;
use crate::commands::end_of_run;
use crate::launch::agent_library;
use crate::launch::capture_dir;
use crate::launch::plan::Plan;
use crate::launch::spawn;
use crate::snapshot::wait;
use crate::supervise::exit_cause::Evidence;
use crate::supervise::fold_thread::FoldThread;
use crate::supervise::process_tree::ProcessTree;
use crate::supervise::run_summary;
use crate::supervise::sampler_thread::SamplerThread;
use crate::supervise::signals::Supervision;
use crate::supervise::status_line::StatusLine;

/// Runs the program under sampler_thread and returns how it ended.
///
/// # Errors
/// Only for what keeps the program from being started. What goes wrong later is said on standard error.
pub fn run(args: RunArgs) -> Result<ExitStatus> {
    let plan = Plan::new(args)?;
    let library = agent_library::library()?;
    let folder = capture_dir::create(plan.output.as_deref(), plan.force, &plan.stem)?;
    let started = start(&plan, &library, &folder);
    if started.is_err() {
        capture_dir::remove_unused(&folder);
    }
    let Started {
        mut child,
        mut manifest,
        supervision,
        start,
        evidence,
    } = started?;

    let live = StatusLine::new().filter(|_| !plan.quiet);
    let tree = ProcessTree::new(child.id(), &folder, start, evidence, false).with_rss_samples();
    let sampler_thread = SamplerThread::start(tree, start, None, live);
    let folding = FoldThread::start(&folder, plan.max_size_bytes);
    let status = supervision.wait(&mut child);
    manifest.seconds = Some(start.elapsed().as_secs_f64());
    let tree = sampler_thread.stop(status.as_ref().ok().map(|status| status.into_raw()));
    wait::wait_until_written(&folder);
    manifest.warnings.extend(folding.stop());
    let status = status?;
    run_summary::complete(&mut manifest, Some(status), tree.as_ref(), &folder);
    conclude(&manifest, &folder, supervision, plan.quiet);
    Ok(status)
}

/// Writes the complete manifest, lets go of the signals, and prints the diagnosis.
pub fn conclude(manifest: &Manifest, folder: &Path, supervision: Supervision, quiet: bool) {
    let written = manifest.write(folder);
    supervision.end();
    if let Err(error) = written {
        // The program's own standard error may be closed: then there is nobody to tell.
        let _ = writeln!(
            std::io::stderr(),
            "deadweight: the capture's run.json could not be written ({error})"
        );
    }
    if !quiet {
        end_of_run::print(manifest, folder);
    }
}

/// A program that has just been started.
struct Started {
    child: std::process::Child,
    manifest: Manifest,
    supervision: Supervision,
    start: Instant,
    evidence: Evidence,
}

fn start(plan: &Plan, library: &Path, folder: &Path) -> Result<Started> {
    let mut manifest = beginning(plan)?;
    let cannot = || format!("cannot write to the capture's folder {}", folder.display());
    manifest.write(folder).with_context(cannot)?;
    let supervision = Supervision::begin()?;
    let (evidence, start) = (Evidence::from_now(), Instant::now());
    let child = spawn::start(plan, library, folder, supervision.caller_mask())?;
    manifest.pid = Some(child.id());
    // The program runs: from here on nothing of ours may disturb it, and the end writes the manifest again.
    let _ = manifest.write(folder);
    Ok(Started {
        child,
        manifest,
        supervision,
        start,
        evidence,
    })
}

fn beginning(plan: &Plan) -> Result<Manifest> {
    Ok(Manifest {
        exact: plan.exact,
        sampling_interval_bytes: if plan.exact { 0 } else { plan.interval_bytes },
        max_size_bytes: plan.max_size_bytes,
        regions: plan.regions.clone(),
        ..manifest(plan.argv.clone())?
    })
}

/// What is known of any capture before its program starts.
pub fn manifest(argv: Vec<String>) -> Result<Manifest> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Manifest {
        format: wire::VERSION,
        deadweight: env!("CARGO_PKG_VERSION").to_string(),
        argv,
        cwd: std::env::current_dir()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        started_unix: since_1970.as_secs(),
        started_monotonic_nanos: now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64,
        ..Manifest::default()
    })
}
