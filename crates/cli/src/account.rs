//! The supervisor's account of a run that has ended.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use deadweight_capture::manifest::{Exit, ExitKind, Manifest};
use deadweight_capture::read::Capture;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;

use crate::limits::Limits;
use crate::tree::{Tree, Watched};

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
    // The kernel's own figure for the largest single process: polling may have missed it. It counts the children that
    // wrote heap snapshots as well, so it says nothing where there were any.
    let has_snapshots = Capture::open(folder).is_ok_and(|capture| !capture.heaps().is_empty());
    let largest = if has_snapshots {
        0
    } else {
        getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss().max(0) as u64 * 1024)
    };
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
    let ancestors = ancestors_of_recorded(tree);
    let worth_a_line = |process: &&Watched| {
        let pid = process.seen.pid;
        let small = process.seen.peak_rss_bytes < SMALL && !process.python && !tree.is_recorded(pid);
        Some(pid) == root || !small || ancestors.contains(&pid)
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
             setuid, or started with a cleared environment), or the agent could not write to the capture",
            python.seen.pid
        ),
        None => "no Python program was recorded: the command ran no Python that deadweight knows; a program that was \
                 already running (a service, a container) cannot be recorded this way"
            .to_string(),
    }
}

/// Processes between the started program and the recorded ones, a shell for example: without them the tree would fall
/// apart.
fn ancestors_of_recorded(tree: &Tree) -> HashSet<u32> {
    let parents: HashMap<u32, u32> = tree
        .processes()
        .iter()
        .map(|process| (process.seen.pid, process.seen.parent))
        .collect();
    let mut ancestors = HashSet::new();
    for process in tree
        .processes()
        .iter()
        .filter(|process| tree.is_recorded(process.seen.pid))
    {
        let mut pid = process.seen.parent;
        while ancestors.insert(pid)
            && let Some(&parent) = parents.get(&pid)
        {
            pid = parent;
        }
    }
    ancestors
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
