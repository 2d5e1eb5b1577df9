//! The processes of a run: what was recorded of them and what the supervisor saw from outside.

use deadweight_analysis::Analysis;
use deadweight_analysis::manifest::{Exit, Manifest, SeenProcess};

use crate::model::Process;

/// The process that the user started: the supervisor knows it; without a supervisor it is the first one whose
/// parent was not recorded.
pub(crate) fn started_pid(manifest: Option<&Manifest>, analysis: &Analysis) -> Option<u32> {
    let recorded = |pid| analysis.processes.iter().any(|process| process.id.pid == pid);
    let orphan = || analysis.processes.iter().find(|process| !recorded(process.parent));
    manifest
        .and_then(|manifest| manifest.pid)
        .or_else(|| orphan().or(analysis.processes.first()).map(|process| process.id.pid))
}

/// The process with the most heap at the tree's peak, the earlier one if two have the same.
pub(crate) fn heaviest_pid(processes: &[Process]) -> Option<u32> {
    let mut heaviest: Option<&Process> = None;
    for process in processes.iter().filter(|process| process.heap_at_peak_bytes > Some(0)) {
        if heaviest.is_none_or(|other| process.heap_at_peak_bytes > other.heap_at_peak_bytes) {
            heaviest = Some(process);
        }
    }
    heaviest.map(|process| process.pid)
}

/// All processes, each once, in the order that [`crate::Report::processes`] promises.
pub(crate) fn merge(manifest: Option<&Manifest>, analysis: &Analysis) -> Vec<Process> {
    let mut processes: Vec<Process> = Vec::new();
    for answer in &analysis.processes {
        let pid = answer.id.pid;
        let at = processes
            .iter()
            .position(|process| process.pid == pid)
            .unwrap_or_else(|| {
                processes.push(Process {
                    recorded: true,
                    ..Process::of(pid)
                });
                processes.len() - 1
            });
        let process = &mut processes[at];
        // After an exec the same process runs another command: the last one counts.
        if !answer.argv.is_empty() {
            process.argv.clone_from(&answer.argv);
        }
        process.parent = Some(answer.parent).filter(|parent| *parent > 0).or(process.parent);
        process.peak_rss_bytes = process.peak_rss_bytes.max(answer.max_rss_bytes);
        process.peak_heap_bytes = process.peak_heap_bytes.max(Some(answer.own_peak.bytes));
        let at_peak = process.heap_at_peak_bytes.unwrap_or(0);
        process.heap_at_peak_bytes = Some(at_peak.saturating_add(answer.at_tree_peak.bytes));
    }

    let mut seen: Vec<&SeenProcess> = manifest.map_or_else(Vec::new, |manifest| manifest.processes.iter().collect());
    seen.sort_by_key(|process| process.pid);
    for outside in seen {
        let rss = Some(outside.peak_rss_bytes).filter(|bytes| *bytes > 0);
        match processes.iter_mut().find(|process| process.pid == outside.pid) {
            Some(process) => {
                process.parent = process.parent.or(Some(outside.parent).filter(|parent| *parent > 0));
                process.peak_rss_bytes = rss.or(process.peak_rss_bytes);
                process.exit = outside.exit.clone();
                process.first_seconds = outside.first_seconds;
                process.ended_seconds = outside.ended_seconds;
                process.rlimit_bytes = outside.rlimit_bytes;
                if process.argv.is_empty() {
                    process.argv.clone_from(&outside.argv);
                }
            }
            None => processes.push(Process {
                parent: Some(outside.parent).filter(|parent| *parent > 0),
                argv: outside.argv.clone(),
                peak_rss_bytes: rss,
                exit: outside.exit.clone(),
                first_seconds: outside.first_seconds,
                ended_seconds: outside.ended_seconds,
                rlimit_bytes: outside.rlimit_bytes,
                ..Process::of(outside.pid)
            }),
        }
    }

    if let Some(started) = started_pid(manifest, analysis) {
        if let Some(process) = processes.iter_mut().find(|process| process.pid == started) {
            let end = manifest.and_then(|manifest| manifest.exit.as_ref());
            if let Some(end) = end.filter(|_| process.exit == Exit::default()) {
                process.exit = end.clone();
            }
        }
        processes.sort_by_key(|process| process.pid != started);
    }
    processes
}
