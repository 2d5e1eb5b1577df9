//! The supervisor's account of a run that has ended.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use deadweight_capture::manifest::{Exit, ExitKind, Manifest};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;

use crate::limits::Limits;
use crate::tree::{Tree, Watched};

/// A Python that lived shorter than this may have ended before the agent had anything to write.
const LONG_ENOUGH: Duration = Duration::from_millis(500);
/// With less free space than this, the agent may have found no room for its first file.
const SEGMENT: u64 = 256 << 10;
/// Other programs below this size, a shell or a `git` that the program calls, say nothing about its memory. They count
/// in the tree's peak.
const SMALL: u64 = 8 << 20;
/// The manifest names so many processes; the smallest ones are left out.
const MOST_PROCESSES: usize = 1000;

/// Fills in what is known at the end.
pub fn complete(manifest: &mut Manifest, status: ExitStatus, tree: Option<&Tree>, folder: &Path, limits: &Limits) {
    let exit = exit(status, limits);
    manifest.exit = Some(exit.clone());
    // The kernel's own figure for the largest single process: polling may have missed it.
    let largest = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss().max(0) as u64 * 1024);
    let Some(tree) = tree else {
        manifest.peak_rss_bytes = Some(largest);
        manifest
            .warnings
            .push("the memory of the processes was not watched to the end: an error in deadweight".into());
        return;
    };
    let (peak, at) = tree.peak();
    manifest.peak_rss_bytes = Some(peak.max(largest)).filter(|&bytes| bytes > 0);
    manifest.peak_rss_seconds = Some(at.as_secs_f64()).filter(|_| peak > 0);
    let root = manifest.pid;
    let worth_a_line = |process: &&Watched| {
        let small = process.seen.peak_rss_bytes < SMALL && !process.python && !tree.is_recorded(process.seen.pid);
        Some(process.seen.pid) == root || !small
    };
    manifest.processes = tree
        .processes()
        .iter()
        .filter(worth_a_line)
        .map(|process| process.seen.clone())
        .collect();
    if let Some(root) = manifest.processes.iter_mut().find(|process| Some(process.pid) == root) {
        root.exit = exit;
    }
    if !tree.anything_recorded() {
        manifest.warnings.push(why_nothing(tree, folder));
    } else {
        manifest.warnings.extend(
            tree.processes()
                .iter()
                .filter(|process| is_missing(process, tree))
                .map(missing),
        );
    }
    if manifest.processes.len() > MOST_PROCESSES {
        let total = manifest.processes.len();
        manifest
            .processes
            .sort_by_key(|process| (std::cmp::Reverse(process.peak_rss_bytes), process.pid));
        manifest.processes.truncate(MOST_PROCESSES);
        manifest.warnings.push(format!(
            "of {total} processes, only the {MOST_PROCESSES} largest are listed"
        ));
    }
}

/// Why no process wrote to the capture, as far as can be told from outside.
fn why_nothing(tree: &Tree, folder: &Path) -> String {
    if !folder.is_dir() {
        return format!(
            "nothing is left of what was recorded: {} was removed during the run",
            folder.display()
        );
    }
    if statvfs(folder).is_ok_and(|system| system.blocks_available() * system.fragment_size() < SEGMENT) {
        return format!(
            "nothing was recorded: no space is left on the disk of {}",
            folder.display()
        );
    }
    match tree.processes().iter().find(|process| process.python) {
        Some(python) => format!(
            "no Python program was recorded, although one ran (pid {}): LD_PRELOAD did not reach it (statically linked, \
             setuid, or started with a cleared environment), or the agent stopped and said why on standard error",
            python.seen.pid
        ),
        None => "no Python program was recorded: the command ran no Python that deadweight knows; a program that was \
                 already running (a service, a container) cannot be recorded this way"
            .to_string(),
    }
}

fn is_missing(process: &Watched, tree: &Tree) -> bool {
    process.python && !tree.is_recorded(process.seen.pid) && process.last.saturating_sub(process.first) > LONG_ENOUGH
}

fn missing(process: &Watched) -> String {
    let words = process.seen.argv.join(" ");
    let shown: String = words.chars().filter(|c| !c.is_control()).take(80).collect();
    format!(
        "pid {} ({shown}) ran without being recorded: LD_PRELOAD did not reach it",
        process.seen.pid
    )
}

fn exit(status: ExitStatus, limits: &Limits) -> Exit {
    let mut exit = Exit {
        kind: match status.code() {
            Some(0) => ExitKind::Ok,
            Some(_) => ExitKind::Failed,
            None => ExitKind::Signalled,
        },
        status: status.code(),
        signal: status.signal(),
        ..Exit::default()
    };
    if exit.signal == Some(libc::SIGKILL)
        && let Some(hit) = limits.hit_since()
    {
        exit.kind = ExitKind::OomKilled;
        exit.limit_bytes = hit.bytes;
        exit.limit_kind = Some(hit.kind.to_string());
    }
    exit
}
