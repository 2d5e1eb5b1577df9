//! What is written comes back.

use deadweight_capture::read::{Capture, ProcessId, Segment, Tail, segment_file_name, segments};
use deadweight_capture::wire::{self, State};
use deadweight_capture::write::{Full, SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, Error, Event, StackId};
use proptest::prelude::*;

use crate::random::{INFO, START_NANOS, all, drain, segment, timed_events, without_clocks};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 64 }))]

    #[test]
    fn events_come_back_with_their_times(events in timed_events(0..200), closed: bool) {
        let state = if closed { State::Full } else { State::Recording };
        let bytes = segment(&events, state);
        let parsed = Segment::parse(&bytes)?;
        let (found, rest) = drain(parsed.events());
        prop_assert_eq!(rest.tail(), if closed { Tail::Complete } else { Tail::Open });
        let (mut said, mut wanted, mut true_nanos) = (0, events.iter(), START_NANOS);
        for event in found {
            if let Event::Clock { nanos } = event {
                prop_assert!(nanos >= said);
                said = nanos;
                continue;
            }
            let (passed, expected) = wanted.next().expect("no more than was written");
            true_nanos += passed;
            prop_assert_eq!(&event, expected);
            prop_assert!(said <= true_nanos && true_nanos - said < 1000, "{} {}", said, true_nanos);
        }
        prop_assert_eq!(wanted.next(), None);
    }

    #[test]
    fn reading_goes_on_where_it_stopped(
        events in timed_events(0..120),
        stops in prop::collection::vec(0usize..120, 0..6),
    ) {
        let mut stops = stops;
        stops.push(events.len());
        stops.sort_unstable();
        let mut found = Vec::new();
        let mut position = (0, 0);
        for stop in stops {
            // The file as it was when so many events were written.
            let bytes: &[u8] = Box::leak(segment(&events[..stop.min(events.len())], State::Recording).into());
            let (new, rest) = drain(Segment::parse(bytes)?.events_from(position.0, position.1));
            position = rest.position();
            found.extend(new);
        }
        let expected: Vec<_> = events.iter().map(|(_, event)| *event).collect();
        prop_assert_eq!(without_clocks(found.into_iter()), expected);
    }

    #[test]
    fn a_pause_changes_nothing(events in timed_events(0..120), pauses in prop::collection::vec(0usize..40, 0..20)) {
        let bytes = segment(&events, State::Ended);
        let parsed = Segment::parse(&bytes)?;
        let mut reading = parsed.events();
        let mut found = Vec::new();
        for count in pauses {
            found.extend(reading.by_ref().take(count));
            reading = Segment::parse(&bytes)?.resume(reading.pause());
        }
        found.extend(reading.by_ref());
        prop_assert_eq!(found, all(&bytes));
        prop_assert_eq!(reading.tail(), Tail::Complete);
    }
}

#[test]
fn the_header_comes_back() {
    let bytes = segment(&[], State::NoMemory);
    let header = *Segment::parse(&bytes).unwrap().header();
    let found = SegmentInfo {
        pid: header.pid,
        incarnation: header.incarnation,
        index: header.index,
        exact: header.exact,
        interval_bytes: header.interval_bytes,
        always_bytes: header.always_bytes,
        start_nanos: header.start_nanos,
        requests: header.requests,
        snapshot_writer: header.snapshot_writer,
    };
    assert_eq!((found, header.state), (INFO, State::NoMemory));
}

#[test]
fn several_segments_may_follow_each_other() {
    let lost = |events| [(0, Event::Lost { events })];
    let bytes = [segment(&lost(1), State::Full), segment(&lost(2), State::Ended)].concat();
    let found: Vec<_> = segments(&bytes)
        .flat_map(|segment| without_clocks(segment.unwrap().events()))
        .collect();
    assert_eq!(found, [Event::Lost { events: 1 }, Event::Lost { events: 2 }]);
}

#[test]
fn a_full_segment_says_so_and_stays_readable() {
    let mut bytes = vec![0; 600];
    let mut writer = SegmentWriter::begin(&mut bytes, &INFO).unwrap();
    let mut written = 0;
    while writer
        .put(&Event::Free {
            addr: Addr(written * 8),
        })
        .is_ok()
    {
        written += 1;
    }
    assert_eq!(writer.note(b"one more"), Err(Full));
    writer.alloc(Addr(8), 8, StackId::NONE, Allocator::Malloc);
    assert_eq!(without_clocks(all(&bytes).into_iter()).len() as u64, written);
    assert!(written > 50);
}

#[test]
fn a_buffer_that_is_too_small_is_refused() {
    let mut bytes = vec![0; wire::HEADER_BYTES + wire::CHUNK_HEADER_BYTES];
    assert!(SegmentWriter::begin(&mut bytes, &INFO).is_none());
}

#[test]
fn a_folder_lists_its_processes_and_segments_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let process = |pid, incarnation| ProcessId { pid, incarnation };
    let names = [
        segment_file_name(process(20, 0), 1),
        segment_file_name(process(20, 0), 0),
        segment_file_name(process(20, 1), 0),
        segment_file_name(process(3, 0), 1_000_000),
        "fold.dws".into(),
        "fold.dws.part".into(),
        "notes.txt".into(),
        "1.2.dws".into(),
    ];
    for name in names {
        std::fs::write(folder.path().join(name), b"12345").unwrap();
    }
    let capture = Capture::open(folder.path()).unwrap();
    let found: Vec<_> = capture
        .processes()
        .iter()
        .map(|files| (files.process, files.segments.iter().map(|file| file.index).collect()))
        .collect();
    assert_eq!(
        found,
        [
            (process(3, 0), vec![1_000_000]),
            (process(20, 0), vec![0, 1]),
            (process(20, 1), vec![0])
        ]
    );
    assert!(capture.fold().is_some());
    assert_eq!(capture.len_bytes(), 5 * 5);
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    std::fs::write(&file, b"x").unwrap();
    for path in [folder.path(), &file] {
        assert!(matches!(Capture::open(path), Err(Error::NotACapture { .. })));
    }
    let missing = Capture::open(&folder.path().join("b"));
    assert!(matches!(missing, Err(Error::Io { .. })));
}
