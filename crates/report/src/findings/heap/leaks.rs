//! Memory that grows and that no Python object has: lost references and lost native blocks.

use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use deadweight_heap::{Allocator, ProcessId, SnapshotAnswer, StackBytes, StackId, Step, rise, short_type};

use super::garbage;
use super::history::{self, AllocationHistory};
use super::holders::edges;
use crate::attribution::rows::Row;
use crate::findings::evidence::{Evidence, by_process};
use crate::findings::finding::{MOST, chain, found, has_grown, severity};
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Line, Link, Report};
use crate::words::{names, units};

/// What grew at one place, by snapshot.
#[derive(Clone, Debug, Default)]
struct Series {
    bytes: Vec<u64>,
    counts: Vec<u64>,
    /// In the last snapshot that has any.
    stacks: Vec<StackBytes>,
    /// What may hold them: see [`deadweight_heap::Unexplained::suspect`].
    suspect: Vec<Step>,
}

impl Series {
    fn add(&mut self, at: usize, (bytes, count): (u64, u64), stack: Option<StackId>) {
        if self.bytes.len() <= at {
            self.bytes.resize(at + 1, 0);
            self.counts.resize(at + 1, 0);
            self.stacks.clear();
        }
        self.bytes[at] = self.bytes[at].saturating_add(bytes);
        self.counts[at] = self.counts[at].saturating_add(count);
        self.stacks.extend(stack.map(|stack| StackBytes { stack, bytes }));
    }

    /// Bytes in the last of these snapshots, if they grew and are still there. With few snapshots the events tell whether
    /// it grew all the time.
    fn grown<'c>(
        &self,
        snapshots: &[&SnapshotAnswer],
        history: impl Fn() -> Option<&'c AllocationHistory>,
    ) -> Option<u64> {
        let last = *self.bytes.get(snapshots.len().checked_sub(1)?)?;
        let rise = rise(&self.bytes);
        let first = *self.bytes.get(rise.start)?;
        let top = *self.bytes.get(rise.end.checked_sub(1)?)?;
        let rose = rise.len() >= limit::GROWN_LEAST_SNAPSHOTS
            && has_grown(first, top)
            && last >= limit::LEAK_STAYS_OF_TOP.of(top);
        let is_steady = || {
            let nanos = snapshots.last().map_or(0, |snapshot| snapshot.nanos);
            last >= limit::LEAK_LEAST_BYTES && history().is_some_and(|history| history.is_steady(last, nanos))
        };
        (rose || rise.len() < limit::GROWN_LEAST_SNAPSHOTS && is_steady()).then_some(last)
    }
}

/// A line of the user's: file, line, function.
type Place<'a> = (&'a str, u32, &'a str);

/// The rows of a process by stack.
fn rows_of<'a>(evidence: &'a Evidence<'_>, process: ProcessId) -> BTreeMap<u32, &'a Row<'a>> {
    let index = evidence.rows.index_of(process);
    let rows = evidence.rows.list.iter().filter(|row| Some(row.process) == index);
    rows.map(|row| (row.stack as u32, row)).collect()
}

fn place<'a>(rows: &BTreeMap<u32, &'a Row<'a>>, stack: Option<StackId>) -> Option<Place<'a>> {
    let row = rows.get(&stack?.0)?;
    Some((row.user.file, row.user.line, row.user.function))
}

/// Blocks without an owner that grow from one line, and are still live at the end.
pub(super) fn native(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut all = Vec::new();
    for (process, snapshots) in by_process(evidence.snapshots) {
        let rows = rows_of(evidence, process);
        let mut series: BTreeMap<Place<'_>, Series> = BTreeMap::new();
        for (at, snapshot) in snapshots.iter().enumerate() {
            // Blocks of the door for buffers may belong to objects whose fields nobody knows.
            let parts = snapshot
                .unowned
                .iter()
                .filter(|part| part.allocator != Allocator::PyMem);
            for part in parts {
                if let Some(place) = place(&rows, Some(part.stack)) {
                    let series = series.entry(place).or_default();
                    series.add(at, (part.bytes, part.blocks), Some(part.stack));
                }
            }
        }
        for (place, series) in series {
            let history = LazyCell::new(|| history::of(evidence, process, &series.stacks));
            let Some(grown) = series
                .grown(&snapshots, || history.as_ref())
                .filter(|grown| *grown >= limit::LEAK_LEAST_BYTES)
            else {
                continue;
            };
            let mut stacks: Vec<u32> = series.stacks.iter().map(|part| part.stack.0).collect();
            stacks.sort_unstable();
            stacks.dedup();
            let live = |stack: &u32| rows.get(stack).map_or(0, |row| row.amounts.end.bytes);
            let at_end = stacks.iter().map(live).fold(0, u64::saturating_add);
            if at_end < limit::LEAK_LIVE_AT_END.of(grown) {
                continue; // freed later on
            }
            let bytes = grown.min(at_end);
            let bytes = at_peak(bytes, &series.stacks, &snapshots, history.as_ref(), evidence);
            all.extend(lost_blocks(place, &series, bytes, process, (evidence, report)));
        }
    }
    most(all)
}

