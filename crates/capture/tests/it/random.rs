//! Random events, as a writer may put them.

use deadweight_capture::read::{Events, Segment};
use deadweight_capture::wire::State;
use deadweight_capture::write::{Requests, SegmentInfo, SegmentWriter};
use deadweight_capture::{
    Addr, Allocator, CodeId, Event, Frame, LineTableKind, MapKind, RegionAmount, StackId, StackTotals, StringId,
};
use proptest::prelude::*;

pub const START_NANOS: u64 = 5_000_000_123;

/// Tests are short: their texts may live until the end.
fn text(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = &'static [u8]> {
    prop::collection::vec(any::<u8>(), len).prop_map(|bytes| &*Box::leak(bytes.into_boxed_slice()))
}

/// Addresses of user space; near and far, even and odd.
fn addr() -> impl Strategy<Value = Addr> {
    prop_oneof![
        0u64..1 << 47,
        (0u64..1000).prop_map(|slot| 0x7f12_3456_0000 + slot * 16)
    ]
    .prop_map(Addr)
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        4 => (any::<u32>(), any::<i32>()).prop_map(|(code, offset)| Frame::Python { code: CodeId(code), offset }),
        1 => any::<u32>().prop_map(|name| Frame::NativeThread { name: StringId(name) }),
        1 => prop::sample::select(vec![Frame::StartUp, Frame::Interpreter, Frame::Truncated, Frame::StacksOff]),
    ]
}

fn stack() -> impl Strategy<Value = StackId> {
    prop_oneof![0u32..20, any::<u32>()].prop_map(StackId)
}

fn blocks() -> impl Strategy<Value = Event<'static>> {
    let allocator = (0u8..4).prop_map(|number| Allocator::from_wire(number).unwrap());
    let kind = (0u8..4).prop_map(|number| MapKind::from_wire(number).unwrap());
    prop_oneof![
        8 => (addr(), any::<u64>(), stack(), allocator)
            .prop_map(|(addr, size, stack, allocator)| Event::Alloc { addr, size, stack, allocator }),
        8 => addr().prop_map(|addr| Event::Free { addr }),
        1 => (addr(), any::<u64>(), kind, stack())
            .prop_map(|(addr, len, kind, stack)| Event::Map { addr, len, kind, stack }),
        1 => (addr(), any::<u64>()).prop_map(|(addr, len)| Event::Unmap { addr, len }),
        1 => (addr(), any::<u64>(), addr(), any::<u64>(), stack())
            .prop_map(|(old, old_len, new, new_len, stack)| Event::Remap { old, old_len, new, new_len, stack }),
    ]
}

fn definitions() -> impl Strategy<Value = Event<'static>> {
    let kind = (0u64..3).prop_map(|number| LineTableKind::from_wire(number).unwrap());
    prop_oneof![
        (any::<u32>(), any::<u32>(), any::<bool>(), text(0..50)).prop_map(|(parent, python, forked, argv)| {
            Event::Process {
                parent,
                python,
                forked,
                argv,
            }
        }),
        (any::<u32>(), text(0..300)).prop_map(|(id, bytes)| Event::String {
            id: StringId(id),
            bytes
        }),
        (any::<[u32; 4]>(), kind, text(0..100)).prop_map(|([id, file, name, first_line], kind, line_table)| {
            Event::Code {
                id: CodeId(id),
                file: StringId(file),
                name: StringId(name),
                first_line,
                kind,
                line_table,
            }
        }),
        (1u32.., any::<prop::sample::Index>(), frame()).prop_map(|(id, parent, frame)| Event::Stack {
            id: StackId(id),
            parent: StackId(parent.index(id as usize) as u32),
            frame,
        }),
        any::<u64>().prop_map(|events| Event::Lost { events }),
        text(0..100).prop_map(|text| Event::Note { text }),
        any::<u64>().prop_map(|max_rss_bytes| Event::End { max_rss_bytes }),
        (any::<u64>(), any::<bool>()).prop_map(|(nanos, over)| Event::PythonEnds { nanos, over }),
    ]
}

