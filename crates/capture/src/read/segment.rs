//! One segment: its chunks, and the iterator over their events.

use super::event::Decoder;
use super::header::{SegmentHeader, u32_at, u64_at};
use crate::wire;
use crate::{Error, Event};

/// How the events of a segment ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// The last chunk was sealed.
    Complete,
    /// The last chunk was still being written: the process lives, or was killed. Nothing that it wrote is missing.
    Open,
    /// The bytes are damaged from this offset in the segment on.
    CutOff {
        /// Byte offset in the segment.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
}

/// The bytes of a segment whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    header: SegmentHeader,
    /// Where the chunks begin.
    first: usize,
}

/// All segments of a file. A segment that cannot be read is the last one, as an error.
pub fn segments(bytes: &[u8]) -> impl Iterator<Item = Result<Segment<'_>, Error>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let segment = Segment::parse(rest);
        rest = match &segment {
            Ok(segment) => rest.get(segment.bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(segment)
    })
}

impl<'a> Segment<'a> {
    /// Checks the header at the start of `bytes`. Bytes after the segment are ignored; a truncated segment is read as
    /// far as it goes.
    ///
    /// # Errors
    /// If the header is not one, is damaged, or is of a newer version.
    pub fn parse(bytes: &'a [u8]) -> Result<Segment<'a>, Error> {
        let (header, first, size) = SegmentHeader::parse(bytes)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
        let first = first as usize;
        if first > size {
            return Err(Error::BadHeader {
                what: "its size makes no sense",
            });
        }
        Ok(Segment {
            bytes: bytes.get(..size).unwrap_or(bytes),
            header,
            first,
        })
    }

    /// The header.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// All events from the start.
    pub fn events(&self) -> Events<'a> {
        self.events_from(0, 0)
    }

    /// The events after a position from [`Events::position`], as far as they have been written.
    ///
    /// The bytes may have been read anew in the meantime.
    pub fn events_from(&self, chunk: u64, consumed: u32) -> Events<'a> {
        let next = usize::try_from(chunk).unwrap_or(usize::MAX).max(self.first);
        let mut events = Events {
            bytes: self.bytes,
            next,
            chunk: next,
            decoder: None,
            tail: Tail::Complete,
            skip_to: consumed,
            stopped: None,
        };
        events.open_chunk();
        events
    }

    /// The events after a [`pause`](Events::pause) in the same bytes.
    pub fn resume(&self, paused: Paused) -> Events<'a> {
        let Paused { events, length } = paused;
        let start = events.chunk.saturating_add(wire::CHUNK_HEADER_BYTES);
        let payload = self.bytes.get(start..start.saturating_add(length));
        Events {
            bytes: self.bytes,
            next: events.next,
            chunk: events.chunk,
            decoder: events.decoder.map(|decoder| decoder.over(payload.unwrap_or_default())),
            tail: events.tail,
            skip_to: events.skip_to,
            stopped: events.stopped,
        }
    }
}

/// A position among the events of a segment to which it costs nothing to return, as long as the same bytes are in memory.
/// Otherwise use [`Events::position`].
#[derive(Clone, Debug)]
pub struct Paused {
    events: Events<'static>,
    /// Of the current chunk's payload.
    length: usize,
}

/// The events of a segment, in order.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    bytes: &'a [u8],
    /// Where the chunk after the current one begins.
    next: usize,
    /// Where the current chunk begins.
    chunk: usize,
    decoder: Option<Decoder<'a>>,
    tail: Tail,
    /// Bytes of the first chunk that were consumed earlier. They are decoded again, because differences refer to
    /// what came before, but not yielded.
    skip_to: u32,
    /// The position at which damage was found.
    stopped: Option<(u64, u32)>,
}

