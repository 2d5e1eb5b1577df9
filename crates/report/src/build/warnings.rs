//! What could not be measured, and why: one sentence each.

use deadweight_analysis::manifest::Manifest;
use deadweight_analysis::{Analysis, ProcessAnswer, Tail, UNCAUGHT_MEMORY_ERROR};

use crate::model::Process;
use crate::words::{names, units};

/// Whether everything that the process did while it was recorded is there.
pub(crate) fn is_whole(process: &ProcessAnswer) -> bool {
    process.state.stopped_because().is_none()
        && process.lost_events == 0
        && !matches!(process.tail, Tail::CutOff { .. })
}

/// An unrecorded process below this size says nothing about the program's memory: a shell, a `git`.
const SMALL: u64 = 8 << 20;

/// At most this many processes are named.
const NAMED: usize = 3;

fn not_recorded(processes: &[Process]) -> Option<String> {
    let mut missing: Vec<&Process> = processes
        .iter()
        .filter(|process| !process.recorded && process.peak_rss_bytes.is_none_or(|bytes| bytes >= SMALL))
        .collect();
    missing.sort_by_key(|process| (std::cmp::Reverse(process.peak_rss_bytes), process.pid));
    let name = |process: &&Process| match process.peak_rss_bytes {
        Some(bytes) => format!(
            "{} ({})",
            names::process(process.pid, &process.argv),
            units::size(bytes)
        ),
        None => names::process(process.pid, &process.argv),
    };
    let mut list = missing.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    if missing.len() > NAMED {
        list.push_str(&format!(" and {} more", missing.len() - NAMED));
    }
    match missing.len() {
        0 => None,
        1 => Some(format!(
            "1 process was seen but not recorded, its heap is not in the figures: {list}."
        )),
        many => Some(format!(
            "{many} processes were seen but not recorded, their heap is not in the figures: {list}."
        )),
    }
}

/// All warnings, each once: about the run, about what could not be read, then by process. That a recording stopped
/// early or is damaged is among what the replay says.
pub(crate) fn collect(manifest: Option<&Manifest>, analysis: &Analysis, processes: &[Process]) -> Vec<String> {
    let mut all = Vec::new();
    match manifest {
        None => all.push("The supervisor's account of the run is missing: how it ended is not known.".to_owned()),
        Some(manifest) if manifest.exit.is_none() => {
            all.push("The end of the run was not seen: it still runs, or deadweight was killed.".to_owned());
        }
        Some(_) => {}
    }
    if let Some(manifest) = manifest {
        all.extend(manifest.warnings.iter().cloned());
    }
    all.extend(analysis.warnings.iter().cloned());
    for process in &analysis.processes {
        let who = names::process(process.id.pid, &process.argv);
        if process.lost_events > 0 {
            let events = units::count(process.lost_events, "event", "events");
            all.push(format!(
                "{events} of {who} could not be written: its figures are incomplete."
            ));
        }
        let notes = process.notes.iter().filter(|note| *note != UNCAUGHT_MEMORY_ERROR);
        all.extend(notes.map(|note| format!("{who}: {note}")));
    }
    if manifest.is_none_or(|manifest| !manifest.watched) {
        all.extend(not_recorded(processes));
    }
    let mut unique: Vec<String> = Vec::with_capacity(all.len());
    for text in all {
        let text = names::clean(&text).into_owned();
        if !text.is_empty() && !unique.contains(&text) {
            unique.push(text);
        }
    }
    unique
}