fn folded() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        (any::<u32>(), any::<[u64; 6]>()).prop_map(|(stack, [a, b, c, d, e, f])| {
            Event::Totals(StackTotals {
                stack: StackId(stack),
                allocated_bytes: a,
                allocated_milliblocks: b,
                allocated_variance: c,
                peak_bytes: d,
                peak_milliblocks: e,
                peak_variance: f,
            })
        }),
        any::<[u64; 4]>().prop_map(|[bytes, milliblocks, variance, nanos]| Event::ProcessPeak {
            bytes,
            milliblocks,
            variance,
            nanos,
        }),
        (any::<[u64; 4]>(), any::<bool>()).prop_map(|([python_bytes, native_bytes, mapped_bytes, nanos], now)| {
            Event::TreePeak {
                python_bytes,
                native_bytes,
                mapped_bytes,
                nanos,
                now,
            }
        }),
        (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(segment, chunk, consumed)| Event::Position {
            segment,
            chunk,
            consumed,
        }),
        (any::<u32>(), any::<[u64; 3]>()).prop_map(|(stack, [bytes, milliblocks, variance])| Event::Left {
            stack: StackId(stack),
            bytes,
            milliblocks,
            variance,
        }),
        (any::<[u64; 3]>(), any::<[bool; 2]>()).prop_map(
            |([first_nanos, last_nanos, unseen_frees], [gone, tail_open])| Event::Folded {
                first_nanos,
                last_nanos,
                unseen_frees,
                gone,
                tail_open,
            }
        ),
        text(0..100).prop_map(|text| Event::Warning { text }),
        (any::<u32>(), any::<[u64; 2]>()).prop_map(|(stack, [largest_bytes, native_bytes])| Event::Sizes {
            stack: StackId(stack),
            largest_bytes,
            native_bytes,
        }),
        any::<[u64; 2]>().prop_map(|[origin_nanos, width_nanos]| Event::History {
            origin_nanos,
            width_nanos,
        }),
        any::<u64>().prop_map(|bytes| Event::Sample { bytes }),
        any::<u64>().prop_map(|bytes| Event::Allocated { bytes }),
        (any::<u32>(), any::<u64>()).prop_map(|(stack, bytes)| Event::Level {
            stack: StackId(stack),
            bytes,
        }),
    ]
}

fn regions() -> impl Strategy<Value = Event<'static>> {
    let kind = (0u64..6).prop_map(|number| RegionAmount::from_wire(number).unwrap());
    prop_oneof![
        any::<[u32; 3]>().prop_map(|[number, outer, name]| Event::RegionEnter {
            number,
            outer,
            name: StringId(name),
        }),
        any::<u32>().prop_map(|number| Event::RegionLeave { number }),
        any::<u32>().prop_map(|number| Event::Region { number }),
        any::<([u32; 2], [u64; 3])>().prop_map(|([track, name], [entries, unfinished, nanos])| Event::RegionTotals {
            track,
            name: StringId(name),
            entries,
            unfinished,
            nanos,
        }),
        any::<([u32; 5], u64, bool)>().prop_map(|([track, number, outer, name, code], entered_nanos, repeated)| {
            Event::RegionOpen {
                track,
                number,
                outer,
                name: StringId(name),
                entered_nanos,
                code: CodeId(code),
                repeated,
            }
        }),
        (kind, any::<[u64; 3]>()).prop_map(|(kind, [bytes, milliblocks, variance])| Event::RegionAmount {
            kind,
            bytes,
            milliblocks,
            variance,
        }),
        any::<([u32; 2], [u64; 2])>().prop_map(|([track, name], [first_nanos, last_nanos])| Event::RegionSpan {
            track,
            name: StringId(name),
            first_nanos,
            last_nanos,
        }),
        (addr(), any::<([u32; 2], bool)>()).prop_map(|(addr, ([track, number], mapping))| Event::RegionOwner {
            addr,
            track,
            number,
            mapping,
        }),
        any::<[u32; 3]>().prop_map(|[track, number, outer]| Event::RegionLeft { track, number, outer }),
    ]
}

/// Any event but the clock.
pub fn event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        20 => blocks(),
        7 => definitions(),
        3 => folded(),
        3 => regions(),
        // Now and then a text that fills half a chunk.
        1 => text(30_000..40_000).prop_map(|text| Event::Note { text }),
    ]
}

/// Events, each with the time that passes before it.
pub fn timed_events(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<(u64, Event<'static>)>> {
    prop::collection::vec((prop_oneof![Just(0u64), 0u64..10_000], event()), count)
}

pub const INFO: SegmentInfo = SegmentInfo {
    pid: 12,
    incarnation: 3,
    index: 4,
    exact: false,
    interval_bytes: 65_536,
    always_bytes: 1 << 20,
    start_nanos: START_NANOS,
    requests: Requests {
        asked: 8,
        answered: 6,
        answer: 5,
        noticed: 7,
    },
    snapshot_writer: 9,
};

/// A segment with these events; sealed if the state is one in which the writer has left it.
pub fn segment(events: &[(u64, Event<'_>)], state: State) -> Vec<u8> {
    let mut bytes = vec![0; 4 << 20];
    let mut writer = SegmentWriter::begin(&mut bytes, &INFO).unwrap();
    let mut nanos = START_NANOS;
    for (passed, event) in events {
        nanos += passed;
        writer.clock(nanos);
        writer.put(event).unwrap();
    }
    writer.set_state(state);
    if state != State::Recording {
        let size = writer.finish();
        bytes.truncate(size);
    }
    bytes
}

pub fn all(bytes: &[u8]) -> Vec<Event<'_>> {
    Segment::parse(bytes).map_or(Vec::new(), |segment| segment.events().collect())
}

pub fn without_clocks<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    events.filter(|event| !matches!(event, Event::Clock { .. })).collect()
}

/// Reads to the end and says what was there.
pub fn drain<'a>(mut events: Events<'a>) -> (Vec<Event<'a>>, Events<'a>) {
    let found = events.by_ref().collect();
    (found, events)
}
