//! The writing half: events into a fixed buffer, which in the agent is a shared file mapping.
//!
//! No allocation, no lock, no clock, no panic. [`SegmentWriter`] borrows the buffer: whoever maps the file decides how long
//! the mapping lives.

mod folded;
mod heap;
mod regions;

use core::sync::atomic::{Ordering, compiler_fence};

pub use crate::header::Requests;
use crate::varint::{put, zigzag};
use crate::wire::{self, State, frame_kind, tag};
use crate::{Addr, Allocator, CodeId, Frame, LineTableKind, MapKind, StackId, StringId};

/// What a segment's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentInfo {
    /// Process id.
    pub pid: u32,
    /// How many programs this process id had before.
    pub incarnation: u32,
    /// Number of the segment in its incarnation.
    pub index: u32,
    /// Whether every block is recorded.
    pub exact: bool,
    /// Sampling interval in bytes; 0 if exact.
    pub interval_bytes: u64,
    /// In a sampled run, blocks of at least this many bytes are always recorded; 0 if exact.
    pub always_bytes: u64,
    /// `CLOCK_MONOTONIC` at the segment's start, nanoseconds.
    pub start_nanos: u64,
    /// Requests for heap snapshots up to now.
    pub requests: Requests,
    /// Process id of the last heap snapshot's writer, or 0.
    pub snapshot_writer: u32,
}

/// The event did not fit: continue in a new segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Writes events into one segment.
///
/// The small events ([`alloc`](Self::alloc), [`free`](Self::free), [`clock`](Self::clock)) need
/// [`wire::MAX_SMALL_EVENT`] bytes of room: ask [`has_room`](Self::has_room) first; without room they are dropped.
#[derive(Debug)]
pub struct SegmentWriter<'a> {
    header: HeaderParts<'a>,
    /// What follows the header.
    bytes: &'a mut [u8],
    /// Start of the open chunk.
    chunk: usize,
    /// Where the next byte goes.
    at: usize,
    last: Last,
}

/// A segment's header without the number at [`wire::HEADER_ASKED`], to which other processes write.
#[derive(Debug)]
pub struct HeaderParts<'a> {
    /// The [`wire::HEADER_ASKED`] bytes before it.
    pub before: &'a mut [u8],
    /// What follows it, up to [`wire::HEADER_BYTES`].
    pub behind: &'a mut [u8],
}

/// Where a header goes on behind the number at [`wire::HEADER_ASKED`].
pub const HEADER_BEHIND: usize = wire::HEADER_ASKED + 4;

impl HeaderParts<'_> {
    /// Writes a field, which is in one of the parts.
    fn store(&mut self, at: usize, value: &[u8]) {
        match at.checked_sub(HEADER_BEHIND) {
            Some(at) => store(self.behind, at, value),
            None => store(self.before, at, value),
        }
    }

    /// All but `asked`, which is not the writer's; `answered` last.
    fn store_requests(&mut self, requests: &Requests) {
        self.store(wire::HEADER_NOTICED, &requests.noticed.to_le_bytes());
        self.store(wire::HEADER_ANSWER, &requests.answer.to_le_bytes());
        compiler_fence(Ordering::Release);
        self.store(wire::HEADER_ANSWERED, &requests.answered.to_le_bytes());
    }
}

/// What differences refer to; reset in each chunk.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    addr: u64,
    alloc_stack: u32,
    stack: u32,
    code: u32,
    nanos: u64,
}

