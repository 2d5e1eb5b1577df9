//! `native_leak` of small blocks that keep much more memory from being used again than they have themselves.
//!
//! malloc joins free neighbours, and a block that is never freed keeps its neighbours apart. Where a program allocates
//! large and small blocks in turns and the small ones stay, each round finds the holes of the last one too small and takes
//! new memory: the heap grows although nearly all of it is free. So it is said where
//!
//! - the slack in the C library's heaps grew over the last half of the run, in each quarter of it;
//! - small blocks from one line became more in the same time, by enough recorded blocks to be no chance;
//! - and the last heap snapshot finds no owner of them among Python's objects. Without a snapshot nothing is said.
//!
//! The slack that grew is divided between such lines by how many blocks each of them has more.

use std::collections::{BTreeMap, BTreeSet};

use deadweight_analysis::{LedgerSample, ProcessId, Survivors};
use deadweight_heap::{Allocator, StackBytes, StackId};

use crate::findings::evidence::{Evidence, by_process};
use crate::findings::finding::{found, severity};
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Line, Report};
use crate::words::{names, units};

/// A line of the user's: file, line, function.
type Place<'a> = (&'a str, u32, &'a str);

/// What one line has at the three moments.
#[derive(Clone, Debug, Default)]
struct Line3 {
    recorded: [u64; 3],
    blocks: [f64; 3],
    bytes: f64,
    stacks: BTreeSet<u32>,
}

/// Malloc's slack.
fn slack(moment: &LedgerSample) -> Option<u64> {
    moment
        .resident
        .map(|resident| resident.heap_slack + resident.arena_slack)
}

/// The growth of slack over the last half of the run, if it grew all the time.
fn growth(moments: &[&LedgerSample]) -> Option<u64> {
    let &[half, later, end] = moments else { return None };
    let (half, later, end) = (slack(half)?, slack(later)?, slack(end)?);
    let whole = end.checked_sub(half)?;
    let (first, last) = (later.checked_sub(half)?, end.checked_sub(later)?);
    let least = limit::PINNED_LEAST_OF_GROWTH_IN_QUARTER.of(whole);
    (first >= least && last >= least).then_some(whole)
}

/// Slack that grew because small blocks are not freed, by line.
pub(super) fn find(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let moments: Vec<&LedgerSample> = evidence
        .moments
        .iter()
        .filter(|moment| !moment.survivors.is_empty())
        .collect();
    let Some(grown) = growth(&moments) else {
        return Vec::new();
    };
    let whole = report.peak.rss_bytes.unwrap_or(0);
    if grown < limit::PINNED_LEAST_BYTES.max(limit::PINNED_LEAST_OF_PEAK.of(whole)) {
        return Vec::new();
    }
    // What had grown before the first of the three moments grew in the same way.
    let first = evidence.moments.iter().filter_map(slack).min().unwrap_or(0);
    let counted = moments.last().and_then(|moment| slack(moment));
    let end = counted.max(evidence.moments.last().and_then(slack)).unwrap_or(0);
    let all = end.saturating_sub(first).max(grown);
    let lines: Vec<(ProcessId, Place<'_>, Line3)> = by_process(evidence.snapshots)
        .into_iter()
        .flat_map(|(process, snapshots)| {
            let unowned: BTreeSet<u32> = snapshots
                .last()
                .into_iter()
                .flat_map(|snapshot| &snapshot.unowned)
                .filter(|part| part.allocator != Allocator::PyMem)
                .map(|part| part.stack.0)
                .collect();
            grown_lines(evidence, process, &unowned, &moments)
        })
        .collect();
    let more = |line: &Line3| (line.blocks[2] - line.blocks[0]).max(0.0);
    let sum: f64 = lines.iter().map(|(.., line)| more(line)).sum();
    let worded = lines.iter().filter_map(|(process, place, line)| {
        let pinned = (all as f64 * more(line) / sum.max(1.0)) as u64;
        leak((*process, *place, line, pinned), (evidence, report))
    });
    worded.collect()
}

/// Lines whose blocks without an owner became more.
fn grown_lines<'a>(
    evidence: &'a Evidence<'_>,
    process: ProcessId,
    unowned: &BTreeSet<u32>,
    moments: &[&LedgerSample],
) -> Vec<(ProcessId, Place<'a>, Line3)> {
    let index = evidence.rows.index_of(process);
    let rows: BTreeMap<u32, Place<'a>> = evidence
        .rows
        .list
        .iter()
        .filter(|row| Some(row.process) == index)
        .map(|row| (row.stack as u32, (row.user.file, row.user.line, row.user.function)))
        .collect();
    let mut lines: BTreeMap<Place<'a>, Line3> = BTreeMap::new();
    for (at, moment) in moments.iter().enumerate().take(3) {
        let ours = |part: &&Survivors| part.process == process && unowned.contains(&part.stack.0);
        for part in moment.survivors.iter().filter(ours) {
            let Some(place) = rows.get(&part.stack.0) else { continue };
            let line = lines.entry(*place).or_default();
            line.recorded[at] += part.recorded;
            line.blocks[at] += part.blocks;
            if at == 2 {
                line.bytes += part.bytes;
                line.stacks.insert(part.stack.0);
            }
        }
    }
    let has_grown = |line: &Line3| {
        let [half, _, end] = line.recorded;
        end >= half + limit::PINNED_LEAST_MORE_BLOCKS && end >= half + limit::PINNED_LEAST_MORE_OF_BLOCKS.of(half)
    };
    let grown = lines.into_iter().filter(|(_, line)| has_grown(line));
    grown.map(|(place, line)| (process, place, line)).collect()
}

fn leak(
    (process, (file, line, function), grown, pinned): (ProcessId, Place<'_>, &Line3, u64),
    (evidence, report): (&Evidence<'_>, &Report),
) -> Option<Finding> {
    let at = Line {
        file: file.to_owned(),
        line: (line > 0).then_some(line),
        function: function.to_owned(),
    };
    let own = grown.bytes as u64;
    let bytes = own.saturating_add(pinned);
    let blocks = grown.blocks[2] as u64;
    let title = format!(
        "About {} small blocks ({}) from {} are never freed and have no owner among Python's objects. They lie scattered \
         over malloc's heap, which keeps {} between them from being used again or given back, and it grew all the time.",
        units::grouped(round(blocks)),
        units::size(own),
        names::location(&at, report.run.cwd.as_deref()),
        units::size(pinned),
    );
    // Each stack has the same share of what is pinned as of the blocks.
    let stacks: Vec<StackBytes> = grown
        .stacks
        .iter()
        .map(|&stack| StackBytes {
            stack: StackId(stack),
            bytes: bytes / grown.stacks.len().max(1) as u64,
        })
        .collect();
    let what = (FindingKind::NativeLeak, severity(bytes, report)?, title, bytes);
    let mut found = found(what, process, &stacks, (evidence, report));
    found.count = Some(blocks);
    found.freeable_by_gc = Some(false);
    found.suggestion = Some(
        "Native code that this line calls does not free what it allocates: look for a newer release of the package, or for \
         a call that closes or frees what it makes. malloc_trim(0) gives some of the free memory back in the meantime; the \
         figure is an estimate that assumes that nothing else keeps the free memory apart."
            .to_owned(),
    );
    Some(found)
}

/// An estimate to two digits.
fn round(blocks: u64) -> u64 {
    let mut unit = 1;
    while blocks / unit >= 100 {
        unit *= 10;
    }
    (blocks + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_have_two_digits() {
        assert_eq!(
            [round(7), round(99), round(25_214), round(60_691)],
            [7, 99, 25_000, 61_000]
        );
    }
}
