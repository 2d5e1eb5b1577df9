//! Heap snapshots that are still being written when the program has ended.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deadweight_capture::read::{Capture, Segment};
use deadweight_capture::wire::{HEADER_BYTES, State};

/// A snapshot's child is killed after two minutes by an alarm of its own.
const LONGEST_WAIT: Duration = Duration::from_secs(130);
const POLL: Duration = Duration::from_millis(20);

/// Between two parts of a snapshot its writer has no file of it mapped for a moment.
const POLLS_WITHOUT_WRITER: u32 = 5;

/// Waits until every snapshot in the capture is complete or its writer is gone.
pub fn wait_until_written(folder: &Path) {
    let start = Instant::now();
    let mut without_writer = 0;
    while start.elapsed() < LONGEST_WAIT && without_writer < POLLS_WITHOUT_WRITER {
        let unfinished = unfinished(folder);
        if unfinished.is_empty() {
            return;
        }
        without_writer = if any_is_mapped(&unfinished) {
            0
        } else {
            without_writer + 1
        };
        std::thread::sleep(POLL);
    }
}

/// The last parts of snapshots that are not complete.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let Ok(capture) = Capture::open(folder) else {
        return Vec::new();
    };
    let last_parts = capture.heaps().iter().filter_map(|heap| heap.segments.last());
    last_parts
        .filter(|part| state(&part.path) != Some(State::Ended))
        .map(|part| part.path.clone())
        .collect()
}

fn state(path: &Path) -> Option<State> {
    let mut header = [0; HEADER_BYTES];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    Some(Segment::parse(&header).ok()?.header().state)
}

/// Whether a process has one of the files mapped, which its writer has until the end.
fn any_is_mapped(files: &[PathBuf]) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|process| {
        let is_process = process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        let maps = if is_process {
            std::fs::read_to_string(process.path().join("maps")).ok()
        } else {
            None
        };
        maps.is_some_and(|maps| {
            maps.lines()
                .any(|line| line.ends_with(".dwh") && files.iter().any(|file| line.ends_with(&*file.to_string_lossy())))
        })
    })
}
