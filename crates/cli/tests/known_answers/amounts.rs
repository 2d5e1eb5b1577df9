//! Checks of what an analysis says in sum, and how it agrees with the [`Ledger`].

use std::collections::BTreeMap;

use deadweight_analysis::{Amount, Analysis, ProcessAnswer, StackAmounts};
use deadweight_capture::StackId;
use deadweight_capture::read::Tail;

use crate::ledger::{Block, Ledger};
use crate::pythons::Findings;
use crate::recording::{Recording, frames, function};

/// What the small blocks of a function that also makes a large one may come to.
pub const SMALL: u64 = 64 * 1024;

/// Sums of a process by innermost function.
pub fn by_function(process: &ProcessAnswer, which: impl Fn(&StackAmounts) -> Amount) -> BTreeMap<String, Amount> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (id, amounts) in process.amounts.iter().enumerate() {
        let amount = which(amounts);
        if amount != Amount::default() {
            *sums.entry(function(&process.stacks, StackId(id as u32))).or_default() += amount;
        }
    }
    sums
}

/// What an innermost function and line made.
pub fn at_line(process: &ProcessAnswer, name: &str, line: u32, which: impl Fn(&StackAmounts) -> Amount) -> Amount {
    let mut sum = Amount::default();
    for (id, amounts) in process.amounts.iter().enumerate() {
        let frame = process.stacks.frame(StackId(id as u32));
        if frame.is_some_and(|frame| frame.function == name && frame.line == line) {
            sum += which(amounts);
        }
    }
    sum
}

/// The line of a program that contains this text.
pub fn line_of(program: &std::path::Path, text: &str) -> u32 {
    let source = std::fs::read_to_string(program).expect("the program's source");
    let at = source.lines().position(|line| line.contains(text));
    1 + at.unwrap_or_else(|| panic!("{text} is not in {}", program.display())) as u32
}

/// Blocks whose end may go unseen: while the agent compares frames at the start, tracemalloc may replace a table of its
/// own, and what is freed within the agent is not recorded.
fn unseen_allowed(what: &str) -> u64 {
    u64::from(what.contains("TRACEMALLOC"))
}

/// Every byte of the peak is explained by a stack of a process.
pub fn is_explained(analysis: &Analysis, what: &str, findings: &mut Findings) {
    let peak = analysis.peak;
    let made_of = peak.composition.python_bytes + peak.composition.native_bytes + peak.composition.mapped_bytes;
    findings.check(made_of == peak.heap.bytes, || {
        format!("{what}: the peak is {} bytes, its parts {made_of}", peak.heap.bytes)
    });
    let of_processes: u64 = analysis
        .processes
        .iter()
        .map(|process| process.at_tree_peak.bytes)
        .sum();
    findings.check(of_processes == peak.heap.bytes, || {
        format!(
            "{what}: the peak is {} bytes, that of the processes {of_processes}",
            peak.heap.bytes
        )
    });
    for process in &analysis.processes {
        let of_stacks: u64 = process.amounts.iter().map(|amounts| amounts.peak.bytes).sum();
        let (pid, of_process) = (process.id.pid, process.at_tree_peak.bytes);
        findings.check(of_stacks == of_process, || {
            format!("{what}: pid {pid} has {of_process} bytes at the peak, its stacks {of_stacks}")
        });
        let ended: u64 = process.amounts.iter().map(|amounts| amounts.end.bytes).sum();
        findings.check(ended == process.end.bytes, || {
            format!(
                "{what}: pid {pid} has {} bytes at the end, its stacks {ended}",
                process.end.bytes
            )
        });
        let allowed = unseen_allowed(what);
        findings.check(process.lost_events == 0 && process.unseen_frees <= allowed, || {
            let (lost, unseen) = (process.lost_events, process.unseen_frees);
            format!("{what}: pid {pid}: {lost} events lost, {unseen} frees unseen")
        });
    }
}

/// The replay of a program of one process agrees with the simple one.
pub fn agrees(recording: &Recording, process: &ProcessAnswer, what: &str, findings: &mut Findings) -> Option<Ledger> {
    let ledger = findings.take(what, Ledger::of(&recording.capture, process.id))?;
    let exact = recording.analysis.exact;
    let close = |ours: f64, theirs: u64| (ours - theirs as f64).abs() <= if exact { 0.0 } else { 1e-4 * ours + 1e3 };
    let figures = [
        ("peak", ledger.peak, process.own_peak.bytes),
        ("end", ledger.end, process.end.bytes),
    ];
    for (name, ours, theirs) in figures {
        findings.check(close(ours, theirs), || {
            format!("{what}: the {name} is {theirs} bytes in the analysis, {ours} by a simple replay")
        });
    }
    let readable = ledger
        .tails
        .iter()
        .all(|tail| matches!(tail, Tail::Complete | Tail::Open));
    findings.check(readable, || format!("{what}: tails {:?}", ledger.tails));
    for (old, new) in ledger.unseen_frees.iter().skip(unseen_allowed(what) as usize) {
        let show = |(size, stack): &Block| format!("{size} bytes from {:?}", frames(&process.stacks, *stack));
        findings.check(false, || {
            format!(
                "{what}: the end of a block was never recorded: {}, then {}",
                show(old),
                show(new)
            )
        });
    }
    Some(ledger)
}
