//! What one run has to compare: amounts by place, by call path, by type and by finding.

use std::collections::BTreeMap;

use deadweight_analysis::{Amount, Analysis, ProcessAnswer};
use deadweight_heap::SnapshotAnswer;

use crate::attribution::rows::{Row, Rows, churned};
use crate::findings::evidence::of_peak;
use crate::identity::{Fingerprint, Namer, Place};
use crate::model::{Finding, Line, Report};
use crate::words::names;

/// One side: a capture, or the captures of several runs of the same command.
pub struct Input<'a> {
    /// What the user calls it.
    pub name: String,
    /// The runs, at least one.
    pub runs: Vec<Recorded<'a>>,
}

/// A capture with everything that is known of it.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    /// Its report.
    pub report: &'a Report,
    /// The replay.
    pub analysis: &'a Analysis,
    /// Its heap snapshots.
    pub heaps: &'a [SnapshotAnswer],
}

/// A place and its line (0 where there is none).
pub(super) type Site = (Place, u32);

/// What came from a place or a call path.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub peak: Amount,
    pub churn: Amount,
    pub end: Amount,
    pub allocated: Amount,
    /// The most that was live at any time that was sampled, the processes' own highest together.
    pub highest: u64,
    /// The heaviest stack, from this frame outwards.
    pub stack: Vec<Line>,
    heaviest: (u64, u64),
}

/// The objects of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Objects {
    pub count: u64,
    pub retained: u64,
}

/// What the heap snapshots nearest to the peak say.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Snapshots {
    pub types: BTreeMap<String, Objects>,
    /// A type that is not listed kept no more than this.
    pub unlisted: u64,
    /// How much higher the peak was than the heap when the snapshot was taken; of processes without one, all of it.
    pub uncovered: u64,
}

/// One run.
pub(super) struct Measured {
    pub user_sites: BTreeMap<Site, Cell>,
    pub sites: BTreeMap<Site, Cell>,
    pub paths: BTreeMap<Vec<Place>, Cell>,
    pub end: Amount,
    pub churn: Amount,
    pub snapshots: Option<Snapshots>,
    pub findings: BTreeMap<Fingerprint, (u64, Finding)>,
}

impl Measured {
    pub(super) fn of(run: &Recorded<'_>, namer: &Namer) -> Measured {
        let rows = Rows::new(run.analysis, &[]);
        let stacks: Vec<Vec<Line>> = rows
            .list
            .iter()
            .map(|row| rows.frames(row).iter().map(names::line).collect())
            .collect();
        let site = |stack: &[Line]| {
            let (at, callers) = stack.split_first()?;
            Some((namer.innermost(at, callers), at.line.unwrap_or(0)))
        };
        let user = |row: &Row<'_>, stack: &[Line]| site(stack.get(row.user_depth()..)?);
        let path = |row: &Row<'_>, stack: &[Line]| (row.amounts.peak.bytes > 0).then(|| namer.path(stack));
        Measured {
            user_sites: cells(run.analysis, &rows, &stacks, |row| row.user_depth(), user),
            sites: cells(run.analysis, &rows, &stacks, |_| 0, |_, stack| site(stack)),
            paths: cells(run.analysis, &rows, &stacks, |_| 0, path),
            end: rows.total(|row| row.amounts.end),
            churn: rows.total(|row| churned(&row.amounts)),
            snapshots: snapshots(run),
            findings: findings(run.report, namer),
        }
    }
}

