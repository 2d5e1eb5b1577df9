//! Replays a capture and gives the answer.

use std::collections::HashSet;

use deadweight_capture::StackId;
use deadweight_capture::read::{Capture, Tail};

use crate::answer::ledger::LedgerSample;
use crate::ledger;
use crate::read::Recordings;
use crate::read::{Reading, Stream};
use crate::replay::{self, Process, Replay, Tree};
use crate::{Analysis, Error, ProcessAnswer, StackAmounts};

/// Replays a whole capture. If the program is still running, the answer is its state now.
///
/// A process's live memory counts towards the tree until the process ends. A process that was killed leaves no event of
/// its end: it counts until its last event, or until the last event of its descendants if that is later, since it was
/// waiting for them. A process whose recording stopped or is damaged went on unrecorded, and counts to the end.
///
/// # Errors
/// If nothing of it can be read, or a newer deadweight wrote it.
pub fn analyse(capture: &Capture) -> Result<Analysis, Error> {
    analyse_with(capture, &[])
}

/// As [`analyse`], with functions (`module:function` each) that are treated as regions in addition to those that were named
/// when the run was started. They do not see what was folded away before.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_with(capture: &Capture, functions: &[String]) -> Result<Analysis, Error> {
    let (mut recordings, mut moments) = read(capture, functions)?;
    // A supervisor may fold segments away while they are being read. Then the new fold has their contents.
    for _ in 0..2 {
        if !recordings.streams.iter().any(|stream| stream.vanished) {
            break;
        }
        (recordings, moments) = read(&Capture::open(capture.folder())?, functions)?;
    }
    if recordings.streams.is_empty()
        && let Some(error) = recordings.failure.take()
    {
        return Err(error.into());
    }
    Ok(Analysis {
        moments,
        ..answer(recordings)
    })
}

fn read(capture: &Capture, functions: &[String]) -> Result<(Recordings, Vec<LedgerSample>), Error> {
    // A capture without a manifest can be analysed, one of a newer version cannot.
    if let Err(newer @ deadweight_capture::Error::NewerVersion { .. }) = capture.manifest() {
        return Err(newer.into());
    }
    let mut recordings = Recordings::new(Reading::Finished, replay::functions(capture, functions));
    if let Some(fold) = capture.fold() {
        recordings.load_fold(fold)?;
    }
    recordings.add(capture)?;
    let mut liveness = LivenessTracker::default();
    let moments = ledger::each(capture.folder(), &mut recordings, |recordings, until| {
        Ok(recordings.run(until, |replay, streams, at| liveness.drained(replay, streams, at))?)
    })?;
    recordings.run(u64::MAX, |replay, streams, at| liveness.drained(replay, streams, at))?;
    Ok((recordings, moments))
}

/// Keeps processes that have no events left in the tree as long as they have running descendants.
#[derive(Debug, Default)]
struct LivenessTracker {
    /// Streams without events left, whose processes wait for their descendants.
    waiting: Vec<usize>,
}

impl LivenessTracker {
    fn drained(&mut self, replay: &mut Replay, streams: &[Stream], at: usize) {
        let Some(stream) = streams.get(at) else { return };
        let damaged = matches!(stream.tail, Tail::CutOff { .. });
        let goes_on_unseen = damaged || stream.state.stopped_because().is_some();
        if !goes_on_unseen && replay.process(stream.process).is_some_and(|process| !process.is_gone()) {
            self.waiting.push(at);
        }
        if self.waiting.is_empty() {
            return;
        }
        let ancestors = ancestors_of_active(streams);
        self.waiting.retain(|&at| {
            let Some(stream) = streams.get(at) else { return false };
            let replaced = streams
                .iter()
                .any(|other| other.id.pid == stream.id.pid && other.id.incarnation > stream.id.incarnation);
            let waits = !replaced && ancestors.contains(&stream.id.pid);
            if !waits {
                replay.leave(stream.process);
            }
            waits
        });
    }
}

