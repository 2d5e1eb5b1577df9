//! Restores the state that a fold holds.

use deadweight_capture::Event;

use super::process::{Block, Process};
use super::tree::Tree;
use crate::replay::ranges::Piece;
use crate::replay::weight::Weight;

/// Restores from one event of a fold. `Position` is for the reader of the segments.
pub(super) fn restore(process: &mut Process, tree: &mut Tree, event: &Event<'_>) {
    match *event {
        // The clocks of a fold mean nothing; `Folded` has the times.
        Event::Clock { .. } | Event::Position { .. } => {}
        Event::Folded {
            first_nanos,
            last_nanos,
            unseen_frees,
            gone,
            ..
        } => process.restore_folded(first_nanos, last_nanos, unseen_frees, gone),
        Event::Alloc {
            addr,
            size,
            stack,
            allocator,
        } => process.restore_block(tree, addr, Block { size, stack, allocator }),
        Event::Map { addr, len, kind, stack } => {
            let piece = Piece {
                start: addr.0,
                end: addr.0.saturating_add(len),
                kind,
                stack,
            };
            process.restore_piece(tree, piece);
        }
        Event::Left {
            stack,
            bytes,
            milliblocks,
            variance,
        } => {
            let weight = Weight {
                bytes,
                milliblocks,
                variance,
            };
            process.restore_left(stack, weight);
        }
        Event::Totals(totals) => {
            let cell = process.cell(totals.stack);
            cell.allocated = Weight {
                bytes: totals.allocated_bytes,
                milliblocks: totals.allocated_milliblocks,
                variance: totals.allocated_variance,
            };
            let saved = Weight {
                bytes: totals.peak_bytes,
                milliblocks: totals.peak_milliblocks,
                variance: totals.peak_variance,
            };
            tree.restore_saved(cell, saved);
        }
        Event::Sizes {
            stack,
            largest_bytes,
            native_bytes,
        } => process.restore_sizes(stack, largest_bytes, native_bytes),
        Event::History {
            origin_nanos,
            width_nanos,
        } => process.history.restore(origin_nanos, width_nanos),
        Event::Sample { bytes } => process.history.restore_sample(bytes),
        Event::Allocated { bytes } => process.history.restore_allocated(bytes),
        Event::Level { stack, bytes } => process.history.restore_level(stack, bytes),
        Event::ProcessPeak {
            bytes,
            milliblocks,
            variance,
            nanos,
        } => {
            process.own_peak = Weight {
                bytes,
                milliblocks,
                variance,
            };
            process.own_peak_nanos = nanos;
        }
        Event::TreePeak {
            python_bytes,
            native_bytes,
            mapped_bytes,
            nanos,
            now,
        } => tree.restore_peak([python_bytes, native_bytes, mapped_bytes], nanos, now),
        Event::End { max_rss_bytes } => process.metadata.max_rss_bytes = Some(max_rss_bytes),
        Event::String { .. } | Event::Code { .. } | Event::Stack { .. } => process.stacks.define(event),
        Event::Process { python, .. } => {
            process.regions.set_python(python);
            process.metadata.event(event);
        }
        Event::Region { .. }
        | Event::RegionTotals { .. }
        | Event::RegionOpen { .. }
        | Event::RegionAmount { .. }
        | Event::RegionSpan { .. }
        | Event::RegionOwner { .. }
        | Event::RegionLeft { .. } => process.regions.restore(event),
        _ => process.metadata.event(event),
    }
}