impl<'a> Events<'a> {
    /// How the events ended; meaningful once the iterator has returned `None`.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// Where reading can continue later: byte offset of the current chunk, and bytes of its payload that were consumed.
    pub fn position(&self) -> (u64, u32) {
        match (self.stopped, &self.decoder) {
            (Some(place), _) => place,
            (None, Some(decoder)) => (self.chunk as u64, decoder.consumed() as u32),
            (None, None) => (self.next as u64, 0),
        }
    }

    /// Drops the reference to the bytes; [`Segment::resume`] continues.
    pub fn pause(self) -> Paused {
        Paused {
            length: self.decoder.as_ref().map_or(0, Decoder::len),
            events: Events {
                bytes: &[],
                next: self.next,
                chunk: self.chunk,
                decoder: self.decoder.map(|decoder| decoder.over(&[])),
                tail: self.tail,
                skip_to: self.skip_to,
                stopped: self.stopped,
            },
        }
    }

    fn cut_off(&mut self, at: usize, why: &'static str) {
        self.tail = Tail::CutOff { at: at as u64, why };
        let consumed = self.decoder.as_ref().map_or(0, Decoder::consumed);
        self.stopped = Some((self.chunk as u64, consumed as u32));
        self.decoder = None;
        self.next = usize::MAX;
    }

    fn chunk_at(&self, at: usize) -> bool {
        let magic = at.checked_add(4).and_then(|end| self.bytes.get(at..end));
        magic == Some(&wire::CHUNK_MAGIC[..])
    }

    /// Opens the chunk at `next`, if there is one.
    fn open_chunk(&mut self) {
        self.decoder = None;
        let at = self.next;
        self.chunk = at;
        let Some(head) = at
            .checked_add(wire::CHUNK_HEADER_BYTES)
            .and_then(|end| self.bytes.get(at..end))
        else {
            return;
        };
        let magic = head.get(..4).unwrap_or_default();
        if magic != wire::CHUNK_MAGIC {
            // The time of a chunk is written before its magic: a writer that was killed in between has begun no chunk.
            let begun = |&(at, &byte): &(usize, &u8)| byte != 0 && !(8..16).contains(&at);
            if head.iter().enumerate().any(|place| begun(&place)) {
                self.cut_off(at, "no chunk begins here");
            }
            return;
        }
        let (Some(length), Some(nanos), Some(sealed), Some(crc)) =
            (u32_at(head, 4), u64_at(head, 8), u32_at(head, 16), u32_at(head, 20))
        else {
            return self.cut_off(at, "the chunk's header is cut off");
        };
        let start = at + wire::CHUNK_HEADER_BYTES;
        let end = start.saturating_add(length as usize);
        let Some(payload) = self.bytes.get(start..end) else {
            return self.cut_off(at, "the chunk is longer than the file");
        };
        if sealed == 1 {
            if wire::chunk_crc(head.get(8..16).unwrap_or_default(), payload) != crc {
                return self.cut_off(at, "the chunk's checksum is wrong");
            }
        } else if sealed != 0 || self.chunk_at(wire::align(end)) {
            // Only the last chunk can be open.
            return self.cut_off(at, "the mark that the chunk is sealed is damaged");
        }
        self.tail = if sealed == 1 { Tail::Complete } else { Tail::Open };
        // An open chunk is the last one: stay at it, so that reading can go on when it has grown.
        self.next = if sealed == 1 { wire::align(end) } else { usize::MAX };
        let mut decoder = Decoder::new(payload, nanos);
        while decoder.consumed() < self.skip_to as usize {
            if decoder.next().is_none_or(|event| event.is_err()) {
                break;
            }
        }
        self.skip_to = 0;
        self.decoder = Some(decoder);
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        loop {
            let decoder = self.decoder.as_mut()?;
            match decoder.next() {
                Some(Ok(event)) => return Some(event),
                Some(Err(why)) => {
                    let at = self.chunk + wire::CHUNK_HEADER_BYTES + decoder.consumed();
                    self.cut_off(at, why);
                    return None;
                }
                None if self.next == usize::MAX => return None,
                None => self.open_chunk(),
            }
        }
    }
}
