//! By how much the live heap grew while the program worked.
//!
//! The work is what lies between the first event and the moment when Python begins to end. It is cut into quarters. The
//! first is for warming up: imports, tables that are built once, caches. The growth is the median of the live heap in the last
//! quarter less the median in the second one, so memory that comes and goes is none, neither is what a program frees at its
//! very end. A leak that goes on at one pace through the whole run shows half of what it lost.

use std::cmp::Reverse;
use std::collections::HashMap;

use deadweight_analysis::{Analysis, FrameName, History};

use crate::attribution::rows::Rows;
use crate::attribution::work::samples_of_work;
use crate::build::clock::seconds_between;
use crate::model::{Growth, Site};
use crate::words::names;

/// How often the work is looked at, at equal distances.
const LOOKS: usize = 120;
/// With fewer samples of any process there is nothing to compare.
const FEWEST_SAMPLES: usize = 16;
/// Lines that are named.
const SITES: usize = 5;

/// The heap at one moment of the work.
#[derive(Clone, Copy)]
struct Look {
    nanos: u64,
    bytes: u64,
}

/// The sample of a process at a moment; `None` before its first one and after its end.
fn sample_at(history: &History, ended_nanos: u64, nanos: u64) -> Option<usize> {
    if nanos > ended_nanos.max(history.nanos(history.samples.len())) {
        return None;
    }
    let since = nanos.checked_sub(history.origin_nanos)?;
    let number = (since / history.width_nanos.max(1)).checked_sub(1)?;
    let last = history.samples.len().checked_sub(1)?;
    Some((number as usize).min(last))
}

/// When the work began and ended.
fn work(analysis: &Analysis) -> Option<(u64, u64)> {
    let long = |process: &usize| analysis.processes[*process].history.samples.len() >= FEWEST_SAMPLES;
    let measured: Vec<usize> = (0..analysis.processes.len()).filter(long).collect();
    let end = |process: &usize| {
        let answer = &analysis.processes[*process];
        answer.history.nanos(samples_of_work(answer).saturating_sub(1))
    };
    let begun = measured
        .iter()
        .map(|process| analysis.processes[*process].history.origin_nanos);
    Some((begun.min()?, measured.iter().map(end).max()?))
}

/// The growth; `None` if the run was too short to tell.
pub(crate) fn measure(rows: &Rows<'_>, analysis: &Analysis, start_nanos: Option<u64>) -> Option<Growth> {
    let (begun, ended) = work(analysis)?;
    let look = |number: usize| {
        let nanos = begun + (ended.saturating_sub(begun) as u128 * number as u128 / LOOKS as u128) as u64;
        let live = analysis.processes.iter().filter_map(|process| {
            let sample = sample_at(&process.history, process.span_nanos.1, nanos)?;
            Some(process.history.samples[sample].bytes)
        });
        Look {
            nanos,
            bytes: live.fold(0, u64::saturating_add),
        }
    };
    let looks: Vec<Look> = (1..=LOOKS).map(look).collect();
    let quarter = LOOKS / 4;
    let median = |from: usize| {
        let mut window = looks.get(from..from + quarter)?.to_vec();
        window.sort_by_key(|look| (look.bytes, look.nanos));
        window.get(quarter / 2).copied()
    };
    let (before, after) = (median(quarter)?, median(3 * quarter)?);
    let start = start_nanos.unwrap_or(begun);
    Some(Growth {
        from_bytes: before.bytes,
        from_seconds: seconds_between(start, before.nanos),
        to_bytes: after.bytes,
        to_seconds: seconds_between(start, after.nanos),
        error_bytes: error(analysis, before.bytes, after.bytes),
        sites: sites(rows, before.nanos, after.nanos),
    })
}

/// Standard error of the difference, as if no block had lived through it: at most that.
fn error(analysis: &Analysis, before: u64, after: u64) -> u64 {
    let peak = analysis.peak.heap;
    if peak.bytes == 0 {
        return 0;
    }
    // The variance of an estimate goes with the number of samples that it is made of.
    let variance = peak.variance as f64 * (before as f64 + after as f64) / peak.bytes as f64;
    variance.sqrt().round() as u64
}

/// The user's lines that grew most.
fn sites(rows: &Rows<'_>, before: u64, after: u64) -> Vec<Site> {
    let levels = |nanos: u64| {
        let of_process = |process: usize| {
            let answer = rows.process(process);
            let at = sample_at(&answer.history, answer.span_nanos.1, nanos);
            let levels = at.map(|sample| &answer.history.samples[sample].levels);
            levels
                .into_iter()
                .flatten()
                .map(|level| (level.stack.0 as usize, level.bytes))
                .collect::<HashMap<usize, u64>>()
        };
        (0..rows.processes()).map(of_process).collect::<Vec<_>>()
    };
    let (before, after) = (levels(before), levels(after));
    struct Grown {
        bytes: i128,
        heaviest: usize,
        most: i128,
    }
    let mut by_line: HashMap<FrameName<'_>, Grown> = HashMap::new();
    for (index, row) in rows.list.iter().enumerate() {
        let at = |levels: &[HashMap<usize, u64>]| i128::from(*levels[row.process].get(&row.stack).unwrap_or(&0));
        let grown = at(&after) - at(&before);
        let sum = by_line.entry(row.user).or_insert(Grown {
            bytes: 0,
            heaviest: index,
            most: grown,
        });
        sum.bytes += grown;
        if grown > sum.most {
            (sum.heaviest, sum.most) = (index, grown);
        }
    }
    let mut order: Vec<(FrameName<'_>, Grown)> = by_line.into_iter().filter(|(_, grown)| grown.bytes > 0).collect();
    order.sort_by_key(|(at, grown)| (Reverse(grown.bytes), at.file, at.line, at.function));
    order.truncate(SITES);
    let site = |(at, grown): (FrameName<'_>, Grown)| {
        let row = &rows.list[grown.heaviest];
        let frames = rows.frames(row);
        Site {
            at: names::line(&at),
            bytes: grown.bytes as u64,
            error_bytes: 0,
            blocks: 0,
            stack: frames.iter().skip(row.user_depth() + 1).map(names::line).collect(),
        }
    };
    order.into_iter().map(site).collect()
}
