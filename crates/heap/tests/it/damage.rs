//! Foreign, damaged and cut-off snapshots: never a panic, and nothing that is not sound.

use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, EdgeLabel, Event, HeapObject, RootKind, StackId, StringId, TypeId};
use deadweight_heap::{Amount, Error};
use proptest::prelude::*;

use crate::snapshot::{Snapshot, analyse};

fn cycle() -> Snapshot {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 48, 1).attr("other", 0x2000);
    heap.tracked(0x2000, "app.Node", 48, 1)
        .attr("other", 0x1000)
        .word(16, 0x10_0000);
    heap.malloc(0x10_0000, 1 << 20, 1).word(0, 0x10_0000);
    heap.tracked(0x3000, "list", 1 << 20, 1);
    heap.frame("main", "x", 0x3000);
    heap
}

#[test]
fn a_snapshot_without_its_end_answers_no_garbage() {
    let answer = cycle().answer();
    assert!(!answer.complete);
    assert_eq!((answer.garbage, answer.cycles.len()), (Amount::default(), 0));
    assert!(
        answer.warnings[0].contains("not written to its end"),
        "{:?}",
        answer.warnings
    );
    assert_eq!(answer.holders[0].type_name, "list");
    assert_eq!(cycle().end().answer().garbage.objects, 2);
}

#[test]
fn an_empty_snapshot_is_an_error() {
    assert!(matches!(analyse(&[&Snapshot::new().bytes()], 0), Err(Error::Empty)));
    assert!(matches!(analyse(&[], 0), Err(Error::Empty)));
    assert!(matches!(analyse(&[b"nonsense"], 0), Err(Error::Capture(_))));
}

#[test]
fn a_missing_file_is_told_and_costs_the_garbage() {
    let bytes = cycle().end().bytes();
    let answer = analyse(&[&bytes, b"nonsense"], 0).unwrap();
    assert!(!answer.complete);
    assert!(
        answer.warnings[0].contains("a part of the heap snapshot is missing"),
        "{:?}",
        answer.warnings
    );
}

#[test]
fn an_object_that_comes_twice_counts_once() {
    let mut heap = cycle();
    heap.tracked(0x1000, "app.Node", 48, 1).attr("other", 0x2000);
    let answer = heap.end().answer();
    assert_eq!((answer.all.objects, answer.garbage.objects), (3, 2));
}

/// A list with references to objects of 50 bytes, each of which only the list has.
fn list_of(addrs: &[u64]) -> Snapshot {
    let mut heap = Snapshot::new();
    heap.frame("main", "list", 0x10_0000);
    heap.tracked(0x10_0000, "list", 100, 1);
    for (at, &addr) in (0..).zip(addrs) {
        heap.item(at, addr);
    }
    heap
}

#[test]
fn an_object_that_comes_as_a_leaf_and_as_another_one_counts_once() {
    let leaves: Vec<u64> = (0..8).map(|at| 0x20_0000 + at * 64).collect();
    let twice: Vec<u64> = (0..50).map(|at| 0x18_0000 + at * 64).collect();
    let mut heap = list_of(&leaves);
    for references in [1, 2] {
        for &addr in &twice {
            heap.plain(addr, "str", 50, references);
        }
    }
    for &addr in &leaves {
        heap.plain(addr, "str", 50, 1);
    }
    let answer = heap.end().answer();
    assert_eq!((answer.all.objects, answer.all.python_bytes), (59, 100 + 58 * 50));
    let list = answer.types.iter().find(|amount| amount.type_name == "list").unwrap();
    assert_eq!(list.retained_bytes, 100 + 8 * 50);
}

