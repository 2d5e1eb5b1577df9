//! Code objects that come and go at the same addresses never lend each other their names.

use crate::amounts::agrees;
use crate::ledger::LARGE;
use crate::pythons::each;
use crate::recording::{Mode, Recording, frames};
use crate::started::own_program;

/// The sizes of the program's blocks: 300,000 and the function's number, and the header of a `bytes`.
const FIRST: u64 = 300_000 + 33;
const COUNT: u64 = 3_000;

#[test]
fn a_dropped_function_never_lends_its_name_to_the_next() {
    each("code objects", |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(3)] {
            let recorded = Recording::of(python, mode, own_program("reused_code"));
            let Some(recording) = findings.take("reused_code.py", recorded) else {
                continue;
            };
            let Some(process) = findings.take("reused_code.py", recording.process()) else {
                continue;
            };
            let Some(ledger) = agrees(&recording, process, "reused_code.py", findings) else {
                continue;
            };
            let mut seen = 0;
            for (size, stack) in ledger
                .births
                .iter()
                .filter(|(size, _)| (FIRST..FIRST + COUNT).contains(size))
            {
                assert!(*size >= LARGE);
                let number = size - FIRST;
                let stack = frames(&process.stacks, *stack);
                let expected = format!("<generated {number}>:3 made_{number}");
                seen += 1;
                findings.check(stack.first() == Some(&expected), || {
                    format!("{mode:?}: {expected} is recorded as {:?}", stack.first())
                });
                findings.check(stack.len() == 3, || {
                    format!("{mode:?}: {expected} has {} frames", stack.len())
                });
            }
            findings.check(seen == COUNT, || {
                format!("{mode:?}: {seen} of {COUNT} functions are recorded")
            });
        }
    });
}