impl<'a> SegmentWriter<'a> {
    /// Writes the header and opens the first chunk. `bytes` must be zeroed. `None` if it is too short for them.
    pub fn begin(bytes: &'a mut [u8], info: &SegmentInfo) -> Option<SegmentWriter<'a>> {
        let (header, bytes) = bytes.split_at_mut_checked(wire::HEADER_BYTES)?;
        let (before, rest) = header.split_at_mut_checked(wire::HEADER_ASKED)?;
        let (asked, behind) = rest.split_at_mut_checked(HEADER_BEHIND - wire::HEADER_ASKED)?;
        asked.copy_from_slice(&info.requests.asked.to_le_bytes());
        SegmentWriter::begin_apart(HeaderParts { before, behind }, bytes, info)
    }

    /// The same where the owner of the memory has written `asked`. `bytes` is what follows the header.
    pub fn begin_apart(
        mut header: HeaderParts<'a>,
        bytes: &'a mut [u8],
        info: &SegmentInfo,
    ) -> Option<SegmentWriter<'a>> {
        if bytes.len() < wire::CHUNK_HEADER_BYTES + wire::MAX_SMALL_EVENT {
            return None;
        }
        let size = (wire::HEADER_BYTES + bytes.len()) as u64;
        let mut filled = [0u8; wire::HEADER_BYTES];
        let mut at = 0;
        let mut field = |value: &[u8]| {
            store(&mut filled, at, value);
            at += value.len();
        };
        field(&wire::MAGIC);
        field(&wire::VERSION.to_le_bytes());
        field(&(wire::HEADER_BYTES as u32).to_le_bytes());
        field(&size.to_le_bytes());
        field(&info.pid.to_le_bytes());
        field(&info.incarnation.to_le_bytes());
        field(&info.index.to_le_bytes());
        field(&u32::from(info.exact).to_le_bytes());
        field(&info.interval_bytes.to_le_bytes());
        field(&info.start_nanos.to_le_bytes());
        let crc = crc32fast::hash(filled.get(..wire::HEADER_CHECKED)?);
        store(&mut filled, wire::HEADER_CRC, &crc.to_le_bytes());
        store(&mut filled, wire::HEADER_ALWAYS, &info.always_bytes.to_le_bytes());
        header.store_requests(&info.requests);
        header.store(wire::HEADER_WRITER, &info.snapshot_writer.to_le_bytes());
        header.store(0, filled.get(..wire::HEADER_ASKED)?);
        let mut writer = SegmentWriter {
            header,
            bytes,
            chunk: 0,
            at: 0,
            last: Last::default(),
        };
        writer.open_chunk(info.start_nanos);
        Some(writer)
    }

