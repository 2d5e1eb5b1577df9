//! Claims about the replay, by hand-made streams and against a naive twin.

mod oracle;

use deadweight_capture::read::ProcessId;
use deadweight_capture::{Addr, Allocator, Event, MapKind, StackId};

use super::Replay;
use crate::replay::weight::{BLOCK, Recording};

pub(super) const EXACT: Recording = Recording {
    exact: true,
    interval_bytes: 0,
    always_bytes: 0,
};

pub(super) fn id(pid: u32) -> ProcessId {
    ProcessId { pid, incarnation: 0 }
}

fn alloc(addr: u64, size: u64, stack: u32) -> Event<'static> {
    Event::Alloc {
        addr: Addr(addr),
        size,
        stack: StackId(stack),
        allocator: Allocator::Malloc,
    }
}

fn free(addr: u64) -> Event<'static> {
    Event::Free { addr: Addr(addr) }
}

fn clock(nanos: u64) -> Event<'static> {
    Event::Clock { nanos }
}

fn map(addr: u64, len: u64, kind: MapKind, stack: u32) -> Event<'static> {
    Event::Map {
        addr: Addr(addr),
        len,
        kind,
        stack: StackId(stack),
    }
}

fn unmap(addr: u64, len: u64) -> Event<'static> {
    Event::Unmap { addr: Addr(addr), len }
}

fn remap(old: (u64, u64), new: (u64, u64), stack: u32) -> Event<'static> {
    Event::Remap {
        old: Addr(old.0),
        old_len: old.1,
        new: Addr(new.0),
        new_len: new.1,
        stack: StackId(stack),
    }
}

