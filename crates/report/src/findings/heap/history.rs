//! How memory that some stacks allocated went over time, as the events tell it.
//!
//! Snapshots are few, and on a busy machine fewer: what they say of one moment, the events carry on. What a container
//! held in a snapshot is a part of what its stacks had live then. If they had more at the peak, so had the container,
//! as far as its part stayed the same; and if they grew in a straight line, so did the container.

use std::cell::OnceCell;
use std::collections::HashSet;

use deadweight_heap::{ProcessId, StackBytes};

use crate::attribution::work::samples_of_work;
use crate::findings::evidence::Evidence;
use crate::findings::shape::{Line, has_settled, pace, steady_growth};
use crate::findings::thresholds as limit;
use crate::words::units;

/// What some stacks of a process had live.
pub(super) struct AllocationHistory {
    /// At equal distances of time, as long as the program worked.
    level: Vec<u64>,
    /// What the process had allocated by each sample, and by later ones.
    allocated: Vec<u64>,
    nanos: Vec<u64>,
    width_seconds: f64,
    at_peak: u64,
    /// See [`AllocationHistory::growth`].
    growth: OnceCell<Option<Line>>,
}

/// The history of what these stacks allocated; `None` of a process without events.
pub(super) fn of(evidence: &Evidence<'_>, process: ProcessId, stacks: &[StackBytes]) -> Option<AllocationHistory> {
    let rows = evidence.rows;
    let index = rows.index_of(process)?;
    let wanted: HashSet<u32> = stacks.iter().map(|part| part.stack.0).collect();
    let answer = rows.process(index);
    let history = &answer.history;
    let mut level = history.series(|stack| wanted.contains(&stack.0));
    level.truncate(samples_of_work(answer));
    level.truncate(end_of_growth(&level));
    let of_stacks = rows
        .list
        .iter()
        .filter(|row| row.process == index && wanted.contains(&(row.stack as u32)));
    Some(AllocationHistory {
        nanos: (0..level.len()).map(|sample| history.nanos(sample)).collect(),
        level,
        allocated: history.allocated(),
        width_seconds: history.width_nanos as f64 / 1e9,
        at_peak: of_stacks.map(|row| row.amounts.peak.bytes).fold(0, u64::saturating_add),
        growth: OnceCell::new(),
    })
}

/// Where the last fall begins, if it is near the end: what a function had goes when it returns, and that is no part of how
/// it went.
fn end_of_growth(level: &[u64]) -> usize {
    let highest = level.iter().copied().max().unwrap_or(0);
    let last_high = level
        .iter()
        .rposition(|&level| level >= limit::STILL_HIGH_OF_HIGHEST.of(highest));
    let end = last_high.map_or(level.len(), |at| at + 1);
    match end >= level.len() - limit::END_OF_RUN.of_samples(level.len()) {
        true => end,
        false => level.len(),
    }
}

/// What something that had `bytes` in a snapshot had at the peak.
pub(super) struct AtPeak {
    pub(super) bytes: u64,
    /// How that is known, if it is no figure of a snapshot.
    pub(super) because: Option<String>,
}

impl AllocationHistory {
    /// Its steady growth, judged once.
    fn growth(&self) -> Option<&Line> {
        let growth = || steady_growth(&self.level, &self.allocated);
        self.growth.get_or_init(growth).as_ref()
    }

    fn at(&self, nanos: u64) -> Option<u64> {
        let after = self.nanos.partition_point(|&sample| sample <= nanos);
        // A sample may be far from the snapshot: the nearer one of the two.
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let near = near.filter(|&at| at < self.level.len());
        near.min_by_key(|&at| self.nanos[at].abs_diff(nanos))
            .map(|at| self.level[at])
    }

    /// Whether `bytes` of a snapshot are at least half of what the stacks had then, so that their history is its own.
    fn is_of(&self, bytes: u64, nanos: u64) -> bool {
        self.at(nanos)
            .is_some_and(|level| level > 0 && bytes >= limit::OWN_PART_OF_STACKS.of(level))
    }

    /// Whether it grew in a straight line up to the end of the program's work.
    pub(super) fn is_steady(&self, bytes: u64, nanos: u64) -> bool {
        self.growth().is_some() && self.is_of(bytes, nanos)
    }

    /// Whether it had ceased to grow long before the program's work ended.
    pub(super) fn has_settled(&self, bytes: u64, nanos: u64) -> bool {
        has_settled(&self.level) && self.is_of(bytes, nanos)
    }

    /// Whether most of it was gone again long before the program's work ended.
    pub(super) fn is_gone(&self) -> bool {
        let highest = self.level.iter().copied().max().unwrap_or(0);
        let last = self.level.len() - limit::GONE_FOR_OF_RUN.of_samples(self.level.len());
        let rest = self.level.get(last..).unwrap_or_default();
        !rest.is_empty() && rest.iter().all(|&level| level < limit::GONE_OF_HIGHEST.of(highest))
    }

    /// `What was allocated for it grew by 3.20 MiB a second over 7.10 s.`
    pub(super) fn pace(&self) -> Option<String> {
        let line = self.growth()?;
        let pace = pace(line, self.width_seconds, self.level.len());
        Some(format!("What was allocated for it grew steadily, {pace}."))
    }

    /// What had `bytes` in a snapshot at `nanos`, with `known` of them from these stacks, had at the peak.
    fn at_peak(&self, bytes: u64, known: u64, nanos: u64, peak_nanos: u64) -> AtPeak {
        let as_it_was = AtPeak { bytes, because: None };
        let Some(then) = self.at(nanos).filter(|&then| then > 0) else {
            return as_it_was;
        };
        let is_known = known >= limit::HOLDER_KNOWN.of(bytes) && self.is_of(bytes, nanos);
        if nanos >= peak_nanos || !is_known || self.at_peak < then.saturating_add(limit::MORE_AT_PEAK.of(then)) {
            return as_it_was;
        }
        let part = (known as f64 / then as f64).min(1.0);
        let more = (part * self.at_peak.saturating_sub(then) as f64) as u64;
        let peak = bytes.saturating_add(more);
        AtPeak {
            bytes: peak,
            because: Some(format!(
                "It had {} in the last heap snapshot before the peak, {} earlier. The lines that made it had {} live then and \
                 {} at the peak; the figure assumes that its part of that stayed the same.",
                units::size(bytes),
                units::duration((peak_nanos - nanos) as f64 / 1e9),
                units::size(then),
                units::size(self.at_peak),
            )),
        }
    }
}

/// The same of what these stacks made; as it was in the snapshot, if their history is not known.
pub(super) fn at_peak(
    history: Option<&AllocationHistory>,
    (bytes, stacks): (u64, &[StackBytes]),
    nanos: u64,
    evidence: &Evidence<'_>,
) -> AtPeak {
    match history {
        Some(history) => history.at_peak(bytes, known(stacks), nanos, evidence.peak_nanos),
        None => AtPeak { bytes, because: None },
    }
}

/// Bytes that the stacks account for.
pub(super) fn known(stacks: &[StackBytes]) -> u64 {
    stacks.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
}
