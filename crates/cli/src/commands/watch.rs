//! `deadweight watch`: the timeline of a running process or of any command, without the agent.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use deadweight_capture::manifest::Manifest;

use crate::args::WatchArgs;
use crate::commands::run;
use crate::launch::capture_dir;
use crate::launch::plan;
use crate::launch::python;
use crate::launch::spawn;
use crate::linux::pidfd::Handle;
use crate::linux::procfs;
use crate::supervise::exit_cause::Evidence;
use crate::supervise::process_tree::ProcessTree;
use crate::supervise::run_summary;
use crate::supervise::sampler_thread::SamplerThread;
use crate::supervise::signals::Supervision;
use crate::supervise::status_line::StatusLine;

/// What is to be watched.
enum Target {
    Process {
        pid: u32,
        handle: Handle,
        argv: Vec<String>,
    },
    Command {
        words: Vec<OsString>,
        argv: Vec<String>,
    },
}

/// Watches and returns how the command ended; `None` for a process that we did not start.
///
/// # Errors
/// If there is no such process or command, or the capture cannot be made.
pub fn watch(args: &WatchArgs) -> Result<Option<ExitStatus>> {
    let target = find(&args.target)?;
    let (argv, stem) = match &target {
        Target::Process { pid, argv, .. } => (argv.clone(), format!("pid-{pid}")),
        Target::Command { argv, .. } => (argv.clone(), plan::file_stem(args.target[0].as_os_str())),
    };
    let folder = capture_dir::create(args.output.as_deref(), args.force, &stem)?;
    let mut manifest = run::manifest(argv)?;
    manifest.watched = true;
    let begun = begin(&mut manifest, &folder, &target);
    if begun.is_err() {
        capture_dir::remove_unused(&folder);
    }
    let Begun {
        mut child,
        supervision,
        start,
        evidence,
    } = begun?;

    let root = manifest.pid.unwrap_or_default();
    let tree = ProcessTree::new(root, &folder, start, evidence, args.pss);
    let live = StatusLine::new().filter(|_| !args.quiet);
    let sampler_thread = SamplerThread::start(tree, start, args.interval, live);
    let status = match (&mut child, &target) {
        (Some(child), _) => supervision.wait(child).map(Some),
        (None, Target::Process { handle, .. }) => supervision.wait_for(handle).map(|()| None),
        (None, Target::Command { .. }) => Ok(None),
    };
    manifest.seconds = Some(start.elapsed().as_secs_f64());
    let raw = status.as_ref().ok().copied().flatten().map(|status| status.into_raw());
    let tree = sampler_thread.stop(raw);
    let status = status?;
    run_summary::complete(&mut manifest, status, tree.as_ref(), &folder);
    run::conclude(&manifest, &folder, supervision, args.quiet);
    Ok(status)
}

struct Begun {
    child: Option<Child>,
    supervision: Supervision,
    start: Instant,
    evidence: Evidence,
}

fn begin(manifest: &mut Manifest, folder: &Path, target: &Target) -> Result<Begun> {
    manifest
        .write(folder)
        .with_context(|| format!("cannot write to the capture's folder {}", folder.display()))?;
    let supervision = Supervision::begin()?;
    let (evidence, start) = (Evidence::from_now(), Instant::now());
    let child = match target {
        Target::Process { pid, .. } => {
            manifest.pid = Some(*pid);
            None
        }
        Target::Command { words, .. } => {
            let child = spawn::start_plain(words, supervision.caller_mask())?;
            manifest.pid = Some(child.id());
            Some(child)
        }
    };
    // The program runs: from here on nothing of ours may disturb it, and the end writes the manifest again.
    let _ = manifest.write(folder);
    Ok(Begun {
        child,
        supervision,
        start,
        evidence,
    })
}

fn find(words: &[OsString]) -> Result<Target> {
    let shown: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let name = words.first().context("nothing to watch: give a PID or a command")?;
    let is_pid = shown[0].bytes().all(|byte| byte.is_ascii_digit()) && !shown[0].is_empty();
    if is_pid {
        if let Some(more) = shown.get(1) {
            bail!("{} is a PID, so `{more}` after it makes no sense", shown[0]);
        }
        let pid: u32 = shown[0].parse().context("there is no such PID")?;
        let stat = procfs::stat(pid).filter(|stat| !stat.has_ended);
        let stat = stat.with_context(|| format!("there is no process {pid}: `ps` lists those that run"))?;
        let handle = Handle::of(pid, stat.started_ticks)
            .with_context(|| format!("process {pid} has just ended, or this kernel is older than 5.3"))?;
        let argv = procfs::argv(pid).unwrap_or_else(|| vec![format!("process {pid}")]);
        return Ok(Target::Process { pid, handle, argv });
    }
    let is_script = shown[0].ends_with(".py") && Path::new(name).is_file() && !python::is_executable(Path::new(name));
    let mut command = words.to_vec();
    if is_script {
        plan::check_script(name)?;
        command.insert(0, python::find(None)?.into_os_string());
    } else {
        command[0] = plan::find_program(name)?.into_os_string();
    }
    Ok(Target::Command {
        words: command,
        argv: shown,
    })
}
