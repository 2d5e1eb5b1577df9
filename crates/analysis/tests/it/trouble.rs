//! Captures that are damaged, incomplete, or of processes that did not end well.

use std::path::Path;

use deadweight_analysis::{Analysis, Error, analyse};
use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::{Capture, ProcessId, Tail, segment_file_name};
use deadweight_capture::wire::State;
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, Event, StackId};

fn process(parent: u32) -> Event<'static> {
    Event::Process {
        parent,
        python: 0,
        forked: false,
        argv: b"",
    }
}

fn alloc(addr: u64, size: u64) -> Event<'static> {
    Event::Alloc {
        addr: Addr(addr),
        size,
        stack: StackId(1),
        allocator: Allocator::Malloc,
    }
}

fn clock(millis: u64) -> Event<'static> {
    Event::Clock {
        nanos: millis * 1_000_000,
    }
}

const END: Event<'static> = Event::End { max_rss_bytes: 0 };

/// Writes a segment of process `pid` that begins after `start` milliseconds.
fn write(folder: &Path, pid: u32, index: u32, start: u64, state: State, events: &[Event<'_>]) -> std::path::PathBuf {
    let mut bytes = vec![0; 4096];
    let info = SegmentInfo {
        pid,
        index,
        exact: true,
        start_nanos: start * 1_000_000,
        ..SegmentInfo::default()
    };
    let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
    for event in events {
        writer.put(event).unwrap();
    }
    writer.set_state(state);
    if state != State::Recording {
        writer.seal();
    }
    let path = folder.join(segment_file_name(ProcessId { pid, incarnation: 0 }, index));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn analysed(folder: &Path) -> Result<Analysis, Error> {
    analyse(&Capture::open(folder).unwrap())
}

fn damage(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_segment_ends_its_process_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 12, 0, 0, State::Full, &[process(1), alloc(8, 100)]);
    let path = write(folder.path(), 12, 1, 1, State::Full, &[alloc(16, 50)]);
    write(folder.path(), 12, 2, 2, State::Ended, &[alloc(24, 1000), END]);
    write(
        folder.path(),
        13,
        0,
        0,
        State::Ended,
        &[process(1), alloc(8, 10), clock(5), END],
    );
    damage(&path, 155);
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(
        analysis.warnings,
        [
            "pid 12: the recording is damaged at byte 128 of 12.0.000001.dws (the chunk's checksum is wrong): what \
             follows is not in this report"
        ]
    );
    assert_eq!(analysis.peak.heap.bytes, 110);
    assert!(matches!(analysis.processes[0].tail, Tail::CutOff { at: 128, .. }));
    assert_eq!(analysis.processes[1].tail, Tail::Complete);
}

#[test]
fn missing_segments_are_told_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 5, 1, 0, State::Full, &[alloc(8, 100)]);
    write(folder.path(), 5, 4, 1, State::Ended, &[alloc(16, 50), END]);
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(
        analysis.warnings,
        [
            "pid 5: segment 0 is missing: what was recorded there is not in this report",
            "pid 5: segments 2 to 3 are missing: what was recorded there is not in this report",
        ]
    );
    assert_eq!(analysis.processes[0].end.bytes, 150);
}

#[test]
fn a_header_that_cannot_be_read_costs_only_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 5, 0, 0, State::Full, &[process(1), alloc(8, 100)]);
    let path = write(folder.path(), 5, 1, 1, State::Full, &[alloc(16, 50)]);
    write(folder.path(), 5, 2, 2, State::Ended, &[alloc(24, 7), END]);
    damage(&path, 30);
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.warnings.len(), 1);
    assert!(
        analysis.warnings[0].contains("5.0.000001.dws cannot be read"),
        "{:?}",
        analysis.warnings
    );
    assert_eq!(analysis.processes[0].end.bytes, 107);
}

#[test]
fn a_recording_that_stopped_says_why_and_when() {
    let folder = tempfile::tempdir().unwrap();
    let events = [process(1), alloc(8, 100), clock(12_345)];
    write(folder.path(), 7, 0, 0, State::DiskFull, &events);
    write(
        folder.path(),
        8,
        0,
        0,
        State::Ended,
        &[process(1), clock(20_000), alloc(8, 10), END],
    );
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(
        analysis.warnings,
        ["pid 7 stopped being recorded after 12.3 s: the disk is full"]
    );
    // It went on unseen, so what it had still counts.
    assert_eq!(analysis.peak.heap.bytes, 110);
}

