//! Heap snapshots that are still being written when the program has ended.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use deadweight_capture::read::{Capture, HeapFiles, ProcessId, Segment, SegmentFile, SegmentHeader};
use deadweight_capture::wire::{HEADER_BYTES, State};

use crate::linux::procfs;

/// A snapshot's child is killed after two minutes by an alarm of its own.
const LONGEST_WAIT: Duration = Duration::from_secs(130);
const POLL: Duration = Duration::from_millis(20);

/// Where the writer cannot be seen (it is in a container, and we are not), its files tell of it, but not before the first
/// one and between two of them.
const LONGEST_ABSENCE: Duration = Duration::from_secs(1);

/// Waits until every snapshot in the capture is complete or its writer is gone.
pub fn wait_until_written(folder: &Path) {
    let start = Instant::now();
    while start.elapsed() < LONGEST_WAIT && any_is_being_written(folder) {
        std::thread::sleep(POLL);
    }
}

/// Whether one of the recorded processes has a copy that still writes a snapshot.
fn any_is_being_written(folder: &Path) -> bool {
    let Ok(capture) = Capture::open(folder) else {
        return false;
    };
    let newest = capture.processes().iter().filter_map(|process| process.segments.last());
    newest
        .filter_map(|segment| header(&segment.path))
        .any(|header| is_writing(header.snapshot_writer))
}

/// Whether the process is a snapshot's writer that has not ended.
fn is_writing(writer: u32) -> bool {
    writer != 0 && procfs::stat(writer).is_some_and(|stat| !stat.has_ended)
}

/// What became of one snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// It is complete.
    Whole(HeapFiles),
    /// Its writer is gone and has not completed it.
    GivenUp,
    /// It is still being written.
    Unfinished,
}

/// Waits until a snapshot is complete or its writer is gone; calls `every` between two polls. `segment` is the one that
/// the process writes, or wrote when it took the snapshot.
pub fn wait_for(segment: &Path, process: ProcessId, number: u32, mut every: impl FnMut()) -> Written {
    let folder = segment.parent().unwrap_or(segment);
    let (start, mut last_seen) = (Instant::now(), Instant::now());
    while start.elapsed() < LONGEST_WAIT {
        let found = Capture::open(folder).ok().and_then(|capture| {
            let mut heaps = capture.heaps().iter();
            heaps
                .find(|heap| heap.process == process && heap.number == number)
                .cloned()
        });
        let last_part = found.as_ref().and_then(|heap| heap.segments.last());
        if last_part.is_some_and(|part| header(&part.path).is_some_and(|header| header.state == State::Ended)) {
            return found.map_or(Written::GivenUp, Written::Whole);
        }
        let is_hidden = |part: &SegmentFile| last_seen.elapsed() > LONGEST_ABSENCE / 4 && is_mapped(&part.path);
        if header(segment).is_some_and(|header| is_writing(header.snapshot_writer)) || last_part.is_some_and(is_hidden)
        {
            last_seen = Instant::now();
        }
        if last_seen.elapsed() > LONGEST_ABSENCE {
            return Written::GivenUp;
        }
        every();
        std::thread::sleep(POLL);
    }
    Written::Unfinished
}

fn header(path: &Path) -> Option<SegmentHeader> {
    let mut header = [0; HEADER_BYTES];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    Some(*Segment::parse(&header).ok()?.header())
}

/// Whether a process has the file mapped, which its writer has until its end.
fn is_mapped(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let has_it = |pid: u32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        maps.lines().any(|line| line.ends_with(&*name))
    };
    procfs::ids().into_iter().any(has_it)
}
