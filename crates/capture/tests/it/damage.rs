//! Foreign and damaged bytes: never a panic, and what is damaged is told.

use deadweight_capture::read::{Segment, SegmentHeader, Tail, segments};
use deadweight_capture::wire::{self, State};
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Error, Event};
use proptest::prelude::*;

use crate::random::{all, drain, segment, timed_events};

/// How many bytes of an open segment are used.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 40 }))]

    #[test]
    fn every_prefix_yields_a_prefix_of_the_events(
        events in timed_events(0..60),
        closed: bool,
        step in 1usize..3000,
    ) {
        let bytes = segment(&events, if closed { State::Ended } else { State::Recording });
        let whole = all(&bytes);
        let end = used(&bytes);
        // Each prefix of small segments; of large ones, each of the last and a choice of the others.
        let dense = end.saturating_sub(500)..=end;
        let cuts = (0..end).step_by(if end < 3000 { 1 } else { step }).chain(dense);
        for cut in cuts {
            let found = all(&bytes[..cut]);
            prop_assert!(whole.starts_with(&found), "cut at {}", cut);
        }
    }

    #[test]
    fn a_flipped_byte_is_harmless_or_told(
        events in timed_events(1..60),
        places in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 200),
    ) {
        let mut bytes = segment(&events, State::Ended);
        let (whole, rest) = {
            let (whole, rest) = drain(Segment::parse(&bytes)?.events());
            (whole.len(), rest.tail())
        };
        prop_assert_eq!(rest, Tail::Complete);
        let original = bytes.clone();
        let original = all(&original);
        prop_assert_eq!(original.len(), whole);
        for (place, mask) in places {
            // As often in the headers as everywhere else.
            let at = if mask % 2 == 0 { place.index(bytes.len()) } else { place.index(bytes.len().min(170)) };
            bytes[at] ^= mask;
            match Segment::parse(&bytes) {
                Err(_) => prop_assert!(at < wire::HEADER_BYTES),
                Ok(segment) => {
                    prop_assert!(at >= wire::HEADER_STATE, "byte {} of the header", at);
                    let (found, rest) = drain(segment.events());
                    let told = matches!(rest.tail(), Tail::CutOff { .. });
                    if told {
                        prop_assert!(original.starts_with(&found));
                    } else {
                        prop_assert_eq!(&found, &original, "byte {}", at);
                    }
                }
            }
            bytes[at] ^= mask;
        }
    }

    #[test]
    fn a_flipped_byte_in_an_open_segment_never_panics(events in timed_events(1..40), place: prop::sample::Index, mask in 1u8..) {
        let mut bytes = segment(&events, State::Recording);
        let at = place.index(used(&bytes));
        bytes[at] ^= mask;
        all(&bytes);
    }

    #[test]
    fn garbage_is_refused(bytes: Vec<u8>) {
        prop_assume!(!bytes.starts_with(&wire::MAGIC));
        prop_assert!(matches!(Segment::parse(&bytes), Err(Error::BadMagic)));
        prop_assert_eq!(segments(&bytes).count(), usize::from(!bytes.is_empty()));
    }

    #[test]
    fn garbage_after_a_header_never_panics(garbage: Vec<u8>) {
        let mut bytes = segment(&[], State::Recording);
        bytes.truncate(wire::HEADER_BYTES);
        bytes.extend(&garbage);
        all(&bytes);
        // The same as the payload of a chunk.
        bytes.truncate(wire::HEADER_BYTES);
        bytes.extend(wire::CHUNK_MAGIC);
        bytes.extend((garbage.len() as u32).to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(&garbage);
        all(&bytes);
    }
}

#[test]
fn zeros_are_refused() {
    assert!(matches!(Segment::parse(&[0; 4096]), Err(Error::BadMagic)));
    assert!(matches!(Segment::parse(&[]), Err(Error::BadMagic)));
}

#[test]
fn a_newer_version_is_told_before_anything_else() {
    let mut bytes = segment(&[], State::Ended);
    bytes[8..12].copy_from_slice(&(wire::VERSION + 1).to_le_bytes());
    let error = Segment::parse(&bytes).unwrap_err();
    let newest = wire::VERSION;
    assert!(matches!(error, Error::NewerVersion { found, newest: said } if found == newest + 1 && said == newest));
    assert!(error.to_string().contains("update deadweight"));
    // Even if nothing but magic and version has remained as it was.
    assert!(matches!(Segment::parse(&bytes[..12]), Err(Error::NewerVersion { .. })));
}

#[test]
fn a_writer_killed_while_it_began_a_chunk_did_no_damage() {
    let mut bytes = segment(&[(0, Event::Lost { events: 1 })], State::Ended);
    let end = bytes.len();
    bytes.resize(end + 100, 0);
    let size = (bytes.len() as u64).to_le_bytes();
    bytes[wire::HEADER_SIZE..wire::HEADER_SIZE + 8].copy_from_slice(&size);
    let crc = crc32fast::hash(&bytes[..wire::HEADER_CHECKED]).to_le_bytes();
    bytes[wire::HEADER_CRC..wire::HEADER_CRC + 4].copy_from_slice(&crc);
    // Its time is there, its magic is not.
    bytes[end + 8] = 7;
    let (_, rest) = drain(Segment::parse(&bytes).unwrap().events());
    assert_eq!(rest.tail(), Tail::Complete);
    bytes[end + 4] = 7;
    let (_, rest) = drain(Segment::parse(&bytes).unwrap().events());
    assert!(matches!(rest.tail(), Tail::CutOff { at, .. } if at == end as u64));
}

#[test]
fn the_header_of_a_file_is_that_of_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.0.000000.dws");
    let mut bytes = vec![0; 4096];
    let info = SegmentInfo {
        pid: 7,
        index: 3,
        snapshot_writer: 9,
        ..SegmentInfo::default()
    };
    SegmentWriter::begin(&mut bytes, &info).unwrap();
    // Nothing after the header is needed.
    for len in [wire::HEADER_BYTES, bytes.len()] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let header = SegmentHeader::read(&path).unwrap();
        assert_eq!(&header, Segment::parse(&bytes).unwrap().header());
        assert_eq!((header.pid, header.index, header.snapshot_writer), (7, 3, 9));
    }
    for len in [0, 7, 11, 59, wire::HEADER_BYTES - 40] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(SegmentHeader::read(&path).is_err(), "{len} bytes");
    }
    assert!(matches!(SegmentHeader::read(folder.path()), Err(Error::Io { .. })));
}