    /// Whether a small event fits.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.has_room_for(0)
    }

    /// Whether an event with a text of `bytes` bytes fits.
    #[inline(always)]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        // A chunk may have to be sealed and another begun before the event.
        const SPARE: usize = wire::MAX_SMALL_EVENT + wire::CHUNK_HEADER_BYTES + 8;
        self.bytes.len().saturating_sub(self.at) >= SPARE.saturating_add(bytes)
    }

    /// Bytes of the segment that are in use.
    pub fn used_bytes(&self) -> usize {
        wire::HEADER_BYTES + wire::align(self.at).min(self.bytes.len())
    }

    /// Sets the state of the writer; see [`State`].
    pub fn set_state(&mut self, state: State) {
        self.header.store(wire::HEADER_STATE, &(state as u32).to_le_bytes());
    }

    /// Updates how far requests for snapshots have been handled; `asked` is not touched.
    pub fn set_requests(&mut self, requests: &Requests) {
        self.header.store_requests(requests);
    }

    /// Sets which process writes the last heap snapshot.
    pub fn set_snapshot_writer(&mut self, pid: u32) {
        self.header.store(wire::HEADER_WRITER, &pid.to_le_bytes());
    }

    /// Seals the open chunk. Used when the segment is full and at the end of the process.
    pub fn seal(&mut self) {
        let start = self.chunk + wire::CHUNK_HEADER_BYTES;
        let nanos = self.bytes.get(self.chunk + 8..self.chunk + 16);
        if let (Some(nanos), Some(payload)) = (nanos, self.bytes.get(start..self.at)) {
            let crc = wire::chunk_crc(nanos, payload);
            store(self.bytes, self.chunk + 20, &crc.to_le_bytes());
            compiler_fence(Ordering::Release);
            store(self.bytes, self.chunk + 16, &1u32.to_le_bytes());
        }
        self.at = wire::align(self.at);
        self.chunk = self.at;
    }

    fn open_chunk(&mut self, nanos: u64) {
        self.chunk = self.at;
        self.last = Last {
            nanos,
            ..Last::default()
        };
        store(self.bytes, self.chunk + 8, &nanos.to_le_bytes());
        store(self.bytes, self.chunk, &wire::CHUNK_MAGIC);
        self.at = self.chunk + wire::CHUNK_HEADER_BYTES;
    }

    /// Makes the bytes up to `end` part of the chunk, after they are all written.
    #[inline(always)]
    fn commit(&mut self, end: usize) {
        if end > self.bytes.len() {
            return;
        }
        self.at = end;
        let length = (end - self.chunk - wire::CHUNK_HEADER_BYTES) as u32;
        compiler_fence(Ordering::Release);
        store(self.bytes, self.chunk + 4, &length.to_le_bytes());
        if length as usize >= wire::CHUNK_PAYLOAD_BYTES {
            self.next_chunk();
        }
    }

    #[cold]
    #[inline(never)]
    fn next_chunk(&mut self) {
        let nanos = self.last.nanos;
        self.seal();
        if self.bytes.len() >= self.at + wire::CHUNK_HEADER_BYTES {
            self.open_chunk(nanos);
        }
    }

    #[inline(always)]
    fn put_addr(&mut self, at: usize, addr: Addr) -> usize {
        let difference = addr.0.wrapping_sub(self.last.addr) as i64;
        self.last.addr = addr.0;
        let number = if difference & 7 == 0 {
            zigzag(difference >> 3) << 1
        } else {
            // A misaligned address far away loses its top bit, but user addresses have 47 bits.
            (zigzag(difference) << 1) | 1
        };
        put(self.bytes, at, number)
    }

    /// A block was allocated.
    #[inline(always)]
    pub fn alloc(&mut self, addr: Addr, size: u64, stack: StackId, allocator: Allocator) {
        if !self.has_room() {
            return;
        }
        let same = stack.0 == self.last.alloc_stack;
        let kind = tag::ALLOC | allocator as u8 | if same { tag::ALLOC_SAME_STACK } else { 0 };
        store(self.bytes, self.at, &[kind]);
        let mut end = self.put_addr(self.at + 1, addr);
        end = put(self.bytes, end, size);
        if !same {
            end = put(
                self.bytes,
                end,
                zigzag(i64::from(stack.0) - i64::from(self.last.alloc_stack)),
            );
            self.last.alloc_stack = stack.0;
        }
        self.commit(end);
    }

    /// A block was freed.
    #[inline(always)]
    pub fn free(&mut self, addr: Addr) {
        if !self.has_room() {
            return;
        }
        store(self.bytes, self.at, &[tag::FREE]);
        let end = self.put_addr(self.at + 1, addr);
        self.commit(end);
    }

    /// It is now `nanos` on `CLOCK_MONOTONIC`. Nothing is written if less than a microsecond passed.
    #[inline]
    pub fn clock(&mut self, nanos: u64) {
        let micros = nanos.saturating_sub(self.last.nanos) / 1000;
        if micros > 0 && self.has_room() {
            self.last.nanos += micros * 1000;
            self.numbers(tag::CLOCK, &[micros]);
        }
    }

    /// Writes a tag and plain numbers; the caller has checked that there is room.
    fn numbers(&mut self, kind: u8, numbers: &[u64]) {
        self.numbers_and_text(kind, numbers, &[]);
    }

    fn numbers_and_text(&mut self, kind: u8, numbers: &[u64], text: &[u8]) {
        store(self.bytes, self.at, &[kind]);
        let mut end = self.at + 1;
        for &number in numbers {
            end = put(self.bytes, end, number);
        }
        store(self.bytes, end, text);
        self.commit(end + text.len());
    }

    fn event(&mut self, kind: u8, numbers: &[u64], text: &[u8]) -> Result<(), Full> {
        if !self.has_room_for(text.len()) {
            return Err(Full);
        }
        self.numbers_and_text(kind, numbers, text);
        Ok(())
    }

    /// Describes the process; see [`crate::Event::Process`].
    pub fn process(&mut self, parent: u32, python: u32, forked: bool, argv: &[u8]) -> Result<(), Full> {
        let numbers = [
            u64::from(parent),
            u64::from(python),
            u64::from(forked),
            argv.len() as u64,
        ];
        self.event(tag::PROCESS, &numbers, argv)
    }

    /// Defines a string.
    pub fn string(&mut self, id: StringId, text: &[u8]) -> Result<(), Full> {
        self.event(tag::STRING, &[u64::from(id.0), text.len() as u64], text)
    }

    /// Defines a code object; see [`crate::Event::Code`].
    pub fn code(
        &mut self,
        id: CodeId,
        file: StringId,
        name: StringId,
        first_line: u32,
        kind: LineTableKind,
        line_table: &[u8],
    ) -> Result<(), Full> {
        let numbers = [
            id.0,
            file.0,
            name.0,
            first_line,
            u32::from(kind.to_wire()),
            line_table.len() as u32,
        ];
        self.event(tag::CODE, &numbers.map(u64::from), line_table)
    }

    /// Defines a node of the stack tree. `parent` must have the smaller id.
    pub fn stack(&mut self, id: StackId, parent: StackId, frame: Frame) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
        }
        let step = zigzag(i64::from(id.0) - i64::from(self.last.stack));
        let up = u64::from(id.0.wrapping_sub(parent.0));
        self.last.stack = id.0;
        let other = |kind, name: StringId| [step, up, kind, u64::from(name.0)];
        let numbers = match frame {
            Frame::Python { code, offset } => {
                let code_step = zigzag(i64::from(code.0) - i64::from(self.last.code));
                self.last.code = code.0;
                self.numbers(tag::STACK_PYTHON, &[step, up, code_step, zigzag(i64::from(offset))]);
                return Ok(());
            }
            Frame::NativeThread { name } => other(frame_kind::NATIVE_THREAD, name),
            Frame::StartUp => other(frame_kind::START_UP, StringId::EMPTY),
            Frame::Interpreter => other(frame_kind::INTERPRETER, StringId::EMPTY),
            Frame::Truncated => other(frame_kind::TRUNCATED, StringId::EMPTY),
            Frame::StacksOff => other(frame_kind::STACKS_OFF, StringId::EMPTY),
        };
        self.numbers(tag::STACK_OTHER, &numbers);
        Ok(())
    }

    /// A mapping was made.
    pub fn map(&mut self, addr: Addr, len: u64, kind: MapKind, stack: StackId) {
        self.with_addr(tag::MAP, addr, &[len, kind as u64, u64::from(stack.0)]);
    }

    /// A range was unmapped.
    pub fn unmap(&mut self, addr: Addr, len: u64) {
        self.with_addr(tag::UNMAP, addr, &[len]);
    }

    fn with_addr(&mut self, kind: u8, addr: Addr, numbers: &[u64]) {
        // Without room the event is dropped, as `has_room` says.
        let _ = self.with_addr_or_full(kind, addr, numbers);
    }

    /// A mapping moved or changed its length.
    pub fn remap(&mut self, old: Addr, old_len: u64, new: Addr, new_len: u64, stack: StackId) {
        if !self.has_room() {
            return;
        }
        store(self.bytes, self.at, &[tag::REMAP]);
        let mut end = self.put_addr(self.at + 1, old);
        end = put(self.bytes, end, old_len);
        end = self.put_addr(end, new);
        end = put(self.bytes, end, new_len);
        end = put(self.bytes, end, u64::from(stack.0));
        self.commit(end);
    }

    /// A number of events could not be written.
    pub fn lost(&mut self, events: u64) -> Result<(), Full> {
        self.event(tag::LOST, &[events], &[])
    }

    /// A sentence for the report.
    pub fn note(&mut self, text: &[u8]) -> Result<(), Full> {
        self.event(tag::NOTE, &[text.len() as u64], text)
    }

    /// Python is shutting down in this process, or has done so (`over`).
    pub fn python_ends(&mut self, nanos: u64, over: bool) -> Result<(), Full> {
        self.event(tag::PYTHON_ENDS, &[nanos, u64::from(over)], &[])
    }

    /// The process ends.
    pub fn end(&mut self, max_rss_bytes: u64) -> Result<(), Full> {
        self.event(tag::END, &[max_rss_bytes], &[])
    }
}

/// Copies `value` to `bytes[at..]`; a value that does not fit is left out.
#[inline(always)]
fn store(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.wrapping_add(value.len())) {
        place.copy_from_slice(value);
    }
}