/// The pids of all processes with a descendant that has events left.
fn ancestors_of_active(streams: &[Stream]) -> HashSet<u32> {
    let parents: std::collections::HashMap<u32, u32> =
        streams.iter().map(|stream| (stream.id.pid, stream.parent)).collect();
    let mut ancestors = HashSet::new();
    for stream in streams.iter().filter(|stream| !stream.drained) {
        let mut next = stream.parent;
        // Each pid is inserted once, so a cycle of parents ends.
        while ancestors.insert(next) {
            let Some(&parent) = parents.get(&next) else { break };
            next = parent;
        }
    }
    ancestors
}

fn answer(recordings: Recordings) -> Analysis {
    let Recordings {
        replay,
        streams,
        mut warnings,
        ..
    } = recordings;
    let peak = replay.peak();
    let (processes, tree) = replay.into_processes();
    let exact = !processes.is_empty() && processes.iter().all(|process| process.recording.exact);
    let interval_bytes = processes
        .iter()
        .map(|process| process.recording.interval_bytes)
        .find(|&interval| interval > 0);
    let mut answers = Vec::with_capacity(processes.len());
    // Streams and processes have the same order.
    for (process, stream) in processes.into_iter().zip(&streams) {
        let answer = process_answer(process, stream, &tree, &mut warnings);
        answers.push(answer);
    }
    answers.sort_by_key(|answer: &ProcessAnswer| (answer.span_nanos.0, answer.id));
    Analysis {
        exact,
        interval_bytes: interval_bytes.unwrap_or(0),
        peak,
        moments: Vec::new(),
        processes: answers,
        warnings,
    }
}

fn process_answer(mut process: Process, stream: &Stream, tree: &Tree, warnings: &mut Vec<String>) -> ProcessAnswer {
    process.stacks.resolve();
    let gone = process.is_gone();
    let native = process.native();
    let mut at_tree_peak = crate::replay::weight::Weight::default();
    let mut amounts: Vec<StackAmounts> = process
        .cells()
        .iter()
        .zip(0..)
        .map(|(cell, id)| {
            let peak = tree.at_peak(cell, gone);
            at_tree_peak.add(peak);
            StackAmounts {
                peak: peak.amount(),
                allocated: cell.allocated.amount(),
                end: cell.live.amount(),
                end_native_bytes: native.get(&StackId(id)).copied().unwrap_or(0),
                largest_bytes: cell.largest,
            }
        })
        .collect();
    if amounts.len() < process.stacks.len() {
        amounts.resize(process.stacks.len(), StackAmounts::default());
    }
    let last = process.nanos();
    let first = process.first_nanos.unwrap_or(last);
    let regions = std::mem::take(&mut process.regions).answer(last, &process.stacks);
    warnings.append(&mut process.metadata.warnings);
    warnings.extend(stream.warnings.iter().cloned());
    if let Some(why) = stream.state.stopped_because() {
        let seconds = last.saturating_sub(first) as f64 / 1e9;
        warnings.push(format!(
            "pid {} stopped being recorded after {seconds:.1} s: {why}",
            stream.id.pid
        ));
    }
    ProcessAnswer {
        id: stream.id,
        parent: process.metadata.parent,
        argv: split_argv(&process.metadata.argv),
        python: Some(process.metadata.python).filter(|&version| version != 0),
        forked: process.metadata.forked,
        span_nanos: (first, last),
        own_peak: process.own_peak.amount(),
        own_peak_nanos: process.own_peak_nanos,
        at_tree_peak: at_tree_peak.amount(),
        end: process.live().amount(),
        max_rss_bytes: process.metadata.max_rss_bytes,
        python_ends_nanos: process.metadata.python_ends_nanos,
        python_ended: process.metadata.python_ended,
        state: stream.state,
        tail: stream.tail,
        lost_events: process.metadata.lost_events,
        unseen_frees: process.unseen_frees,
        notes: process.metadata.notes,
        stacks: process.stacks,
        history: process.history.into_history(),
        amounts,
        regions,
    }
}

/// Arguments end with a NUL byte; the last one may be cut off.
fn split_argv(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    let arguments = bytes.split(|&byte| byte == 0);
    arguments
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}
