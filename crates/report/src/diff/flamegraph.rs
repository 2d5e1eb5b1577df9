//! A differential flame graph: how the heap at the peak changed, by call path.

use std::collections::BTreeMap;
use std::io::{self, Write};

use inferno::flamegraph::color::BackgroundColor;
use inferno::flamegraph::{Options, from_lines};

use super::measured::{Input, Recorded};
use super::model::Diff;
use super::significance::median;
use super::words;
use crate::attribution::frames::frames;
use crate::export::flamegraph::{NARROWEST_PERCENT, nothing};
use crate::identity::{Namer, Naming, Origin, Place};
use crate::words::names;

/// Draws the call paths of both sides. A frame is as wide as the larger of its two amounts, so that what is gone is there to
/// be seen; red has become more, blue less, and the innermost frame has the colour of its own change.
///
/// # Errors
/// If `out` fails.
pub fn render(before: &Input<'_>, after: &Input<'_>, diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    let naming = super::compare::naming(before, after);
    let (was, is) = (stacks(before, naming), stacks(after, naming));
    let mut paths: Vec<&String> = was.keys().chain(is.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let amount = |side: &BTreeMap<String, u64>, path: &String| side.get(path).copied().unwrap_or(0);
    // inferno draws the second number and colours by its difference to the first one.
    let line = |path: &String| {
        let (was, is) = (amount(&was, path), amount(&is, path));
        let width = was.max(is);
        format!("{path} {} {width}", width - is.min(width) + was.min(width))
    };
    let lines: Vec<String> = paths.into_iter().map(line).collect();
    if lines.is_empty() {
        return nothing(out);
    }
    let mut options = Options::default();
    options.title = format!("{} → {}", diff.before.name, diff.after.name);
    let peak = &diff.totals.peak_heap;
    options.subtitle = Some(format!(
        "Heap at the peak: {} before, {} after ({}). Red: more, blue: less; as wide as the larger of both",
        words::amount(peak.before_bytes),
        words::amount(peak.after_bytes),
        words::change(peak)
    ));
    "bytes, the larger of before and after".clone_into(&mut options.count_name);
    options.min_width = NARROWEST_PERCENT;
    options.bgcolors = Some(BackgroundColor::Flat((255, 255, 255).into()));
    from_lines(&mut options, lines.iter().map(String::as_str), out).map_err(io::Error::other)
}

/// Bytes at the peak by call path, outermost call first; the median over the runs.
fn stacks(input: &Input<'_>, naming: Naming) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (at, run) in input.runs.iter().enumerate() {
        for (path, bytes) in of_run(run, naming) {
            let list = all.entry(path).or_insert_with(|| vec![0; input.runs.len()]);
            list[at] = bytes;
        }
    }
    all.into_iter()
        .map(|(path, mut bytes)| (path, median(&mut bytes)))
        .filter(|(_, bytes)| *bytes > 0)
        .collect()
}

fn of_run(run: &Recorded<'_>, naming: Naming) -> BTreeMap<String, u64> {
    let namer = Namer::new(&Origin::from(&run.report.run), naming);
    let mut paths: BTreeMap<String, u64> = BTreeMap::new();
    for process in &run.analysis.processes {
        for (stack, amounts) in process.amounts.iter().enumerate() {
            if amounts.peak.bytes == 0 {
                continue;
            }
            let lines: Vec<_> = frames(process, stack).iter().map(names::line).collect();
            let frame = |place: &Place| {
                let text = match place.file.as_str() {
                    "" | "<native>" | "<python>" | "<unknown>" => place.function.clone(),
                    file => format!("{} ({file})", place.function),
                };
                names::clean(&text).replace(';', ",")
            };
            let frames: Vec<String> = namer.path(&lines).iter().rev().map(frame).collect();
            let sum = paths.entry(frames.join(";")).or_default();
            *sum = sum.saturating_add(amounts.peak.bytes);
        }
    }
    paths
}
