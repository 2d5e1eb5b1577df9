//! Pairs the places and call paths of two sides.

use std::collections::BTreeMap;

use deadweight_analysis::Amount;

use super::measured::{Cell, Measured, Site};
use super::significance::Estimate;
use crate::identity::{Numbered, Place, pair};
use crate::model::Line;

/// One place or call path in all runs of a side; `None` in a run that it is not in.
pub(super) type Column = Vec<Option<Cell>>;

/// A place or call path on both sides: an empty column where it is not there at all.
pub(super) struct Row {
    sides: [Column; 2],
}

/// The cells of all runs of each side, by key. A key that one run of a side has is a column of that side.
#[allow(clippy::type_complexity)]
pub(super) fn joined<K: Ord + Clone>(
    before: &[Measured],
    after: &[Measured],
    table: impl Fn(&Measured) -> &BTreeMap<K, Cell>,
) -> (BTreeMap<K, Column>, BTreeMap<K, Column>) {
    let side = |runs: &[Measured]| {
        let mut columns: BTreeMap<K, Column> = BTreeMap::new();
        for (run, measured) in runs.iter().enumerate() {
            for (key, cell) in table(measured) {
                let column = columns.entry(key.clone()).or_insert_with(|| vec![None; runs.len()]);
                column[run] = Some(cell.clone());
            }
        }
        columns
    };
    (side(before), side(after))
}

/// Pairs by the same key.
pub(super) fn by_key<K: Ord>(mut before: BTreeMap<K, Column>, after: BTreeMap<K, Column>) -> Vec<Row> {
    let runs = (length(&before), length(&after));
    let mut rows: Vec<Row> = after
        .into_iter()
        .map(|(key, is)| Row {
            sides: [before.remove(&key).unwrap_or_else(|| vec![None; runs.0]), is],
        })
        .collect();
    rows.extend(before.into_values().map(|was| Row {
        sides: [was, vec![None; runs.1]],
    }));
    rows
}

fn length<K>(columns: &BTreeMap<K, Column>) -> usize {
    columns.values().next().map_or(1, Vec::len)
}

/// Pairs the lines of the same place.
pub(super) fn by_line(before: BTreeMap<Site, Column>, after: BTreeMap<Site, Column>) -> Vec<Row> {
    let runs = (length(&before), length(&after));
    let mut places: BTreeMap<Place, [Vec<(Numbered, Column)>; 2]> = BTreeMap::new();
    for (side, columns) in [before, after].into_iter().enumerate() {
        for ((place, line), column) in columns {
            let cells = column.iter().flatten();
            let bytes = cells.map(|cell| cell.highest).max().unwrap_or(0);
            places.entry(place).or_default()[side].push((Numbered { line, bytes }, column));
        }
    }
    let mut rows = Vec::new();
    for [was, is] in places.into_values() {
        let (was_lines, was): (Vec<Numbered>, Vec<Column>) = was.into_iter().unzip();
        let (is_lines, is): (Vec<Numbered>, Vec<Column>) = is.into_iter().unzip();
        let (mut was, mut is) = (to_options(was), to_options(is));
        for (a, b) in pair(&was_lines, &is_lines) {
            if let (Some(was), Some(is)) = (was[a].take(), is[b].take()) {
                rows.push(Row { sides: [was, is] });
            }
        }
        rows.extend(was.into_iter().flatten().map(|was| Row {
            sides: [was, vec![None; runs.1]],
        }));
        rows.extend(is.into_iter().flatten().map(|is| Row {
            sides: [vec![None; runs.0], is],
        }));
    }
    rows
}

fn to_options(columns: Vec<Column>) -> Vec<Option<Column>> {
    columns.into_iter().map(Some).collect()
}

impl Row {
    fn estimate(&self, side: usize, amount: impl Fn(&Cell) -> Amount) -> Estimate {
        let of_cell = |cell: &Option<Cell>| cell.as_ref().map(&amount).unwrap_or_default();
        Estimate::of(&self.sides[side].iter().map(of_cell).collect::<Vec<Amount>>())
    }

    /// What was live at the peaks, before (0) or after (1).
    pub(super) fn peak(&self, side: usize) -> Estimate {
        self.estimate(side, |cell| cell.peak)
    }

    /// What was ever allocated.
    pub(super) fn allocated(&self, side: usize) -> Estimate {
        self.estimate(side, |cell| cell.allocated)
    }

    /// The most that was live at any time. Its variance is the same part of it as of all that was allocated.
    pub(super) fn highest(&self, side: usize) -> Estimate {
        self.estimate(side, |cell| {
            let whole = cell.allocated.bytes.max(1) as f64;
            let part = (cell.highest as f64 / whole).min(1.0);
            Amount {
                bytes: cell.highest,
                blocks: 0,
                variance: (cell.allocated.variance as f64 * part) as u64,
            }
        })
    }

    /// Whether any run had some of it at its peak.
    pub(super) fn is_at_a_peak(&self) -> bool {
        let mut cells = self.sides.iter().flatten().flatten();
        cells.any(|cell| cell.peak.bytes > 0)
    }

    /// The heaviest stack of each side, the place itself first.
    pub(super) fn stacks(&self) -> [Option<&[Line]>; 2] {
        let stack = |side: usize| {
            let cells = self.sides[side].iter().flatten();
            let heaviest = cells.max_by_key(|cell| cell.peak.bytes)?;
            (heaviest.peak.bytes > 0).then_some(heaviest.stack.as_slice())
        };
        [stack(0), stack(1)]
    }
}
