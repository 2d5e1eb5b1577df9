//! Survivors: the small blocks that are live in the C library's heaps, by stack.

use std::collections::BTreeMap;

use deadweight_capture::Addr;
use deadweight_capture::rss_samples::{AreaKind, RssSample};

use super::places::{self, Place};
use super::residency::Residency;
use crate::answer::ledger::Survivors;
use crate::replay::Replay;

/// The small blocks that are live in the C library's heaps.
pub(super) fn survivors(replay: &Replay, sample: &RssSample) -> Vec<Survivors> {
    let mut all = Vec::new();
    for seen in &sample.processes {
        let Some(process) = replay.running(seen.pid).and_then(|index| replay.process(index)) else {
            continue;
        };
        let residency = Residency::new(seen);
        let mut by_stack: BTreeMap<u32, Survivors> = BTreeMap::new();
        for (Addr(addr), block) in process.blocks() {
            let is_heap = || {
                let area = residency.at(addr);
                area.is_some_and(|area| matches!(area.kind(), AreaKind::Heap | AreaKind::MallocArena))
            };
            if block.allocator.is_python() || block.size >= places::SMALLEST_MAPPED || !is_heap() {
                continue;
            }
            let sum = by_stack.entry(block.stack.0).or_insert(Survivors {
                process: process.id(),
                stack: block.stack,
                blocks: 0.0,
                bytes: 0.0,
                recorded: 0,
            });
            let many = process.recording.weigh(block.size).milliblocks as f64 / 1000.0;
            sum.blocks += many;
            sum.bytes += many * Place::Heap.occupied(block.size) as f64;
            sum.recorded += 1;
        }
        all.extend(by_stack.into_values());
    }
    all
}

/// The full samples at which survivors are counted: at 50 % and 75 % of the time that samples cover, and the last one.
pub(super) fn chosen_samples(samples: &[RssSample]) -> Vec<usize> {
    let is_full = |at: &usize| samples.get(*at).is_some_and(|sample| sample.kinds.is_none());
    let close: Vec<usize> = (0..samples.len()).filter(is_full).collect();
    let nanos = |at: &usize| samples.get(*at).map_or(0, |sample| sample.nanos);
    let (Some(first), Some(last)) = (close.first(), close.last()) else {
        return Vec::new();
    };
    let length = nanos(last).saturating_sub(nanos(first));
    let mut chosen: Vec<usize> = [length / 2, length / 4 * 3, length]
        .into_iter()
        .filter_map(|after| {
            let wanted = nanos(first).saturating_add(after);
            close.iter().copied().min_by_key(|at| nanos(at).abs_diff(wanted))
        })
        .collect();
    chosen.dedup();
    chosen
}
