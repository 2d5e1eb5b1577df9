//! `docs/format.md` says what the code does.

use std::collections::BTreeMap;

use deadweight_capture::wire::{self, State, tag};
use deadweight_capture::write::{Requests, SegmentInfo, SegmentWriter};

fn doc() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    std::fs::read_to_string(path).unwrap()
}

/// The rows of the table below the heading, without the two rows of its head; each row its cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let doc = doc();
    let (_, section) = doc.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| plain(cell.trim()).to_owned()).collect()
        })
        .collect()
}

/// A cell that is code as a whole, without its backquotes.
fn plain(cell: &str) -> &str {
    let inner = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
    inner.unwrap_or(cell)
}

/// A row `16..24` of a table of bytes, as a number.
fn number(bytes: &[u8], range: &str) -> Option<u64> {
    let (start, end) = range.split_once("..")?;
    let part = bytes.get(start.parse().ok()?..end.parse().ok()?)?;
    let mut number = [0; 8];
    number.get_mut(..part.len())?.copy_from_slice(part);
    Some(u64::from_le_bytes(number))
}

fn sample() -> Vec<u8> {
    let mut bytes = vec![0; 5000];
    let info = SegmentInfo {
        pid: 101,
        incarnation: 102,
        index: 103,
        exact: true,
        interval_bytes: 104,
        always_bytes: 105,
        start_nanos: 106,
        requests: Requests {
            asked: 107,
            answered: 108,
            answer: 109,
            noticed: 110,
        },
        snapshot_writer: 111,
    };
    let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
    writer.set_state(State::NoMemory);
    writer.lost(3).unwrap();
    writer.seal();
    bytes
}

#[test]
fn the_segment_header_is_as_documented() {
    let bytes = sample();
    let crc = u64::from(crc32fast::hash(&bytes[..wire::HEADER_CHECKED]));
    let expected = BTreeMap::from([
        ("magic", u64::from_le_bytes(wire::MAGIC)),
        ("version", u64::from(wire::VERSION)),
        ("first chunk", wire::HEADER_BYTES as u64),
        ("size", 5000),
        ("pid", 101),
        ("incarnation", 102),
        ("index", 103),
        ("mode", 1),
        ("interval", 104),
        ("start", 106),
        ("checksum", crc),
        ("state", State::NoMemory as u64),
        ("always", 105),
        ("asked", 107),
        ("answered", 108),
        ("answer", 109),
        ("noticed", 110),
        ("writer", 111),
    ]);
    let rows = table("Segment header");
    let mut found = BTreeMap::new();
    let mut next = 0;
    for row in &rows {
        let (start, end) = row[0].split_once("..").unwrap();
        assert_eq!(start.parse::<usize>().unwrap(), next, "the rows leave no gap");
        next = end.parse().unwrap();
        if row[1] != "zero" {
            found.insert(row[1].as_str(), number(&bytes, &row[0]).unwrap());
        }
    }
    assert_eq!(next, wire::HEADER_BYTES);
    assert_eq!(found, expected);
    let place = |name: &str| rows.iter().find(|row| row[1] == name).unwrap()[0].clone();
    let at = |name| place(name).split_once("..").unwrap().0.parse::<usize>().unwrap();
    assert_eq!(at("size"), wire::HEADER_SIZE);
    assert_eq!(at("checksum"), wire::HEADER_CRC);
    assert_eq!(at("state"), wire::HEADER_STATE);
    assert_eq!(at("always"), wire::HEADER_ALWAYS);
    assert_eq!(at("asked"), wire::HEADER_ASKED);
    assert_eq!(at("answered"), wire::HEADER_ANSWERED);
    assert_eq!(at("answer"), wire::HEADER_ANSWER);
    assert_eq!(at("noticed"), wire::HEADER_NOTICED);
    assert_eq!(at("writer"), wire::HEADER_WRITER);
    assert_eq!(at("checksum"), wire::HEADER_CHECKED);
}

#[test]
fn the_chunk_header_is_as_documented() {
    let bytes = sample();
    let chunk = &bytes[wire::HEADER_BYTES..];
    // Lost with one number.
    let payload = &chunk[wire::CHUNK_HEADER_BYTES..][..2];
    let crc = crc32fast::hash(&[&chunk[8..16], payload].concat());
    let expected = BTreeMap::from([
        ("magic", u64::from(u32::from_le_bytes(wire::CHUNK_MAGIC))),
        ("length", 2),
        ("start", 106),
        ("sealed", 1),
        ("checksum", u64::from(crc)),
    ]);
    let rows = table("Chunk header");
    let found: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (row[1].as_str(), number(chunk, &row[0]).unwrap()))
        .collect();
    assert_eq!(found, expected);
    let end = rows.last().unwrap()[0].split_once("..").unwrap().1;
    assert_eq!(end.parse::<usize>().unwrap(), wire::CHUNK_HEADER_BYTES);
}

