//! Anonymous mappings that grow, shrink and lose parts.

use crate::amounts::{SMALL, agrees, by_function, is_explained};
use crate::pythons::each;
use crate::recording::{Mode, Recording, by_function as by_function_of};
use crate::started::shared_program;
use crate::stated;

#[test]
fn mappings_are_followed_through_resizing_and_partial_unmapping() {
    each("mappings", |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(5)] {
            let what = format!("mmap_resize.py {mode:?}");
            let recorded = Recording::of(python, mode, shared_program("mmap_resize"));
            let Some(recording) = findings.take(&what, recorded) else {
                continue;
            };
            let Some(process) = findings.take(&what, recording.process()) else {
                continue;
            };
            is_explained(&recording.analysis, &what, findings);
            let Some(ledger) = agrees(&recording, process, &what, findings) else {
                continue;
            };
            let Some(peak) = findings.take(&what, recording.facts.one("peak")) else {
                continue;
            };
            let stated = stated::number(peak, "bytes");

            let large = by_function_of(&process.stacks, &ledger.large_at_peak);
            let found = large.get("resize").copied().unwrap_or_default();
            findings.check(found == stated, || {
                format!("{what}: {found} bytes in resize at the peak, not {stated}")
            });
            let peaks = by_function(process, |amounts| amounts.peak);
            let found = peaks.get("resize").copied().unwrap_or_default().bytes;
            findings.check((stated..stated + SMALL).contains(&found), || {
                format!("{what}: the analysis has {found} bytes in resize at the peak, not {stated}")
            });
            let mapped = recording.analysis.peak.composition.mapped_bytes;
            findings.check((stated..stated + 4 * SMALL * 16).contains(&mapped), || {
                format!("{what}: {mapped} bytes are mapped at the peak, not {stated}")
            });
            let ends = by_function(process, |amounts| amounts.end);
            for function in ["resize", "unmap_parts"] {
                let found = ends.get(function).copied().unwrap_or_default().bytes;
                findings.check(found < SMALL, || {
                    format!("{what}: {found} bytes of {function} are left at the end")
                });
            }
            // Each moment that the program states, in this order; the interpreter may have mappings of its own.
            let base = ledger.mapped.first().copied().unwrap_or_default();
            let mut moments = ledger.mapped.iter();
            for fact in recording.facts.all("peak").chain(recording.facts.all("live")) {
                let stated = stated::number(fact, "bytes");
                let found = moments.any(|now| now.abs_diff(stated) <= 4 * 1024 * 1024 || *now == base + stated);
                findings.check(found, || format!("{what}: {fact} never came: {:?}", ledger.mapped));
            }
        }
    });
}
