//! The heap snapshots of a capture, analysed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadweight_capture::read::{Capture, HeapFiles};
use deadweight_heap::{Error, SnapshotAnswer, analyse_within};
use deadweight_report::units;

use crate::load::memory_budget;

/// Snapshots are analysed up to 512 MiB in all, the last ones of each process first: about half a minute.
const MOST_BYTES: u64 = 512 << 20;
/// Larger ones are analysed one at a time, because each needs many times its size in memory.
const LARGE: u64 = 64 << 20;
/// Threads for smaller ones.
const THREADS: usize = 4;
/// The analysis of one takes up to 7 times its size in memory.
const MEMORY: u64 = 7;

/// What the snapshots answer, and sentences about those that do not.
#[derive(Default)]
pub struct Heaps {
    /// The answers, in the order of their processes and numbers.
    pub answers: Vec<SnapshotAnswer>,
    /// What is missing, and why.
    pub warnings: Vec<String>,
}

fn len(files: &HeapFiles) -> u64 {
    files.segments.iter().map(|segment| segment.len).sum()
}

/// The snapshots that there is time for, and how many are left out.
fn choose(capture: &Capture) -> (Vec<&HeapFiles>, usize) {
    let mut order: Vec<(usize, &HeapFiles)> = Vec::new();
    for files in capture.heaps() {
        let later = capture.heaps().iter().filter(|other| other.process == files.process);
        order.push((later.filter(|other| other.number > files.number).count(), files));
    }
    order.sort_by_key(|(later, files)| (*later, files.process));
    let mut left = MOST_BYTES;
    let mut chosen: Vec<&HeapFiles> = Vec::new();
    for (_, files) in &order {
        // One is always analysed, however large it is.
        if len(files) <= left || chosen.is_empty() {
            left = left.saturating_sub(len(files));
            chosen.push(files);
        }
    }
    let left_out = order.len() - chosen.len();
    (chosen, left_out)
}

/// Analyses the snapshots of a capture.
pub fn analyse_all(capture: &Capture) -> Heaps {
    let (chosen, left_out) = choose(capture);
    let mut warnings = Vec::new();
    if left_out > 0 {
        warnings.push(format!(
            "{left_out} of {} heap snapshots were left out, because analysing them would take too long.",
            chosen.len() + left_out
        ));
    }
    let large = chosen.iter().any(|files| len(files) > LARGE);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A container's limit that killed the program holds for us as well.
    let available = memory_budget::available();
    let largest = chosen.iter().map(|files| len(files)).max().unwrap_or(0);
    let at_once = usize::try_from(available / (largest * MEMORY).max(1)).unwrap_or(usize::MAX);
    let threads = if large {
        1
    } else {
        THREADS.min(cores).min(at_once.max(1))
    };
    let most = available / threads as u64;
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<SnapshotAnswer, Error>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, files)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    chosen.get(at).map(|files| (at, *files))
                } {
                    let answer = analyse_within(files, most);
                    if let Ok(mut done) = done.lock() {
                        done.push((at, answer));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    let mut answers = Vec::new();
    for (at, answer) in done {
        match (answer, chosen.get(at)) {
            (Ok(answer), _) => answers.push(answer),
            (Err(Error::NoRoom { needed, most }), Some(files)) => warnings.push(format!(
                "Heap snapshot {} of pid {} is not considered: its analysis takes about {}, and {} of memory are left here. \
                 `deadweight report` where there is more says what it shows.",
                files.number,
                files.process.pid,
                units::size(needed),
                units::size(most),
            )),
            (Err(error), Some(files)) => warnings.push(format!(
                "Heap snapshot {} of pid {} cannot be analysed: {error}.",
                files.number, files.process.pid
            )),
            (Err(_), None) => {}
        }
    }
    answers.sort_by_key(|answer| (answer.process, answer.number));
    Heaps { answers, warnings }
}