#[test]
fn the_events_are_as_documented() {
    let expected = BTreeMap::from([
        ("Free", tag::FREE),
        ("Clock", tag::CLOCK),
        ("Process", tag::PROCESS),
        ("String", tag::STRING),
        ("Code", tag::CODE),
        ("Stack, Python frame", tag::STACK_PYTHON),
        ("Stack, other frame", tag::STACK_OTHER),
        ("Map", tag::MAP),
        ("Unmap", tag::UNMAP),
        ("Remap", tag::REMAP),
        ("Lost", tag::LOST),
        ("Note", tag::NOTE),
        ("End", tag::END),
        ("PythonEnds", tag::PYTHON_ENDS),
        ("Totals", tag::TOTALS),
        ("ProcessPeak", tag::PROCESS_PEAK),
        ("TreePeak", tag::TREE_PEAK),
        ("Position", tag::POSITION),
        ("Left", tag::LEFT),
        ("Folded", tag::FOLDED),
        ("Warning", tag::WARNING),
        ("Sizes", tag::SIZES),
        ("History", tag::HISTORY),
        ("Sample", tag::SAMPLE),
        ("Allocated", tag::ALLOCATED),
        ("Level", tag::LEVEL),
        ("Snapshot", tag::SNAPSHOT),
        ("RegionEnter", tag::REGION_ENTER),
        ("RegionLeave", tag::REGION_LEAVE),
        ("Region", tag::REGION),
        ("RegionTotals", tag::REGION_TOTALS),
        ("RegionOpen", tag::REGION_OPEN),
        ("RegionAmount", tag::REGION_AMOUNT),
        ("RegionSpan", tag::REGION_SPAN),
        ("RegionOwner", tag::REGION_OWNER),
        ("RegionLeft", tag::REGION_LEFT),
        ("HeapType", tag::HEAP_TYPE),
        ("HeapObject", tag::HEAP_OBJECT),
        ("HeapEdge", tag::HEAP_EDGE),
        ("HeapRoot", tag::HEAP_ROOT),
        ("HeapWord", tag::HEAP_WORD),
        ("HeapChunk", tag::HEAP_CHUNK),
        ("HeapEnd", tag::HEAP_END),
        ("HeapCause", tag::HEAP_CAUSE),
    ]);
    let rows = table("Events");
    let (alloc, others) = rows.split_first().unwrap();
    assert_eq!((alloc[0].as_str(), alloc[1].as_str()), ("0b1s00_kkkk", "Alloc"));
    assert_eq!(
        (tag::ALLOC, tag::ALLOC_SAME_STACK, tag::ALLOC_KIND),
        (0b1000_0000, 0b0100_0000, 0b0000_1111)
    );
    let found: BTreeMap<_, _> = others
        .iter()
        .map(|row| {
            let number = row[0].strip_prefix("0x").unwrap();
            (row[1].as_str(), u8::from_str_radix(number, 16).unwrap())
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_doc_comment_of_wire_has_the_same_events() {
    let source = include_str!("../../src/wire.rs");
    for row in table("Events") {
        let line = format!("//! | `{}` | {} | {} |", row[0], row[1], row[2]);
        assert!(source.contains(&line), "wire.rs has no line {line}");
    }
}

#[test]
fn the_states_are_as_documented() {
    let rows = table("States");
    for (at, row) in rows.iter().enumerate() {
        let state = State::from_wire(row[0].parse().unwrap()).unwrap();
        assert_eq!(row[1], format!("{state:?}"));
        assert_eq!(state as usize, at);
    }
    assert_eq!(State::from_wire(rows.len() as u32), None);
}

#[test]
fn the_figures_in_the_text_are_true() {
    let doc = doc();
    for said in [
        format!("Format version: **{}**", wire::VERSION),
        format!("reached {} bytes", wire::CHUNK_PAYLOAD_BYTES),
    ] {
        assert!(doc.contains(&said), "docs/format.md does not say: {said}");
    }
}
