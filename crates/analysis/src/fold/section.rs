//! The state of the replay as segments: what `fold.dws` holds.

use std::io;

use deadweight_capture::read::Tail;
use deadweight_capture::write::{Requests, SegmentInfo, SegmentWriter};
use deadweight_capture::{Event, StackId, StackTotals};

use crate::read::Stream;
use crate::replay::{Process, Replay, Tree};

/// Bytes of one segment of the fold. A text that does not fit into one is left out.
const SEGMENT_BYTES: usize = 4 << 20;

/// Writes one section for each process.
pub(super) struct Sections<'a> {
    replay: &'a Replay,
    buffer: Vec<u8>,
}

impl<'a> Sections<'a> {
    pub fn new(replay: &'a Replay) -> Sections<'a> {
        Sections {
            replay,
            buffer: vec![0; SEGMENT_BYTES],
        }
    }

    /// Writes the section of one process to `out`.
    pub fn write(&mut self, stream: &Stream, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(process) = self.replay.process(stream.process) else {
            return Ok(());
        };
        let mut info = SegmentInfo {
            pid: stream.id.pid,
            incarnation: stream.id.incarnation,
            index: 0,
            exact: process.recording.exact,
            interval_bytes: process.recording.interval_bytes,
            always_bytes: process.recording.always_bytes,
            start_nanos: process.first_nanos.unwrap_or(stream.nanos),
            requests: Requests::NONE,
            snapshot_writer: 0,
        };
        let mut blocks: Vec<_> = process.blocks().collect();
        blocks.sort_unstable_by_key(|&(addr, _)| addr);
        if process.is_gone() {
            blocks.clear();
        }
        let blocks = blocks.into_iter().map(|(addr, block)| Event::Alloc {
            addr,
            size: block.size,
            stack: block.stack,
            allocator: block.allocator,
        });
        let mut events = state(process, stream, self.replay.tree()).chain(blocks).peekable();
        let mut rest = true;
        while rest {
            let Some(mut writer) = SegmentWriter::begin(&mut self.buffer, &info) else {
                return Ok(());
            };
            let mut written = 0;
            while let Some(event) = events.peek() {
                if writer.put(event).is_err() {
                    break;
                }
                written += 1;
                events.next();
            }
            writer.set_state(stream.state);
            let size = writer.finish();
            if written == 0 {
                // It would not fit into the next segment either.
                events.next();
            }
            rest = events.peek().is_some();
            let used = self.buffer.get_mut(..size).unwrap_or_default();
            out(used)?;
            used.fill(0);
            info.index += 1;
        }
        Ok(())
    }
}

/// Everything but the live blocks.
fn state<'a>(process: &'a Process, stream: &Stream, tree: &'a Tree) -> impl Iterator<Item = Event<'a>> {
    let metadata = &process.metadata;
    let folded = Event::Folded {
        first_nanos: process.first_nanos.unwrap_or(stream.nanos),
        last_nanos: process.nanos(),
        unseen_frees: process.unseen_frees,
        gone: process.is_gone(),
        tail_open: stream.tail == Tail::Open,
    };
    let (segment, chunk, consumed) = stream.position();
    let position = Event::Position {
        segment,
        chunk,
        consumed,
    };
    let described = metadata.described.then_some(Event::Process {
        parent: metadata.parent,
        python: metadata.python,
        forked: metadata.forked,
        argv: &metadata.argv,
    });
    let lost = (metadata.lost_events > 0).then_some(Event::Lost {
        events: metadata.lost_events,
    });
    let notes = metadata.notes.iter().map(|note| Event::Note { text: note.as_bytes() });
    let warnings = metadata.warnings.iter().map(|warning| Event::Warning {
        text: warning.as_bytes(),
    });
    let python_ends = metadata.python_ends_nanos.map(|nanos| Event::PythonEnds {
        nanos,
        over: metadata.python_ended,
    });
    let end = metadata.max_rss_bytes.map(|max_rss_bytes| Event::End { max_rss_bytes });
    let own_peak = Event::ProcessPeak {
        bytes: process.own_peak.bytes,
        milliblocks: process.own_peak.milliblocks,
        variance: process.own_peak.variance,
        nanos: process.own_peak_nanos,
    };
    let (_, [python_bytes, native_bytes, mapped_bytes], nanos) = tree.peak();
    let tree_peak = Event::TreePeak {
        python_bytes,
        native_bytes,
        mapped_bytes,
        nanos,
        now: tree.is_at_peak(),
    };
    [folded, position]
        .into_iter()
        .chain(described)
        .chain(lost)
        .chain(notes)
        .chain(warnings)
        .chain(python_ends)
        .chain(end)
        .chain([own_peak, tree_peak])
        .chain(process.stacks.definitions())
        .chain(totals(process, tree))
        .chain(left(process))
        .chain(sizes(process))
        .chain(history(process))
        .chain(process.regions.folded())
        .chain(mappings(process))
}

fn numbered(process: &Process) -> impl Iterator<Item = (StackId, &crate::replay::Cell)> {
    let cells = process.cells().iter().enumerate();
    cells.filter_map(|(id, cell)| Some((StackId(u32::try_from(id).ok()?), cell)))
}

fn totals<'a>(process: &'a Process, tree: &'a Tree) -> impl Iterator<Item = Event<'a>> {
    numbered(process).filter_map(|(stack, cell)| {
        let (allocated, peak) = (cell.allocated, tree.at_peak(cell, process.is_gone()));
        let something = !(allocated.is_zero() && peak.is_zero() && cell.live.is_zero());
        something.then_some(Event::Totals(StackTotals {
            stack,
            allocated_bytes: allocated.bytes,
            allocated_milliblocks: allocated.milliblocks,
            allocated_variance: allocated.variance,
            peak_bytes: peak.bytes,
            peak_milliblocks: peak.milliblocks,
            peak_variance: peak.variance,
        }))
    })
}

fn left(process: &Process) -> impl Iterator<Item = Event<'_>> {
    numbered(process)
        .filter(|(_, cell)| process.is_gone() && !cell.live.is_zero())
        .map(|(stack, cell)| Event::Left {
            stack,
            bytes: cell.live.bytes,
            milliblocks: cell.live.milliblocks,
            variance: cell.live.variance,
        })
}

