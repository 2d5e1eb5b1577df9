//! How many events a second the replay takes: `cargo run --release --example replay_speed -p deadweight-analysis`.
//!
//! Writes the capture of a made-up program to a temporary folder and analyses it: exact, 20 million events, 100 000
//! live blocks that are freed in random order, 5000 stacks. With an argument, that many processes share the events.

use std::path::Path;
use std::time::Instant;

use deadweight_capture::read::{Capture, ProcessId, segment_file_name};
use deadweight_capture::wire::State;
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, Frame, StackId};

const EVENTS: usize = 20_000_000;
const LIVE: usize = 100_000;
const STACKS: u32 = 5000;
const SEGMENT_BYTES: usize = 8 << 20;

/// SplitMix64.
struct Series(u64);

impl Series {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % end
    }
}

fn write_process(folder: &Path, pid: u32, events: usize) -> std::io::Result<()> {
    let mut series = Series(u64::from(pid));
    let mut live: Vec<u64> = Vec::with_capacity(LIVE);
    let mut free: Vec<u64> = (0..2 * LIVE as u64).map(|slot| 0x7f00_0000_0000 + slot * 64).collect();
    let mut buffer = vec![0; SEGMENT_BYTES];
    let mut info = SegmentInfo {
        pid,
        exact: true,
        ..SegmentInfo::default()
    };
    let mut done = 0;
    while done < events {
        buffer.fill(0);
        let Some(mut writer) = SegmentWriter::begin(&mut buffer, &info) else {
            break;
        };
        if info.index == 0 {
            for id in 1..=STACKS {
                let _ = writer.stack(StackId(id), StackId(id / 2), Frame::Interpreter);
            }
        }
        while done < events && writer.has_room() {
            if done.is_multiple_of(1000) {
                writer.clock(done as u64 * 100);
            } else if live.len() < LIVE / 2 || (live.len() < LIVE && series.below(2) == 0) {
                let addr = free.swap_remove(series.below(free.len()));
                let stack = StackId(1 + series.below(STACKS as usize) as u32);
                writer.alloc(Addr(addr), 16 + series.below(500) as u64, stack, Allocator::PyObject);
                live.push(addr);
            } else {
                let addr = live.swap_remove(series.below(live.len()));
                writer.free(Addr(addr));
                free.push(addr);
            }
            done += 1;
        }
        if done < events {
            writer.set_state(State::Full);
        } else {
            let _ = writer.end(0);
            writer.set_state(State::Ended);
        }
        let size = writer.finish();
        let process = ProcessId { pid, incarnation: 0 };
        let path = folder.join(segment_file_name(process, info.index));
        std::fs::write(path, buffer.get(..size).unwrap_or_default())?;
        info.index += 1;
        info.start_nanos = done as u64 * 100;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let processes: u32 = std::env::args().nth(1).map_or(Ok(1), |argument| argument.parse())?;
    let folder = tempfile::tempdir()?;
    for pid in 1..=processes {
        write_process(folder.path(), pid, EVENTS / processes as usize)?;
    }
    let capture = Capture::open(folder.path())?;
    println!(
        "{EVENTS} events, {processes} processes, {} MB",
        capture.len_bytes() / 1_000_000
    );
    for _ in 0..3 {
        let start = Instant::now();
        let analysis = deadweight_analysis::analyse(&capture)?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "peak {} bytes; {:.1} million events a second",
            analysis.peak.heap.bytes,
            EVENTS as f64 / seconds / 1e6
        );
    }
    Ok(())
}
