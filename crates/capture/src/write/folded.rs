//! Events of a fold, and writing of [`Event`] values. None of this runs in the user's process.

use super::{Full, SegmentWriter};
use crate::wire::{self, tag};
use crate::{Event, StackId, StackTotals};

impl SegmentWriter<'_> {
    /// Folded: sums over one stack.
    pub fn totals(&mut self, totals: &StackTotals) -> Result<(), Full> {
        let numbers = [
            u64::from(totals.stack.0),
            totals.allocated_bytes,
            totals.allocated_milliblocks,
            totals.allocated_variance,
            totals.peak_bytes,
            totals.peak_milliblocks,
            totals.peak_variance,
        ];
        self.event(tag::TOTALS, &numbers, &[])
    }

    /// Folded: the process's own peak so far.
    pub fn process_peak(&mut self, bytes: u64, milliblocks: u64, variance: u64, nanos: u64) -> Result<(), Full> {
        self.event(tag::PROCESS_PEAK, &[bytes, milliblocks, variance, nanos], &[])
    }

    /// Folded: the tree's peak so far, as Python's, native and mapped bytes.
    pub fn tree_peak(&mut self, [python, native, mapped]: [u64; 3], nanos: u64, now: bool) -> Result<(), Full> {
        self.event(tag::TREE_PEAK, &[python, native, mapped, nanos, u64::from(now)], &[])
    }

    /// Folded: where reading continues.
    pub fn position(&mut self, segment: u32, chunk: u64, consumed: u32) -> Result<(), Full> {
        self.event(tag::POSITION, &[u64::from(segment), chunk, u64::from(consumed)], &[])
    }

    /// Folded: what was live from a stack at the end of its process.
    pub fn left(&mut self, stack: StackId, bytes: u64, milliblocks: u64, variance: u64) -> Result<(), Full> {
        self.event(tag::LEFT, &[u64::from(stack.0), bytes, milliblocks, variance], &[])
    }

    /// Folded: more about the folded events; see [`crate::Event::Folded`].
    pub fn folded(
        &mut self,
        first_nanos: u64,
        last_nanos: u64,
        unseen_frees: u64,
        gone: bool,
        tail_open: bool,
    ) -> Result<(), Full> {
        let flags = u64::from(gone) | u64::from(tail_open) << 1;
        self.event(tag::FOLDED, &[first_nanos, last_nanos, unseen_frees, flags], &[])
    }

    /// Folded: the largest block of a stack, and native bytes left.
    pub fn sizes(&mut self, stack: StackId, largest: u64, native: u64) -> Result<(), Full> {
        self.event(tag::SIZES, &[u64::from(stack.0), largest, native], &[])
    }

    /// Folded: the time of the first event, and the interval of the samples over time.
    pub fn history(&mut self, origin_nanos: u64, width_nanos: u64) -> Result<(), Full> {
        self.event(tag::HISTORY, &[origin_nanos, width_nanos], &[])
    }

    /// Folded: a sample over time.
    pub fn sample(&mut self, bytes: u64) -> Result<(), Full> {
        self.event(tag::SAMPLE, &[bytes], &[])
    }

    /// Folded: what the process had allocated by the last sample.
    pub fn allocated(&mut self, bytes: u64) -> Result<(), Full> {
        self.event(tag::ALLOCATED, &[bytes], &[])
    }

    /// Folded: what was live from one stack in the last sample.
    pub fn level(&mut self, stack: StackId, bytes: u64) -> Result<(), Full> {
        self.event(tag::LEVEL, &[u64::from(stack.0), bytes], &[])
    }

    /// Folded: a sentence about what could not be read.
    pub fn warning(&mut self, text: &[u8]) -> Result<(), Full> {
        self.event(tag::WARNING, &[text.len() as u64], text)
    }

    /// Writes an [`Event`]. The agent calls the methods of the single events instead.
    pub fn put(&mut self, event: &Event<'_>) -> Result<(), Full> {
        let small = matches!(
            event,
            Event::Clock { .. }
                | Event::Alloc { .. }
                | Event::Free { .. }
                | Event::Map { .. }
                | Event::Unmap { .. }
                | Event::Remap { .. }
        );
        if small && !self.has_room() {
            return Err(Full);
        }
        match *event {
            Event::Clock { nanos } => self.clock(nanos),
            Event::Alloc {
                addr,
                size,
                stack,
                allocator,
            } => self.alloc(addr, size, stack, allocator),
            Event::Free { addr } => self.free(addr),
            Event::Map { addr, len, kind, stack } => self.map(addr, len, kind, stack),
            Event::Unmap { addr, len } => self.unmap(addr, len),
            Event::Remap {
                old,
                old_len,
                new,
                new_len,
                stack,
            } => self.remap(old, old_len, new, new_len, stack),
            _ => return self.put_rare(event),
        }
        Ok(())
    }

    fn put_rare(&mut self, event: &Event<'_>) -> Result<(), Full> {
        match *event {
            Event::Process {
                parent,
                python,
                forked,
                argv,
            } => self.process(parent, python, forked, argv),
            Event::String { id, bytes } => self.string(id, bytes),
            Event::Code {
                id,
                file,
                name,
                first_line,
                kind,
                line_table,
            } => self.code(id, file, name, first_line, kind, line_table),
            Event::Stack { id, parent, frame } => self.stack(id, parent, frame),
            Event::Lost { events } => self.lost(events),
            Event::Note { text } => self.note(text),
            Event::PythonEnds { nanos, over } => self.python_ends(nanos, over),
            Event::End { max_rss_bytes } => self.end(max_rss_bytes),
            Event::Totals(ref totals) => self.totals(totals),
            Event::ProcessPeak {
                bytes,
                milliblocks,
                variance,
                nanos,
            } => self.process_peak(bytes, milliblocks, variance, nanos),
            Event::TreePeak {
                python_bytes,
                native_bytes,
                mapped_bytes,
                nanos,
                now,
            } => self.tree_peak([python_bytes, native_bytes, mapped_bytes], nanos, now),
            Event::Position {
                segment,
                chunk,
                consumed,
            } => self.position(segment, chunk, consumed),
            Event::Left {
                stack,
                bytes,
                milliblocks,
                variance,
            } => self.left(stack, bytes, milliblocks, variance),
            Event::Folded {
                first_nanos,
                last_nanos,
                unseen_frees,
                gone,
                tail_open,
            } => self.folded(first_nanos, last_nanos, unseen_frees, gone, tail_open),
            Event::Warning { text } => self.warning(text),
            Event::Sizes {
                stack,
                largest_bytes,
                native_bytes,
            } => self.sizes(stack, largest_bytes, native_bytes),
            Event::History {
                origin_nanos,
                width_nanos,
            } => self.history(origin_nanos, width_nanos),
            Event::Sample { bytes } => self.sample(bytes),
            Event::Allocated { bytes } => self.allocated(bytes),
            Event::Level { stack, bytes } => self.level(stack, bytes),
            Event::RegionEnter { number, outer, name } => self.region_enter(number, outer, name),
            Event::RegionLeave { number } => self.region_leave(number),
            Event::Region { number } => self.region(number),
            Event::RegionTotals { .. }
            | Event::RegionOpen { .. }
            | Event::RegionAmount { .. }
            | Event::RegionSpan { .. }
            | Event::RegionOwner { .. }
            | Event::RegionLeft { .. } => self.folded_region(event),
            Event::HeapCause { cause, label } => self.heap_cause(cause, label),
            Event::Snapshot { number } => self.snapshot(number),
            Event::HeapType { id, name } => self.heap_type(id, name),
            Event::HeapObject(ref object) => self.heap_object(object),
            Event::HeapEdge { to, label, counted } => self.heap_edge(to, label, counted),
            Event::HeapRoot { kind, name } => self.heap_root(kind, name),
            Event::HeapWord { to, offset } => self.heap_word(to, offset),
            Event::HeapChunk { addr, size } => self.heap_chunk(addr, size),
            Event::HeapEnd {
                objects,
                failed,
                pause_nanos,
            } => self.heap_end(objects, failed, pause_nanos),
            // Written by `put` itself.
            Event::Clock { .. }
            | Event::Alloc { .. }
            | Event::Free { .. }
            | Event::Map { .. }
            | Event::Unmap { .. }
            | Event::Remap { .. } => Ok(()),
        }
    }

    /// Seals the open chunk and makes the segment end there, so that another one can follow in the same file.
    /// Returns its size in bytes.
    pub fn finish(mut self) -> usize {
        self.seal();
        let size = wire::HEADER_BYTES + self.at.min(self.bytes.len());
        self.header.store(wire::HEADER_SIZE, &(size as u64).to_le_bytes());
        if let Some(checked) = self.header.before.get(..wire::HEADER_CHECKED) {
            let crc = crc32fast::hash(checked);
            self.header.store(wire::HEADER_CRC, &crc.to_le_bytes());
        }
        size
    }
}