fn sizes(process: &Process) -> impl Iterator<Item = Event<'_>> {
    let native = if process.is_gone() {
        process.native()
    } else {
        Default::default()
    };
    numbered(process).filter_map(move |(stack, cell)| {
        let native_bytes = native.get(&stack).copied().unwrap_or(0);
        (cell.largest > 0 || native_bytes > 0).then_some(Event::Sizes {
            stack,
            largest_bytes: cell.largest,
            native_bytes,
        })
    })
}

fn history(process: &Process) -> impl Iterator<Item = Event<'_>> {
    let history = process.history.history();
    let begin = (history.origin_nanos > 0).then_some(Event::History {
        origin_nanos: history.origin_nanos,
        width_nanos: history.width_nanos,
    });
    let samples = history.samples.iter().flat_map(|sample| {
        let levels = sample.levels.iter().map(|level| Event::Level {
            stack: level.stack,
            bytes: level.bytes,
        });
        let (bytes, allocated) = (sample.bytes, sample.allocated_bytes);
        let amounts = [Event::Sample { bytes }, Event::Allocated { bytes: allocated }];
        amounts.into_iter().chain(levels)
    });
    begin.into_iter().chain(samples)
}

fn mappings(process: &Process) -> impl Iterator<Item = Event<'_>> {
    process
        .ranges
        .iter()
        .filter(|_| !process.is_gone())
        .map(|piece| Event::Map {
            addr: deadweight_capture::Addr(piece.start),
            len: piece.len(),
            kind: piece.kind,
            stack: piece.stack,
        })
}
