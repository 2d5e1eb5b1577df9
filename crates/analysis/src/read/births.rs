//! Allocation times of the blocks that were live at a heap snapshot.

use std::collections::BTreeMap;

use deadweight_capture::Event;
use deadweight_capture::read::{Capture, ProcessId, segments};

/// For each of the sorted `addresses` at which a block of the process was live when it took snapshot `number`, the time
/// of its allocation, in nanoseconds of `CLOCK_MONOTONIC`. Blocks whose allocation was folded away or cannot be read
/// are missing.
pub fn births(capture: &Capture, process: ProcessId, number: u32, addresses: &[u64]) -> BTreeMap<u64, u64> {
    let mut born = BTreeMap::new();
    let files = capture.processes().iter().find(|files| files.process == process);
    let Some(files) = files.filter(|_| !addresses.is_empty()) else {
        return born;
    };
    let mut nanos = 0;
    for file in &files.segments {
        let Ok(bytes) = std::fs::read(&file.path) else { continue };
        for segment in segments(&bytes).flatten() {
            for event in segment.events() {
                match event {
                    Event::Clock { nanos: now } => nanos = now,
                    Event::Alloc { addr, .. } if addresses.binary_search(&addr.0).is_ok() => {
                        born.insert(addr.0, nanos);
                    }
                    Event::Free { addr } if !born.is_empty() => {
                        born.remove(&addr.0);
                    }
                    Event::Snapshot { number: this } if this == number => return born,
                    _ => {}
                }
            }
        }
    }
    // The event of the snapshot is missing: what was found may belong to later blocks.
    BTreeMap::new()
}