/// Sums the rows up by their key; rows without one are left out.
fn cells<K: Ord + Clone>(
    analysis: &Analysis,
    rows: &Rows<'_>,
    stacks: &[Vec<Line>],
    depth: impl Fn(&Row<'_>) -> usize,
    key: impl Fn(&Row<'_>, &[Line]) -> Option<K>,
) -> BTreeMap<K, Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut index: BTreeMap<K, usize> = BTreeMap::new();
    let mut of_stack: Vec<Vec<Option<usize>>> = analysis
        .processes
        .iter()
        .map(|process| vec![None; process.amounts.len()])
        .collect();
    for (row, stack) in rows.list.iter().zip(stacks) {
        let Some(key) = key(row, stack) else { continue };
        let at = *index.entry(key).or_insert_with(|| {
            cells.push(Cell {
                peak: Amount::default(),
                churn: Amount::default(),
                end: Amount::default(),
                allocated: Amount::default(),
                highest: 0,
                stack: Vec::new(),
                heaviest: (0, 0),
            });
            cells.len() - 1
        });
        if let Some(place) = of_stack.get_mut(row.process).and_then(|list| list.get_mut(row.stack)) {
            *place = Some(at);
        }
        let cell = &mut cells[at];
        cell.peak += row.amounts.peak;
        cell.churn += churned(&row.amounts);
        cell.end += row.amounts.end;
        cell.allocated += row.amounts.allocated;
        let weight = (row.amounts.peak.bytes, row.amounts.allocated.bytes);
        if cell.stack.is_empty() || weight > cell.heaviest {
            cell.heaviest = weight;
            cell.stack = stack[depth(row)..].to_vec();
        }
    }
    for (process, of_stack) in analysis.processes.iter().zip(&of_stack) {
        for (at, highest) in highest(process, of_stack) {
            cells[at].highest = cells[at].highest.saturating_add(highest);
        }
    }
    for cell in &mut cells {
        cell.highest = cell.highest.max(cell.peak.bytes);
    }
    index.into_iter().map(|(key, at)| (key, cells[at].clone())).collect()
}

/// The most that each cell had live at one of the process's samples.
fn highest(process: &ProcessAnswer, of_stack: &[Option<usize>]) -> BTreeMap<usize, u64> {
    let mut highest: BTreeMap<usize, u64> = BTreeMap::new();
    for sample in &process.history.samples {
        let mut live: BTreeMap<usize, u64> = BTreeMap::new();
        for level in &sample.levels {
            if let Some(Some(at)) = of_stack.get(level.stack.0 as usize) {
                let sum = live.entry(*at).or_default();
                *sum = sum.saturating_add(level.bytes);
            }
        }
        for (at, bytes) in live {
            let most = highest.entry(at).or_default();
            *most = bytes.max(*most);
        }
    }
    highest
}

/// The types in the snapshot of each process that tells most about the peak, as the garbage is that of the same one.
fn snapshots(run: &Recorded<'_>) -> Option<Snapshots> {
    let mut found = Snapshots::default();
    let mut any = false;
    // Of a process without a snapshot, all of it.
    found.uncovered = run.analysis.peak.heap.bytes;
    for process in &run.analysis.processes {
        let whole = run.heaps.iter().filter(|heap| heap.complete);
        let mut of_process: Vec<_> = whole.filter(|heap| heap.process == process.id).collect();
        of_process.sort_by_key(|heap| heap.number);
        let Some(heap) = of_peak(&of_process, run.analysis.peak.nanos) else {
            continue;
        };
        any = true;
        let then = live_at(process, heap.nanos).unwrap_or(heap.all.bytes());
        found.uncovered = found.uncovered.saturating_sub(then.min(process.at_tree_peak.bytes));
        for kind in &heap.types {
            let sum = found.types.entry(kind.type_name.clone()).or_default();
            sum.count = sum.count.saturating_add(kind.objects);
            sum.retained = sum.retained.saturating_add(kind.retained_bytes);
        }
        let least = heap.types.last().map_or(0, |kind| kind.retained_bytes);
        found.unlisted = found.unlisted.saturating_add(least);
    }
    any.then_some(found)
}

/// The heap of a process at a time: the nearest sample not after it.
fn live_at(process: &ProcessAnswer, nanos: u64) -> Option<u64> {
    let history = &process.history;
    let samples = history.samples.iter().enumerate();
    let before = samples.take_while(|(at, _)| history.nanos(*at) <= nanos).last();
    before.map(|(_, sample)| sample.bytes)
}

/// The findings, those with the same fingerprint (of several processes) as one: the gravest with all bytes.
fn findings(report: &Report, namer: &Namer) -> BTreeMap<Fingerprint, (u64, Finding)> {
    let mut all: BTreeMap<Fingerprint, (u64, Finding)> = BTreeMap::new();
    for found in &report.findings {
        let bytes = found.bytes.unwrap_or(0);
        all.entry(namer.fingerprint(found))
            .and_modify(|(sum, _)| *sum = sum.saturating_add(bytes))
            .or_insert_with(|| (bytes, found.clone()));
    }
    all
}
