//! What the supervisor adds to the manifest when the run has ended.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use deadweight_capture::manifest::{ExitKind, Manifest};
use deadweight_capture::read::Capture;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;

use crate::supervise::exit_cause;
use crate::supervise::process_tree::ProcessTree;
use crate::supervise::tracked_process::TrackedProcess;

/// With less free space than this, the agent may have found no room for its first file.
const SEGMENT: u64 = 256 << 10;
/// Other programs below this size, a shell or a `git` that the program calls, say nothing about its memory. They count
/// in the tree's peak.
const SMALL: u64 = 8 << 20;
/// Processes that the manifest names at most; the smallest ones are left out.
const MOST_PROCESSES: usize = 1000;

/// Fills in what is known at the end. `status` is the started program's, where we are its parent.
pub fn complete(manifest: &mut Manifest, status: Option<ExitStatus>, tree: Option<&ProcessTree>, folder: &Path) {
    let root = manifest.pid;
    let is_root = |process: &&TrackedProcess| Some(process.seen.pid) == root;
    let judged = tree.and_then(|tree| tree.processes().find(is_root));
    let judged = judged.map(|process| process.seen.exit.clone());
    let judged = judged.filter(|exit| exit.kind != ExitKind::Unknown);
    manifest.exit = Some(judged.unwrap_or_else(|| exit_cause::plain(status.map(ExitStatus::into_raw))));
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
    let ancestors = ancestors_of_recorded(tree);
    let worth_a_line = |process: &&TrackedProcess| {
        let pid = process.seen.pid;
        let small = process.seen.peak_rss_bytes < SMALL && !process.python && !tree.is_recorded(pid);
        let was_killed = process.seen.exit.kind == ExitKind::OomKilled;
        Some(pid) == root || !small || was_killed || ancestors.contains(&pid)
    };
    manifest.processes = tree
        .processes()
        .filter(worth_a_line)
        .map(|process| process.seen.clone())
        .collect();
    if let Some(why) = tree.unwritten() {
        manifest
            .warnings
            .push(format!("the timeline is not complete: it could not be written ({why})"));
    }
    let unclaimed = tree.unclaimed_kills();
    if unclaimed > 0 {
        manifest.warnings.push(format!(
            "the kernel killed another {} of this control group because memory ran out: a heap snapshot in the making (it \
             goes first), one that lived too short to be seen, or somebody else's",
            if unclaimed == 1 { "process".to_owned() } else { format!("{unclaimed} processes") }
        ));
    }
    if !manifest.watched && !tree.anything_recorded() {
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
fn why_nothing(tree: &ProcessTree, folder: &Path) -> String {
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
    match tree.processes().find(|process| process.python) {
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
fn ancestors_of_recorded(tree: &ProcessTree) -> HashSet<u32> {
    let parents: HashMap<u32, u32> = tree
        .processes()
        .map(|process| (process.seen.pid, process.seen.parent))
        .collect();
    let mut ancestors = HashSet::new();
    for process in tree.processes().filter(|process| tree.is_recorded(process.seen.pid)) {
        let mut pid = process.seen.parent;
        while ancestors.insert(pid)
            && let Some(&parent) = parents.get(&pid)
        {
            pid = parent;
        }
    }
    ancestors
}
