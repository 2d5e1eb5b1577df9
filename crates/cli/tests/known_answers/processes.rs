//! Process trees: each child is recorded, knows its parent, and counts once.

use std::collections::HashMap;

use deadweight_analysis::ProcessAnswer;
use serde_json::Value;

use crate::amounts::{SMALL, by_function, is_explained};
use crate::ledger::Ledger;
use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, Recording, by_function as by_function_of};
use crate::skips::absent;
use crate::started::{own_program, shared_program};
use crate::stated::{self, number};

/// What an interpreter with multiprocessing or subprocess imported has beside the stated blocks, at most.
const START_UP: u64 = 12 * 1024 * 1024;

/// What stands between a stated process and its stated parent: processes that the program did not write itself.
fn between(name: &str, python: &Python) -> u32 {
    match name {
        "pool_forkserver" => 1,
        "executor" if python.minor >= 14 => 1,
        _ => 0,
    }
}

fn check_tree(python: &Python, mode: Mode, name: &str, findings: &mut Findings) {
    let what = format!("{name}.py {mode:?}");
    let recorded = Recording::of(python, mode, shared_program(name));
    let Some(recording) = findings.take(&what, recorded) else {
        return;
    };
    is_explained(&recording.analysis, &what, findings);
    let processes = &recording.analysis.processes;
    // After an exec the later program is the one that states something.
    let by_pid: HashMap<u32, &ProcessAnswer> = processes.iter().map(|process| (process.id.pid, process)).collect();
    let facts: Vec<&Value> = recording.facts.all("process").collect();
    // A shell between two Pythons is no recorded process: the supervisor saw it.
    let seen = recording
        .capture
        .manifest()
        .map(|manifest| manifest.processes)
        .unwrap_or_default();
    let mut parents: HashMap<u32, u32> = seen.iter().map(|process| (process.pid, process.parent)).collect();
    parents.extend(processes.iter().map(|process| (process.id.pid, process.parent)));
    let root = facts
        .iter()
        .find(|fact| fact["role"] == "parent" || fact["role"] == "root");
    let Some(root) = root.map(|fact| number(fact, "pid") as u32) else {
        return findings.check(false, || format!("{what}: no root is stated"));
    };
    for fact in &facts {
        let pid = number(fact, "pid") as u32;
        let Some(process) = by_pid.get(&pid) else {
            findings.check(false, || format!("{what}: {fact} is not recorded"));
            continue;
        };
        check_process(&recording, process, fact, &what, findings);
        let mut chain = vec![process.parent];
        while let Some(parent) = chain
            .last()
            .and_then(|pid| parents.get(pid))
            .filter(|_| chain.len() < 9)
        {
            chain.push(*parent);
        }
        let at = chain.iter().position(|pid| *pid == root);
        let expected = match fact["role"].as_str() {
            Some("parent" | "root") => None,
            // Root, child, shell, grandchild. A shell holds no Python, so it is no recorded process, and the
            // supervisor may or may not list it: then the chain ends there.
            Some("grandchild") if chain.len() == 1 => continue,
            Some("grandchild") => Some(2..=2),
            _ => Some(between(name, python) as usize..=between(name, python) as usize),
        };
        let fits = match (&expected, at) {
            (None, None) => true,
            (Some(range), Some(at)) => range.contains(&at),
            _ => false,
        };
        findings.check(fits, || {
            format!("{what}: {fact} has ancestors {chain:?}, the root is {root}")
        });
    }
    let Some(tree) = findings.take(&what, recording.facts.one("tree")) else {
        return;
    };
    let (stated, heap) = (number(tree, "peak"), recording.analysis.peak.heap.bytes);
    let most = stated + START_UP * processes.len() as u64;
    findings.check((stated..=most).contains(&heap), || {
        format!(
            "{what}: the tree's peak is {heap} bytes, stated {stated} ({} processes)",
            processes.len()
        )
    });
    // Of the stated functions nothing counts twice, in whatever process it is.
    let mut sums: HashMap<String, u64> = HashMap::new();
    for fact in &facts {
        for (function, bytes) in stated::functions(fact) {
            *sums.entry(function).or_default() += bytes;
        }
    }
    for (function, bytes) in sums {
        let amounts = processes
            .iter()
            .map(|process| by_function(process, |amounts| amounts.peak));
        let found: u64 = amounts
            .filter_map(|sums| sums.get(&function).map(|amount| amount.bytes))
            .sum();
        let most = bytes + SMALL * 16 * facts.len() as u64;
        findings.check((bytes..=most).contains(&found), || {
            format!("{what}: {function} has {found} bytes in the whole tree at its peak, stated {bytes}")
        });
    }
}

