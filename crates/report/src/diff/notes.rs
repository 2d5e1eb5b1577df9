//! What stands in the way of comparing: one sentence each.

use super::measured::{Input, Recorded};
use super::model::{Diff, Side};
use crate::identity::Naming;
use crate::model::Mode;
use crate::words::{exit, names, units};

/// A snapshot with less of the peak than this cannot stand for it.
const COVERED: f64 = 0.9;

/// All notes about the two sides, in the order of their weight.
pub(super) fn collect(
    before: &Input<'_>,
    after: &Input<'_>,
    naming: Naming,
    coverage: [Option<f64>; 2],
    diff: &Diff,
) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(unrecorded(diff));
    for (word, input, side) in [("before", before, &diff.before), ("after", after, &diff.after)] {
        notes.extend(unfinished(word, input, side));
    }
    notes.extend(programs(diff, naming));
    notes.extend(pythons(diff));
    notes.extend(modes(diff));
    if diff.before.processes != diff.after.processes {
        notes.push(format!(
            "Before there were {}, after {}: all figures are sums over them.",
            units::count(diff.before.processes as u64, "process", "processes"),
            diff.after.processes
        ));
    }
    if diff.user_sites.iter().chain(&diff.sites).any(|site| site.other_moment) {
        notes.push(
            "Some lines held as much in both runs, but not at both peaks: the peak is at another moment. They count as \
             unchanged."
                .to_owned(),
        );
    }
    notes.extend(snapshots(coverage, diff));
    notes
}

/// A side without allocations.
fn unrecorded(diff: &Diff) -> Option<String> {
    let has = |side: &Side, bytes: Option<u64>| side.mode.is_some() && bytes.is_some();
    let (was, is) = (
        has(&diff.before, diff.totals.peak_heap.before_bytes),
        has(&diff.after, diff.totals.peak_heap.after_bytes),
    );
    let which = match (was, is) {
        (true, true) => return None,
        (false, false) => "Both captures have",
        (false, true) => "The capture before has",
        (true, false) => "The capture after has",
    };
    Some(format!(
        "{which} no allocations (`deadweight watch` records none, nor is a program recorded that is no Python): only \
         resident memory and what follows from it is compared."
    ))
}

/// Runs that did not come to their good end.
fn unfinished(word: &str, input: &Input<'_>, side: &Side) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(end) = exit::bad_end(&side.exit) {
        notes.push(format!(
            "The program {word} {end}: its figures are what it came to, not what it needed."
        ));
    }
    let is_cut = |run: &&Recorded<'_>| !run.report.run.complete;
    let cut = input.runs.iter().filter(is_cut).count();
    if cut > 0 {
        let mut why: Vec<&String> = input.runs.iter().flat_map(|run| &run.report.warnings).collect();
        why.dedup();
        let of_runs = match input.runs.len() {
            1 => String::new(),
            runs => format!(" ({cut} of {runs} runs)"),
        };
        let reason = why.first().map(|why| format!(" {}", names::clean(why)));
        notes.push(format!(
            "The capture {word} is not complete{of_runs}: what is missing counts as 0.{}",
            reason.unwrap_or_default()
        ));
    }
    notes
}

fn programs(diff: &Diff, naming: Naming) -> Option<String> {
    let name = |side: &Side| names::program(&side.argv);
    let (was, is) = (name(&diff.before), name(&diff.after));
    if was != is {
        let paired = match naming.from_script {
            true => " The two scripts are compared as one, by their functions.",
            false => "",
        };
        return Some(format!(
            "The captures are of different programs, {was} and {is}.{paired}"
        ));
    }
    let arguments = |side: &Side| side.argv.iter().skip(1).cloned().collect::<Vec<_>>();
    (arguments(&diff.before) != arguments(&diff.after)).then(|| {
        format!(
            "The program had other arguments: {} before, {} after.",
            names::command(&diff.before.argv),
            names::command(&diff.after.argv)
        )
    })
}

/// `3.11` of `3.11.7`.
pub(super) fn minor(side: &Side) -> Option<String> {
    let mut parts = side.python.as_deref()?.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

fn pythons(diff: &Diff) -> Option<String> {
    let (was, is) = (minor(&diff.before)?, minor(&diff.after)?);
    (was != is).then(|| {
        format!(
            "Python {was} before, {is} after: objects have other sizes and types are not compared; functions are matched by \
             what their names have in common."
        )
    })
}

fn modes(diff: &Diff) -> Option<String> {
    match (diff.before.mode?, diff.after.mode?) {
        (Mode::Exact, Mode::Sampled) => {
            Some("Before every block was recorded, after a sample: the error is that of the sample.".to_owned())
        }
        (Mode::Sampled, Mode::Exact) => {
            Some("Before a sample was recorded, after every block: the error is that of the sample.".to_owned())
        }
        (Mode::Sampled, Mode::Sampled) if diff.before.sampling_interval_bytes != diff.after.sampling_interval_bytes => {
            let interval = |side: &Side| units::size(side.sampling_interval_bytes.unwrap_or(0));
            Some(format!(
                "The sampling intervals differ ({} before, {} after): each side has its own error.",
                interval(&diff.before),
                interval(&diff.after)
            ))
        }
        _ => None,
    }
}

fn snapshots(coverage: [Option<f64>; 2], diff: &Diff) -> Option<String> {
    let recorded = diff.before.mode.is_some() && diff.after.mode.is_some();
    let percent = |part: f64| format!("{:.0} %", (part * 100.0).clamp(0.0, 100.0));
    match coverage {
        [Some(was), Some(is)] if was < COVERED || is < COVERED => Some(format!(
            "The heap snapshots nearest to the peaks were taken when the heap was at {} of its peak before, and {} after: garbage \
             and types may differ by the rest.",
            percent(was),
            percent(is)
        )),
        [None, Some(_)] | [Some(_), None] if recorded => {
            let word = if coverage[0].is_none() { "before" } else { "after" };
            Some(format!(
                "The capture {word} has no heap snapshots: garbage and types cannot be compared."
            ))
        }
        _ => None,
    }
}