#[test]
fn being_killed_is_no_warning() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7, 0, 0, State::Recording, &[process(1), alloc(8, 100)]);
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.warnings, [""; 0]);
    let process = &analysis.processes[0];
    assert_eq!((process.state, process.tail), (State::Recording, Tail::Open));
    assert_eq!(process.end.bytes, 100);
}

#[test]
fn a_killed_process_no_longer_counts() {
    let folder = tempfile::tempdir().unwrap();
    let worker = [process(1), alloc(8, 100), clock(10)];
    write(folder.path(), 7, 0, 0, State::Recording, &worker);
    write(
        folder.path(),
        8,
        0,
        0,
        State::Ended,
        &[process(1), clock(20), alloc(8, 30), END],
    );
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.peak.heap.bytes, 100);
}

#[test]
fn a_killed_process_that_waited_for_its_child_counts_until_the_child_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        7,
        0,
        0,
        State::Recording,
        &[process(1), alloc(8, 100), clock(10)],
    );
    write(
        folder.path(),
        8,
        0,
        5,
        State::Recording,
        &[process(7), clock(20), alloc(8, 30)],
    );
    write(
        folder.path(),
        9,
        0,
        5,
        State::Ended,
        &[process(1), clock(30), alloc(8, 60), END],
    );
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.peak.heap.bytes, 130);
}

#[test]
fn a_file_of_zeros_is_a_process_killed_before_it_began() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7, 0, 0, State::Full, &[process(1), alloc(8, 100)]);
    for name in ["7.0.000001.dws", "9.0.000000.dws"] {
        std::fs::write(folder.path().join(name), [0; 4096]).unwrap();
    }
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.warnings, [""; 0]);
    assert_eq!(analysis.processes.len(), 1);
    assert_eq!(analysis.processes[0].end.bytes, 100);
}

#[test]
fn a_newer_version_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 6, 0, 0, State::Ended, &[process(1), END]);
    let path = write(folder.path(), 7, 0, 0, State::Ended, &[process(1), END]);
    let mut bytes = std::fs::read(&path).unwrap();
    let newer = deadweight_capture::wire::VERSION + 1;
    bytes[8..12].copy_from_slice(&newer.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = analysed(folder.path()).unwrap_err();
    assert!(matches!(
        error,
        Error::Capture(deadweight_capture::Error::NewerVersion { found, .. }) if found == newer
    ));
    assert!(error.to_string().contains("update deadweight"));
}

#[test]
fn a_manifest_of_a_newer_version_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest {
        format: 9,
        ..Manifest::default()
    };
    manifest.write(folder.path()).unwrap();
    let error = analysed(folder.path()).unwrap_err();
    assert!(error.to_string().contains("format version 9"), "{error}");
}

#[test]
fn a_capture_without_any_process_has_an_empty_answer() {
    let folder = tempfile::tempdir().unwrap();
    Manifest::default().write(folder.path()).unwrap();
    let analysis = analysed(folder.path()).unwrap();
    assert!(analysis.processes.is_empty());
    assert_eq!(analysis.peak.heap.bytes, 0);
}

#[test]
fn if_nothing_can_be_read_that_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("7.0.000000.dws"), b"something else altogether").unwrap();
    assert!(matches!(
        analysed(folder.path()),
        Err(Error::Capture(deadweight_capture::Error::BadMagic))
    ));
}

#[test]
fn a_damaged_fold_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7, 0, 0, State::Ended, &[process(1), alloc(8, 5), END]);
    std::fs::write(folder.path().join("fold.dws"), b"something else altogether").unwrap();
    let analysis = analysed(folder.path()).unwrap();
    assert!(analysis.warnings[0].contains("folded beginning of the run is damaged"));
    assert_eq!(analysis.peak.heap.bytes, 5);
}

#[test]
fn processes_come_in_the_order_of_their_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 7, 0, 9, State::Ended, &[process(1), END]);
    write(folder.path(), 8, 0, 3, State::Ended, &[process(1), END]);
    let analysis = analysed(folder.path()).unwrap();
    let pids: Vec<_> = analysis.processes.iter().map(|process| process.id.pid).collect();
    assert_eq!(pids, [8, 7]);
}

#[test]
fn damage_in_an_open_segment_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let events = [process(1), alloc(8, 100), alloc(16, 50)];
    let path = write(folder.path(), 7, 0, 0, State::Recording, &events);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    // The last event becomes one that does not exist.
    bytes[last - 2] = 0x3f;
    std::fs::write(&path, bytes).unwrap();
    let analysis = analysed(folder.path()).unwrap();
    assert_eq!(analysis.warnings.len(), 1, "{:?}", analysis.warnings);
    assert_eq!(analysis.processes[0].end.bytes, 100);
}
