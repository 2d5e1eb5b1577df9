//! SIGKILL at any moment: what was recorded until then is there.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::Tail;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ledger::Ledger;
use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, Recording, around, by_function, folder};
use crate::started::{Started, own_program, shared_program};
use crate::stated::{Facts, number};

const KILLS: u64 = 10;

/// What a kill is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// The start, so that it may come while the interpreter or the agent begins.
    Start,
    /// The first block of which the program has said that it holds it.
    FirstBlock,
}

/// Starts a program, kills it after so many milliseconds, and reads the capture.
fn kill_after(
    python: &Python,
    mode: Mode,
    (program, says_a_block): (&Path, &str),
    (from, millis): (From, u64),
) -> Result<Recording, String> {
    let folder = folder();
    let mut command = around(python, mode, folder.path());
    let mut started = Started::new(command.arg(program));
    let (mut start, moment) = (Instant::now(), Duration::from_millis(millis));
    let pid = loop {
        let manifest = Manifest::read(&folder.path().join("c.dw"));
        if let Some(pid) = manifest.ok().and_then(|manifest| manifest.pid) {
            break pid;
        }
        if start.elapsed() > Duration::from_secs(20) {
            return Err("the run never began".to_string());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    if from == From::FirstBlock {
        started.await_output(says_a_block)?;
        start = Instant::now();
    }
    // A moment at random is what is tested here.
    std::thread::sleep(moment.saturating_sub(start.elapsed()));
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL)
        .map_err(|error| format!("it was gone before the kill: {error}"))?;
    Recording::read(started.end()?, folder)
}

/// The status, the tail, and the last process's simple replay.
fn check(recording: &Recording, what: &str, findings: &mut Findings) -> Option<Ledger> {
    let how = recording.ended.how();
    findings.check(how == "signal 9", || {
        format!("{what}: deadweight ended with {how}: {}", recording.ended.err)
    });
    findings.check(recording.analysis.warnings.is_empty(), || {
        format!("{what}: {:?}", recording.analysis.warnings)
    });
    let process = recording.analysis.processes.last()?;
    let readable = matches!(process.tail, Tail::Open | Tail::Complete);
    findings.check(readable, || format!("{what}: the tail is {:?}", process.tail));
    let ledger = findings.take(what, Ledger::of(&recording.capture, process.id))?;
    let fine = ledger
        .tails
        .iter()
        .all(|tail| matches!(tail, Tail::Open | Tail::Complete));
    findings.check(fine, || format!("{what}: tails {:?}", ledger.tails));
    let (ours, theirs) = (ledger.end, process.end.bytes);
    findings.check((ours - theirs as f64).abs() < 2e3 + ours * 1e-4, || {
        format!("{what}: {theirs} bytes live at the end in the analysis, {ours} by a simple replay")
    });
    Some(ledger)
}

#[test]
fn a_kill_at_any_moment_leaves_a_capture_of_all_that_was_said() {
    let mut state = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let moments: Vec<(From, u64)> = (0..2 * KILLS)
        .map(|turn| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let from = if turn / 2 % 2 == 0 {
                From::Start
            } else {
                From::FirstBlock
            };
            (from, 5 + (state >> 33) % if from == From::Start { 400 } else { 150 })
        })
        .collect();
    crate::skips::say(&format!("killed: moments, in ms {moments:?}"));
    each("killed", |python, findings| {
        let mut in_the_middle = 0;
        for (turn, moment) in moments.iter().enumerate() {
            let mode = if turn % 2 == 0 {
                Mode::Exact
            } else {
                Mode::Sampled(turn as u64)
            };
            let threads = turn as u64 >= KILLS;
            let what = format!(
                "{} killed after {moment:?} ms, {mode:?}",
                if threads { "threads" } else { "kill_me.py" }
            );
            let (program, says_a_block) = if threads {
                (own_program("kill_threads"), "+")
            } else {
                (shared_program("kill_me"), "live")
            };
            let recorded = kill_after(python, mode, (&program, says_a_block), *moment);
            let Some(recording) = findings.take(&what, recorded) else {
                continue;
            };
            let Some(ledger) = check(&recording, &what, findings) else {
                continue;
            };
            let process = recording.analysis.processes.last().expect("it was checked");
            let live = by_function(&process.stacks, &ledger.large_at_end);
            let live = live.get("grow").copied().unwrap_or_default();
            // Said after it was done: there may be more, by one block for each thread.
            let (said, more) = if threads {
                let block = 2 * 1024 * 1024 + 33;
                (recording.ended.out.matches('+').count() as u64 * block, 4 * block)
            } else {
                let facts = Facts::of(&recording.ended.out);
                let said = facts.all("live").last().map_or(0, |fact| number(fact, "bytes"));
                (said, 5 * 1024 * 1024)
            };
            in_the_middle += usize::from(said > 0);
            findings.check((said..=said + more).contains(&live), || {
                format!("{what}: {live} bytes live in grow at the end, the program said {said}")
            });
        }
        // All that waited for a block, at least.
        findings.check(in_the_middle as u64 >= KILLS, || {
            format!("only {in_the_middle} kills came after the first block")
        });
        findings.detail = format!(" ({} kills, {in_the_middle} after the first block)", moments.len());
    });
}
