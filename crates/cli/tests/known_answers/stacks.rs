//! Whole stacks: every frame's file, function and line, as the program itself saw them.

use std::collections::HashMap;

use crate::amounts::agrees;
use crate::pythons::each;
use crate::recording::{Mode, Recording, frames};
use crate::started::shared_program;
use crate::stated;

#[test]
fn each_stack_is_the_one_that_the_program_saw() {
    each("stacks", |python, findings| {
        let recorded = Recording::of(python, Mode::Exact, shared_program("frames"));
        let Some(recording) = findings.take("frames.py", recorded) else {
            return;
        };
        let Some(process) = findings.take("frames.py", recording.process()) else {
            return;
        };
        let Some(ledger) = agrees(&recording, process, "frames.py", findings) else {
            return;
        };
        let mut by_size: HashMap<u64, Vec<_>> = HashMap::new();
        for (size, stack) in &ledger.births {
            by_size.entry(*size).or_default().push(*stack);
        }
        let (mut stacks, mut compared) = (0, 0);
        for fact in recording.facts.all("stack") {
            let (case, size) = (fact["case"].as_str().unwrap_or_default(), stated::number(fact, "size"));
            let found = by_size.get(&size).map(Vec::as_slice).unwrap_or_default();
            findings.check(found.len() == 1, || {
                format!("{case}: {} blocks of {size} bytes", found.len())
            });
            let Some(stack) = found.first() else { continue };
            let (seen, said) = (frames(&process.stacks, *stack), stated::frames(&fact["stack"]));
            stacks += 1;
            compared += said.len();
            findings.check(seen == said, || {
                let at = seen.iter().zip(&said).position(|(seen, said)| seen != said);
                let at = at.unwrap_or(seen.len().min(said.len()));
                format!(
                    "{case} ({size} bytes): frame {at} of {}: recorded {:?}, true {:?}",
                    said.len(),
                    seen.get(at),
                    said.get(at)
                )
            });
        }
        let stated = recording.facts.one("stacks").map(|fact| stated::number(fact, "count"));
        findings.check(stated == Ok(stacks) && stacks > 100, || {
            format!("{stacks} stacks, stated {stated:?}")
        });
        findings.detail = format!(" ({stacks} stacks, {compared} frames)");
    });
}