fn arb_event() -> impl Strategy<Value = Event<'static>> {
    let addr = prop_oneof![9 => (0u64..40).prop_map(|at| Addr(at * 16)), 1 => any::<u64>().prop_map(Addr)];
    let number = prop_oneof![9 => 0u64..64, 1 => any::<u64>()];
    let small = prop_oneof![9 => 0u32..8, 1 => any::<u32>()];
    let label = (0u8..10, small.clone()).prop_map(|(kind, number)| match kind {
        0 => EdgeLabel::Attribute(StringId(number)),
        1 => EdgeLabel::Key(StringId(number)),
        2 => EdgeLabel::Item(StringId(number)),
        3 => EdgeLabel::Index(number),
        4 => EdgeLabel::Member,
        5 => EdgeLabel::Local(StringId(number)),
        6 => EdgeLabel::Closure(StringId(number)),
        7 => EdgeLabel::Type,
        8 => EdgeLabel::Unnamed(number),
        _ => EdgeLabel::Weak,
    });
    let object = (
        addr.clone(),
        small.clone(),
        number.clone(),
        0u64..4,
        any::<bool>(),
        0u32..3,
    )
        .prop_map(|(addr, kind, size, references, tracked, prefix)| {
            Event::HeapObject(HeapObject {
                addr,
                type_id: TypeId(kind),
                size,
                references,
                tracked,
                prefix: prefix * 16,
            })
        });
    let text = prop::sample::select(vec![&b"__dict__"[..], b"name", b"\xff\x00", b""]);
    prop_oneof![
        8 => object,
        16 => (addr.clone(), label, any::<bool>()).prop_map(|(to, label, counted)| Event::HeapEdge { to, label, counted }),
        4 => (addr.clone(), small.clone()).prop_map(|(to, offset)| Event::HeapWord { to, offset }),
        4 => (addr, number.clone(), small.clone(), 0u8..4).prop_map(|(addr, size, stack, domain)| Event::Alloc {
            addr,
            size,
            stack: StackId(stack),
            allocator: Allocator::from_wire(domain).unwrap(),
        }),
        1 => small.clone().prop_map(|name| Event::HeapRoot { kind: RootKind::Frame, name: StringId(name) }),
        1 => (small.clone(), text).prop_map(|(id, bytes)| Event::String { id: StringId(id), bytes }),
        1 => (small.clone(), small).prop_map(|(id, name)| Event::HeapType { id: TypeId(id), name: StringId(name) }),
        1 => (number.clone(), number).prop_map(|(objects, failed)| Event::HeapEnd { objects, failed, pause_nanos: 0 }),
    ]
}

fn segment(events: &[Event<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; 4096 + events.len() * 100];
    let info = SegmentInfo {
        interval_bytes: 65_536,
        always_bytes: 1 << 18,
        ..SegmentInfo::default()
    };
    let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
    events.iter().for_each(|event| writer.put(event).unwrap());
    let len = writer.finish();
    bytes.truncate(len);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 500 }))]

    #[test]
    fn no_order_of_events_is_too_much(events in prop::collection::vec(arb_event(), 0..200)) {
        let bytes = segment(&events);
        if let Ok(answer) = analyse(&[&bytes, &bytes], 0) {
            prop_assert!(answer.garbage.bytes() <= answer.all.bytes());
            let grouped: u64 = answer.cycles.iter().map(|group| group.amount.objects).sum();
            prop_assert!(grouped <= answer.garbage.objects);
        }
    }

    #[test]
    fn objects_count_once_however_often_and_in_whatever_form_they_come(
        listed in prop::collection::btree_set(0u64..40, 0..40),
        written in prop::collection::vec((0u64..40, 1u64..3), 1..120),
    ) {
        let addr = |slot: u64| 0x20_0000 - 20 * 64 + slot * 64;
        let mut heap = list_of(&listed.iter().map(|&slot| addr(slot)).collect::<Vec<_>>());
        for &(slot, references) in &written {
            heap.plain(addr(slot), "str", 50, references);
        }
        let distinct = written.iter().map(|(slot, _)| slot).collect::<std::collections::BTreeSet<_>>().len() as u64;
        let all = heap.end().answer().all;
        prop_assert_eq!((all.objects, all.python_bytes), (1 + distinct, 100 + 50 * distinct));
    }

    #[test]
    fn no_damage_is_too_much(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
        let mut bytes = cycle().end().bytes();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = analyse(&[&bytes], 0);
        bytes.truncate(cut.index(bytes.len()));
        let _ = analyse(&[&bytes], 0);
    }
}