/// What one process states about itself.
fn check_process(recording: &Recording, process: &ProcessAnswer, fact: &Value, what: &str, findings: &mut Findings) {
    let Some(ledger) = findings.take(what, Ledger::of(&recording.capture, process.id)) else {
        return;
    };
    let peaks = by_function(process, |amounts| amounts.peak);
    for (function, bytes) in stated::functions(fact) {
        let amount = peaks.get(&function).copied().unwrap_or_default();
        let most = bytes + SMALL * 16 + 4 * amount.error_bytes();
        findings.check((bytes..=most).contains(&amount.bytes), || {
            format!(
                "{what}: {function} has {} bytes at the tree's peak: {fact}",
                amount.bytes
            )
        });
        let large = ledger
            .births
            .iter()
            .copied()
            .filter(|(size, _)| *size > 8 * 1024 * 1024);
        let large: Vec<_> = large.collect();
        let found = by_function_of(&process.stacks, &large)
            .get(&function)
            .copied()
            .unwrap_or_default();
        findings.check(found == bytes, || {
            format!("{what}: {function} made {found} bytes in large blocks: {fact}")
        });
    }
}

fn check_all(mode: Mode) {
    each(&format!("trees {mode:?}"), |python, findings| {
        for name in [
            "fork",
            "pool_fork",
            "pool_spawn",
            "pool_forkserver",
            "subprocess_tree",
            "executor",
        ] {
            if (name.starts_with("pool") || name == "executor") && !python.has("_multiprocessing") {
                absent(
                    &format!("{name}.py with Python {}", python.name),
                    "built without _multiprocessing",
                );
                continue;
            }
            check_tree(python, mode, name, findings);
        }
    });
}

#[test]
fn a_tree_of_processes_peaks_at_the_sum_of_its_blocks() {
    check_all(Mode::Exact);
}

#[test]
fn a_tree_of_processes_peaks_at_the_sum_of_its_blocks_when_sampled() {
    check_all(Mode::Sampled(11));
}

#[test]
fn each_program_that_exec_starts_is_an_incarnation_of_its_own() {
    each("exec", |python, findings| {
        let recorded = Recording::with(python, Mode::Exact, |command| {
            command.arg(own_program("processes")).arg("exec_itself");
        });
        let Some(recording) = findings.take("exec_itself", recorded) else {
            return;
        };
        findings.check(recording.analysis.warnings.is_empty(), || {
            format!("{:?}", recording.analysis.warnings)
        });
        let mut programs: Vec<&ProcessAnswer> = recording.analysis.processes.iter().collect();
        programs.sort_by_key(|process| process.id.incarnation);
        findings.check(programs.len() == 6, || {
            format!("{} programs instead of 6", programs.len())
        });
        for (turn, process) in programs.iter().enumerate() {
            let what = format!("program {turn}");
            let same = process.id.pid == programs[0].id.pid && process.id.incarnation == turn as u32;
            findings.check(same && !process.forked, || format!("{what} is {:?}", process.id));
            let Some(ledger) = findings.take(&what, Ledger::of(&recording.capture, process.id)) else {
                continue;
            };
            let large = by_function_of(&process.stacks, &ledger.large_at_peak);
            let (found, stated) = (
                large.get("exec_itself").copied().unwrap_or_default(),
                (10 + turn as u64) << 20,
            );
            let headers = stated + 1..=stated + 64;
            findings.check(headers.contains(&found), || {
                format!("{what} holds {found} bytes, not {stated}")
            });
        }
        // None of them lives on beside the next.
        let (heap, most) = (recording.analysis.peak.heap.bytes, (15 << 20) + START_UP);
        findings.check(heap <= most, || {
            format!("the peak is {heap} bytes: programs that are gone count in it")
        });
    });
}

#[test]
fn memory_of_native_threads_is_under_no_python_frame() {
    each("native threads", |python, findings| {
        if !python.has("_ctypes") {
            return absent(
                &format!("native threads with Python {}", python.name),
                "built without ctypes",
            );
        }
        for mode in [Mode::Exact, Mode::Sampled(2)] {
            let recorded = Recording::of(python, mode, own_program("native_threads"));
            let Some(recording) = findings.take("native_threads.py", recorded) else {
                continue;
            };
            let Some(process) = findings.take("native_threads.py", recording.process()) else {
                continue;
            };
            let Some(ledger) = findings.take("ledger", Ledger::of(&recording.capture, process.id)) else {
                continue;
            };
            let is_ours = |size: &u64| (3_000_000..3_000_010).contains(size);
            let born: Vec<_> = ledger.births.iter().filter(|(size, _)| is_ours(size)).collect();
            findings.check(born.len() == 10, || {
                format!("{mode:?}: {} of 10 blocks are recorded", born.len())
            });
            for (size, stack) in born {
                let frames = crate::recording::frames(&process.stacks, *stack);
                let native = frames.len() == 1 && frames[0].starts_with("<native>");
                findings.check(native, || {
                    format!("{mode:?}: the block of {size} bytes is under {frames:?}")
                });
            }
            let left = ledger.large_at_end.iter().filter(|(size, _)| is_ours(size)).count();
            findings.check(left == 5, || format!("{mode:?}: {left} of 5 blocks are left"));
        }
    });
}