/// What had `bytes` in the last snapshot had at the peak.
fn at_peak(
    bytes: u64,
    stacks: &[StackBytes],
    snapshots: &[&SnapshotAnswer],
    history: Option<&AllocationHistory>,
    evidence: &Evidence<'_>,
) -> u64 {
    let nanos = snapshots.last().map_or(0, |snapshot| snapshot.nanos);
    history::at_peak(history, (bytes, stacks), nanos, evidence).bytes
}

fn lost_blocks(
    (file, line, function): Place<'_>,
    series: &Series,
    bytes: u64,
    process: ProcessId,
    (evidence, report): (&Evidence<'_>, &Report),
) -> Option<Finding> {
    let line = Line {
        file: file.to_owned(),
        line: (line > 0).then_some(line),
        function: function.to_owned(),
    };
    let title = format!(
        "{} allocated at {} has no owner among Python's objects and grew all the time: native code does not free it.",
        units::size(bytes),
        names::location(&line, report.run.cwd.as_deref()),
    );
    let what = (FindingKind::NativeLeak, severity(bytes, report)?, title, bytes);
    let mut found = found(what, process, &series.stacks, (evidence, report));
    found.count = series.counts.last().copied();
    found.freeable_by_gc = Some(false);
    found.suggestion = Some(
        "Python's own tools cannot see this memory. Look for a newer release of the package that this line calls, or \
         for a call that closes or frees what it makes."
            .to_owned(),
    );
    Some(found)
}

/// Objects that have references, none of which the snapshot can find, and that become more and more.
pub(super) fn lost_references(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut all = Vec::new();
    for (process, snapshots) in by_process(evidence.snapshots) {
        let rows = rows_of(evidence, process);
        let live = rows.values().map(|row| row.amounts.end.bytes);
        let at_end = live.fold(0, u64::saturating_add);
        let mut series: BTreeMap<(&str, Option<Place<'_>>), Series> = BTreeMap::new();
        for (at, snapshot) in snapshots.iter().enumerate() {
            for part in &snapshot.unexplained {
                let key = (part.type_name.as_str(), place(&rows, part.stack));
                let series = series.entry(key).or_default();
                series.add(at, (part.amount.bytes(), part.amount.objects), part.stack);
                series.suspect.clone_from(&part.suspect);
            }
        }
        for ((type_name, _), series) in series {
            let history = LazyCell::new(|| history::of(evidence, process, &series.stacks));
            let Some(grown) = series.grown(&snapshots, || history.as_ref()) else {
                continue;
            };
            if at_end < limit::LEAK_LIVE_AT_END.of(grown) {
                continue; // freed later on: up to 3.10 no snapshot sees what an expression has not stored yet
            }
            let bytes = at_peak(grown, &series.stacks, &snapshots, history.as_ref(), evidence);
            all.extend(lost_objects(type_name, &series, bytes, process, (evidence, report)));
        }
    }
    most(all)
}

fn lost_objects(
    type_name: &str,
    series: &Series,
    bytes: u64,
    process: ProcessId,
    (evidence, report): (&Evidence<'_>, &Report),
) -> Option<Finding> {
    let count = series
        .counts
        .last()
        .copied()
        .filter(|count| *count >= limit::LOST_LEAST_OBJECTS)?;
    let title = format!(
        "{} is lost: nothing in the program refers to {}, but they are not freed, and they became more all the time.",
        units::size(bytes),
        garbage::objects(count, type_name),
    );
    let what = (FindingKind::Uncollectable, severity(bytes, report)?, title, bytes);
    let mut found = found(what, process, &series.stacks, (evidence, report));
    found.count = Some(count);
    found.type_name = Some(type_name.to_owned());
    found.freeable_by_gc = Some(false);
    found.suggestion = Some(
        "Native code has taken references and not given them back. Look for a newer release of the package that the \
         line calls."
            .to_owned(),
    );
    if let [first, .., native] = series.suspect.as_slice() {
        let (own, native) = (short_type(type_name), short_type(&native.type_name));
        let way = format!("{}{}", short_type(&first.type_name), edges(&series.suspect));
        found.chain = chain(&series.suspect, false);
        if let Some(last) = found.chain.last_mut() {
            last.edge = " (in C)".to_owned();
        }
        found.chain.push(Link {
            type_name: own.to_owned(),
            edge: String::new(),
        });
        found.evidence.push(format!(
            "Each has the {native} `{way}`, an object of native code whose references the collector cannot see."
        ));
        found.suggestion = Some(format!(
            "If the {native} was given the {own} (as a value, a callback, an owner), that is a cycle which is never freed: give it \
             a key, a number or a weak reference instead, or clear it when it is done with. Otherwise native code has taken \
             references and not given them back: look for a newer release of the package."
        ));
    }
    Some(found)
}

fn most(mut all: Vec<Finding>) -> Vec<Finding> {
    all.sort_by_key(|found| Reverse(found.bytes));
    all.truncate(MOST);
    all
}