/// Replays events of processes 0, 1, ... with ids 1, 2, ...
fn replay(events: &[(usize, Event<'_>)]) -> Replay {
    let mut replay = Replay::default();
    for pid in 1..=3 {
        replay.add(id(pid), EXACT);
    }
    for (process, event) in events {
        replay.event(*process, event);
    }
    replay
}

fn one(events: &[Event<'_>]) -> Replay {
    replay(&events.iter().map(|&event| (0, event)).collect::<Vec<_>>())
}

/// What a stack had at the peak, ever allocated, and has now, in bytes.
fn bytes(replay: &Replay, process: usize, stack: usize) -> (u64, u64, u64) {
    let process = replay.process(process).unwrap();
    let cell = process.cells().get(stack).copied().unwrap_or_default();
    (
        replay.tree().at_peak(&cell, process.is_gone()).bytes,
        cell.allocated.bytes,
        cell.live.bytes,
    )
}

#[test]
fn freed_before_the_peak_is_not_in_it() {
    let replay = one(&[alloc(8, 100, 1), free(8), alloc(16, 150, 2)]);
    assert_eq!(replay.peak().heap.bytes, 150);
    assert_eq!(bytes(&replay, 0, 1), (0, 100, 0));
    assert_eq!(bytes(&replay, 0, 2), (150, 150, 150));
}

#[test]
fn freed_after_the_peak_is_in_it() {
    let replay = one(&[alloc(8, 100, 1), alloc(16, 50, 2), free(8), free(16), alloc(8, 20, 1)]);
    assert_eq!(replay.peak().heap.bytes, 150);
    assert_eq!(bytes(&replay, 0, 1), (100, 120, 20));
    assert_eq!(bytes(&replay, 0, 2), (50, 50, 0));
}

#[test]
fn of_two_equal_peaks_the_first_counts() {
    let replay = one(&[
        clock(1000),
        alloc(8, 100, 1),
        clock(2000),
        free(8),
        clock(3000),
        alloc(8, 100, 2),
    ]);
    assert_eq!(replay.peak().nanos, 1000);
    assert_eq!(bytes(&replay, 0, 1).0, 100);
    assert_eq!(bytes(&replay, 0, 2).0, 0);
}

#[test]
fn an_empty_block_after_the_peak_is_not_in_it() {
    let replay = one(&[alloc(8, 100, 1), alloc(16, 0, 2)]);
    assert_eq!(replay.peak().heap.blocks, 1);
}

#[test]
fn an_alloc_at_a_live_address_drops_the_old_block_first() {
    let replay = one(&[alloc(8, 100, 1), alloc(8, 120, 2)]);
    assert_eq!(replay.peak().heap.bytes, 120);
    assert_eq!(bytes(&replay, 0, 1), (0, 100, 0));
    assert_eq!(replay.process(0).unwrap().unseen_frees, 1);
}

#[test]
fn a_free_of_an_unknown_address_is_ignored() {
    let replay = one(&[alloc(8, 100, 1), free(16)]);
    assert_eq!(bytes(&replay, 0, 1), (100, 100, 100));
}

#[test]
fn a_forked_child_does_not_free_what_it_inherited() {
    let replay = replay(&[(0, alloc(8, 100, 1)), (1, free(8)), (1, alloc(16, 10, 1))]);
    assert_eq!(replay.peak().heap.bytes, 110);
    assert_eq!(bytes(&replay, 0, 1).2, 100);
}

#[test]
fn memory_of_a_process_that_ended_is_not_live_but_is_what_it_ended_with() {
    let end = Event::End { max_rss_bytes: 5 };
    let replay = replay(&[(0, alloc(8, 100, 1)), (0, end), (0, free(8)), (1, alloc(8, 70, 1))]);
    assert_eq!(replay.peak().heap.bytes, 100);
    assert_eq!(bytes(&replay, 0, 1), (100, 100, 100));
    assert_eq!(bytes(&replay, 1, 1).0, 0);
}

#[test]
fn a_process_that_left_before_the_peak_is_not_in_it() {
    let mut replay = replay(&[(0, alloc(8, 100, 1))]);
    replay.leave(0);
    replay.event(1, &alloc(8, 200, 1));
    assert_eq!(replay.peak().heap.bytes, 200);
    assert_eq!(bytes(&replay, 0, 1), (0, 100, 100));
}

#[test]
fn each_process_has_its_own_peak() {
    let replay = replay(&[
        (0, clock(1)),
        (0, alloc(8, 100, 1)),
        (0, free(8)),
        (1, clock(2)),
        (1, alloc(8, 300, 1)),
    ]);
    let first = replay.process(0).unwrap();
    assert_eq!((first.own_peak.bytes, first.own_peak_nanos), (100, 1));
    assert_eq!(bytes(&replay, 0, 1).0, 0);
}

#[test]
fn the_peak_is_made_of_python_native_and_mapped_memory() {
    let python = Event::Alloc {
        addr: Addr(8),
        size: 10,
        stack: StackId(1),
        allocator: Allocator::PyMem,
    };
    let replay = one(&[
        python,
        alloc(16, 20, 1),
        map(4096, 4096, MapKind::Anonymous, 1),
        map(8192, 4096, MapKind::File, 1),
        map(12288, 4096, MapKind::Reserved, 1),
        free(8),
    ]);
    let composition = replay.peak().composition;
    assert_eq!(
        (
            composition.python_bytes,
            composition.native_bytes,
            composition.mapped_bytes
        ),
        (10, 20, 4096)
    );
}

#[test]
fn an_unmap_cuts_through_mappings() {
    let replay = one(&[
        map(0x1000, 0x3000, MapKind::Anonymous, 1),
        map(0x4000, 0x2000, MapKind::Anonymous, 2),
        unmap(0x2000, 0x3000),
    ]);
    assert_eq!(bytes(&replay, 0, 1).2, 0x1000);
    assert_eq!(bytes(&replay, 0, 2).2, 0x1000);
}

#[test]
fn a_mapping_replaces_what_is_in_its_range() {
    let replay = one(&[
        map(0x1000, 0x3000, MapKind::Anonymous, 1),
        map(0x2000, 0x1000, MapKind::File, 2),
    ]);
    let cell = replay.process(0).unwrap().cells()[1];
    assert_eq!((cell.live.bytes, cell.live.milliblocks), (0x2000, 2 * BLOCK));
    assert_eq!(cell.allocated.milliblocks, 2 * BLOCK);
}

#[test]
fn a_mapping_that_grows_belongs_to_the_stack_that_grew_it() {
    let replay = one(&[
        map(0x1000, 0x1000, MapKind::Anonymous, 1),
        remap((0x1000, 0x1000), (0x8000, 0x4000), 2),
    ]);
    assert_eq!(bytes(&replay, 0, 1), (0, 0x1000, 0));
    assert_eq!(bytes(&replay, 0, 2), (0x4000, 0x4000, 0x4000));
}

#[test]
fn a_mapping_that_moves_keeps_its_stack() {
    let replay = one(&[
        map(0x1000, 0x2000, MapKind::Anonymous, 1),
        remap((0x1000, 0x2000), (0x8000, 0x1000), 2),
        unmap(0x8000, 0x800),
    ]);
    assert_eq!(bytes(&replay, 0, 1), (0x2000, 0x2000, 0x800));
    assert_eq!(bytes(&replay, 0, 2), (0, 0, 0));
}

#[test]
fn of_an_unknown_mapping_nothing_grows() {
    let replay = one(&[remap((0x1000, 0x1000), (0x8000, 0x4000), 2)]);
    assert_eq!(replay.peak().heap.bytes, 0);
}

#[test]
fn absurd_figures_do_not_panic() {
    let replay = one(&[
        alloc(u64::MAX, u64::MAX, u32::MAX),
        alloc(0, u64::MAX, 3),
        map(u64::MAX - 5, u64::MAX, MapKind::Anonymous, 1),
        remap((u64::MAX - 5, 2), (u64::MAX - 1, u64::MAX), 1),
        remap((u64::MAX - 3, 1), (u64::MAX - 2, 1), 1),
        unmap(0, u64::MAX),
        clock(u64::MAX),
        clock(0),
        free(u64::MAX),
    ]);
    assert_eq!(replay.process(0).unwrap().nanos(), u64::MAX);
}
