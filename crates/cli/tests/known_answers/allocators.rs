//! Python's allocators set in every way there is: the program prints the same, and the figures stay right.

use deadweight_analysis::ProcessAnswer;

use crate::amounts::{agrees, at_line, by_function, is_explained, line_of};
use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, Recording, by_function as by_function_of, folder};
use crate::skips::absent;
use crate::started::{own_program, plain, run, shared_program};
use crate::stated::number;

/// Name, environment, interpreter options.
type Setting = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const SETTINGS: [Setting; 9] = [
    ("as it is", &[], &[]),
    ("malloc", &[("PYTHONMALLOC", "malloc")], &[]),
    ("debug", &[("PYTHONMALLOC", "debug")], &[]),
    ("malloc_debug", &[("PYTHONMALLOC", "malloc_debug")], &[]),
    ("pymalloc", &[("PYTHONMALLOC", "pymalloc")], &[]),
    ("pymalloc_debug", &[("PYTHONMALLOC", "pymalloc_debug")], &[]),
    ("mimalloc", &[("PYTHONMALLOC", "mimalloc")], &[]),
    ("-X dev", &[], &["-X", "dev"]),
    ("PYTHONTRACEMALLOC=5", &[("PYTHONTRACEMALLOC", "5")], &[]),
];

const COUNT: u64 = 50_000;
const SMALL: u64 = COUNT * 233;
const LARGE: u64 = 9 * 1024 * 1024 + 33;

fn check_setting(python: &Python, mode: Mode, setting: usize, findings: &mut Findings) {
    let (name, variables, options) = SETTINGS[setting];
    let what = format!("{name}, {mode:?}");
    let program = own_program("allocators");
    let here = folder();
    let mut bare = plain(python, here.path());
    let bare = run(bare.envs(variables.iter().copied()).args(options).arg(&program));
    let Some(bare) = findings.take(&what, bare) else { return };
    if name == "mimalloc" && !bare.status.success() {
        return absent(
            &format!("PYTHONMALLOC=mimalloc with Python {}", python.name),
            "this Python does not know it",
        );
    }
    let recorded = Recording::with(python, mode, |command| {
        command.envs(variables.iter().copied()).args(options).arg(&program);
    });
    let Some(recording) = findings.take(&what, recorded) else {
        return;
    };
    let ended = &recording.ended;
    findings.check(
        ended.status == bare.status && ended.out == bare.out && ended.err == bare.err,
        || format!("{what}: plain {bare:?}, recorded {ended:?}"),
    );
    let Some(recording) = findings.take(&what, recording.sound()) else {
        return;
    };
    let Some(process) = findings.take(&what, recording.process()) else {
        return;
    };
    is_explained(&recording.analysis, &what, findings);
    // tracemalloc notes each block in one of its own, with malloc, under the same line.
    let notes = if name.contains("TRACEMALLOC") {
        2 * 64 * COUNT
    } else {
        0
    };
    check_amounts(&recording, process, mode, notes, &what, findings);
}

/// The small objects within 1 % (exact) or 4 standard errors, the large block to the byte.
fn check_amounts(
    recording: &Recording,
    process: &ProcessAnswer,
    mode: Mode,
    notes: u64,
    what: &str,
    findings: &mut Findings,
) {
    let line = line_of(&own_program("allocators"), "held[i] = bytes(LENGTH)");
    let small = at_line(process, "keep", line, |amounts| amounts.peak);
    let tolerance = if mode == Mode::Exact {
        SMALL / 100
    } else {
        4 * small.error_bytes()
    };
    findings.check(
        (SMALL - tolerance..=SMALL + notes + tolerance).contains(&small.bytes),
        || format!("{what}: {small:?} in small objects at the peak, not {SMALL}"),
    );
    let Some(ledger) = agrees(recording, process, what, findings) else {
        return;
    };
    let found = by_function_of(&process.stacks, &ledger.large_at_peak)
        .get("block")
        .copied();
    // Debug hooks and mimalloc are below the wrapper or beside it; the block itself is what was asked for.
    let fits = found.is_some_and(|found| (LARGE..LARGE + 64).contains(&found));
    findings.check(fits, || {
        format!("{what}: {found:?} bytes in the large block, not {LARGE}")
    });
    let heap = recording.analysis.peak.heap.bytes;
    let most = LARGE + SMALL + notes + 8 * COUNT + 10 * 1024 * 1024 + 4 * recording.analysis.peak.heap.error_bytes();
    findings.check(heap <= most, || {
        format!("{what}: the peak is {heap} bytes, at most {most} are explicable")
    });
}

#[test]
fn every_allocator_setting_gives_the_same_figures() {
    each("allocators", |python, findings| {
        for setting in 0..SETTINGS.len() {
            check_setting(python, Mode::Exact, setting, findings);
            check_setting(python, Mode::Sampled(4), setting, findings);
        }
    });
}

#[test]
fn tracemalloc_switched_on_and_off_loses_no_large_block() {
    each("tracemalloc", |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(6)] {
            let what = format!("tracemalloc_toggle.py {mode:?}");
            let program = shared_program("tracemalloc_toggle");
            let here = folder();
            let Some(bare) = findings.take(&what, run(plain(python, here.path()).arg(&program))) else {
                return;
            };
            let recorded = Recording::with(python, mode, |command| {
                command.arg(&program);
            });
            let Some(recording) = findings.take(&what, recorded) else {
                continue;
            };
            let ended = &recording.ended;
            findings.check(
                (ended.how(), &ended.out, &ended.err) == (bare.how(), &bare.out, &bare.err),
                || format!("{what}: plain {bare:?}, recorded {ended:?}"),
            );
            let Some(process) = findings.take(&what, recording.process()) else {
                continue;
            };
            let Some(ledger) = agrees(&recording, process, &what, findings) else {
                continue;
            };
            let peaks = by_function(process, |amounts| amounts.peak);
            let large = by_function_of(&process.stacks, &ledger.large_at_peak);
            for fact in recording.facts.all("kept") {
                let function = fact["function"].as_str().expect("a function");
                let (list, block) = (number(fact, "list"), number(fact, "large"));
                let found = large.get(function).copied().unwrap_or_default();
                findings.check(found == list + block, || {
                    format!("{what}: {found} bytes in large blocks: {fact}")
                });
                let small = number(fact, "count") * number(fact, "size");
                let amount = peaks.get(function).copied().unwrap_or_default();
                let tolerance = small / 50 + 4 * amount.error_bytes() + 32 * 1024;
                let right = amount.bytes.abs_diff(list + block + small) <= tolerance;
                // What tracemalloc took away and was not found again is said.
                let said = function == "after" && process.notes.iter().any(|note| note.contains("tracemalloc"));
                findings.check(right || said, || {
                    format!(
                        "{what}: {} bytes at the peak: {fact}; notes {:?}",
                        amount.bytes, process.notes
                    )
                });
            }
        }
    });
}
