//! `--exact`: what the programs state holds to the byte.

use serde_json::Value;

use crate::amounts::{SMALL, agrees, by_function, is_explained};
use crate::ledger::{LARGE, Ledger};
use crate::pythons::{Findings, Python, each};
use crate::recording::{self, Mode, Recording, frames};
use crate::started::shared_program;
use crate::stated;

/// Programs of one process that state what their peak is made of.
pub const PROGRAMS: [&str; 9] = [
    "peak_known",
    "recursion",
    "generators",
    "async_",
    "threads",
    "callbacks",
    "dunder_del",
    "exec_code",
    "many_modules",
];

/// Runs a program and holds everything that it states against its capture.
pub fn check_program(python: &Python, mode: Mode, name: &str, findings: &mut Findings) {
    let what = format!("{name}.py {mode:?}");
    let recorded = Recording::of(python, mode, shared_program(name));
    let Some(recording) = findings.take(&what, recorded) else {
        return;
    };
    let Some(process) = findings.take(&what, recording.process()) else {
        return;
    };
    is_explained(&recording.analysis, &what, findings);
    let Some(ledger) = agrees(&recording, process, &what, findings) else {
        return;
    };
    let stacks = &process.stacks;
    let Some(peak) = findings.take(&what, recording.facts.one("peak")) else {
        return;
    };
    let stated_bytes = stated::number(peak, "bytes");
    let heap = recording.analysis.peak.heap.bytes;
    findings.check(heap >= stated_bytes, || {
        format!("{what}: the peak is {heap}, {stated_bytes} of it stated")
    });

    let large = recording::by_function(stacks, &ledger.large_at_peak);
    let analysed = by_function(process, |amounts| amounts.peak);
    for (function, bytes) in stated::functions(peak) {
        let found = large.get(&function).copied().unwrap_or_default();
        findings.check(found == bytes, || {
            format!("{what}: {function} has {found} bytes in large blocks, not {bytes}")
        });
        let amount = analysed.get(&function).copied().unwrap_or_default();
        // Up to 3.10 each level of a recursion has a frame object of its own, made where it is called.
        let frames = if name == "recursion" { 512 * 1024 } else { 0 };
        let most = bytes + SMALL + frames + 4 * amount.error_bytes();
        findings.check((bytes..=most).contains(&amount.bytes), || {
            format!("{what}: {function} has {} bytes at the peak, not {bytes}", amount.bytes)
        });
    }
    if let Some(sizes) = peak["sizes"].as_array() {
        let mut stated: Vec<u64> = sizes.iter().filter_map(Value::as_u64).collect();
        let functions: Vec<String> = stated::functions(peak).into_iter().map(|(name, _)| name).collect();
        let of_them = ledger.large_at_peak.iter();
        let of_them = of_them.filter(|(_, stack)| functions.contains(&recording::function(stacks, *stack)));
        let mut found: Vec<u64> = of_them.map(|(size, _)| *size).collect();
        let others: u64 =
            stated::functions(peak).iter().map(|(_, bytes)| bytes).sum::<u64>() - stated.iter().sum::<u64>();
        if others > 0 {
            stated.push(others); // the one block beside the listed ones
        }
        stated.sort_unstable();
        found.sort_unstable();
        findings.check(found == stated, || format!("{what}: blocks {found:?}, not {stated:?}"));
    }
    for end in recording.facts.all("end") {
        let large = recording::by_function(stacks, &ledger.large_at_end);
        let analysed = by_function(process, |amounts| amounts.end);
        // At the end of the recording the interpreter has taken itself down: what `main` let go is gone.
        let stated: u64 = stated::number(end, "bytes");
        let (large, analysed): (u64, u64) = (large.values().sum(), analysed.values().map(|amount| amount.bytes).sum());
        findings.check(large <= stated && analysed <= heap, || {
            format!("{what}: {large} bytes are left, stated {stated}")
        });
    }
    check_blocks(&recording, process, &ledger, &what, findings);
}

/// What a program states about single blocks.
fn check_blocks(
    recording: &Recording,
    process: &deadweight_analysis::ProcessAnswer,
    ledger: &Ledger,
    what: &str,
    findings: &mut Findings,
) {
    for fact in recording.facts.all("block") {
        let size = stated::number(fact, "size");
        assert!(size >= LARGE, "the ledger keeps large blocks only");
        let of_size = ledger.births.iter().filter(|(born, _)| *born == size);
        let found: Vec<Vec<String>> = of_size.map(|(_, stack)| frames(&process.stacks, *stack)).collect();
        let [stack] = &found[..] else {
            findings.check(false, || format!("{what}: {} blocks of {size} bytes", found.len()));
            continue;
        };
        let functions: Vec<&str> = stack
            .iter()
            .filter_map(|frame| frame.split_once(' '))
            .map(|(_, name)| name)
            .collect();
        let holds = if let Some(frame) = fact["frame"].as_array() {
            stack.first() == stated::frames(&Value::Array(vec![frame.clone().into()])).first()
        } else if let Some(function) = fact["function"].as_str() {
            let depth = functions.iter().filter(|name| **name == function).count();
            depth as u64 == stated::number(fact, "depth")
        } else if let Some(names) = fact["functions"].as_array() {
            names.iter().zip(&functions).all(|(name, function)| name == function) && functions.len() >= names.len()
        } else {
            let starts = stated::frames(&fact["stack_starts"]);
            !starts.is_empty() && stack.starts_with(&starts)
        };
        findings.check(holds, || {
            format!("{what}: stated {fact}, recorded {:?}", &stack[..stack.len().min(4)])
        });
    }
}

#[test]
fn large_blocks_at_the_peak_are_exact_to_the_byte() {
    each("exact", |python, findings| {
        for name in PROGRAMS {
            check_program(python, Mode::Exact, name, findings);
        }
    });
}

#[test]
fn small_objects_are_exact_to_the_block() {
    each("exact churn", |python, findings| {
        let what = "churn.py";
        let recorded = Recording::of(python, Mode::Exact, shared_program("churn"));
        let Some(recording) = findings.take(what, recorded) else {
            return;
        };
        let Some(process) = findings.take(what, recording.process()) else {
            return;
        };
        is_explained(&recording.analysis, what, findings);
        agrees(&recording, process, what, findings);
        for measure in crate::sampled::measures(&recording) {
            let found = measure.amount(process);
            let fits = (measure.least..=measure.most + measure.beside + jit_bytes()).contains(&found.bytes);
            findings.check(fits, || format!("{what}: {measure:?}, recorded {found:?}"));
        }
    });
}

/// What the experimental JIT of 3.14 and 3.15, when it is on, allocates for hot code: under the line that was running.
fn jit_bytes() -> u64 {
    if std::env::var("PYTHON_JIT").is_ok_and(|jit| jit == "1") {
        64 * 1024
    } else {
        0
    }
}
