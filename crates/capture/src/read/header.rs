//! Reads the header of a segment. Nothing else does.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;
use crate::header::Requests;
use crate::wire::{self, State};

/// What a segment's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
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
    /// In a sampled run, blocks of at least this many bytes are always recorded.
    pub always_bytes: u64,
    /// `CLOCK_MONOTONIC` at the segment's start, nanoseconds.
    pub start_nanos: u64,
    /// The state of its writer.
    pub state: State,
    /// Requests for heap snapshots.
    pub requests: Requests,
    /// Process id of the last heap snapshot's writer, or 0.
    pub snapshot_writer: u32,
}

impl SegmentHeader {
    /// Reads the header at the start of a segment's file, and nothing else of the file.
    ///
    /// # Errors
    /// If the file cannot be read, or does not begin with a header, or the header is damaged or of a newer version.
    pub fn read(path: &Path) -> Result<SegmentHeader, Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut bytes = Vec::with_capacity(wire::HEADER_BYTES);
        let file = File::open(path).map_err(io)?;
        file.take(wire::HEADER_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Ok(SegmentHeader::parse(&bytes)?.0)
    }

    /// Checks the header at the start of `bytes`. Also gives the offset of the first chunk and the size of the segment, in
    /// bytes, as the header states them.
    pub(super) fn parse(bytes: &[u8]) -> Result<(SegmentHeader, u32, u64), Error> {
        if bytes.get(..wire::MAGIC.len()) != Some(&wire::MAGIC[..]) {
            return Err(Error::BadMagic);
        }
        let short = Error::BadHeader { what: "it is cut off" };
        let Some(version) = u32_at(bytes, 8) else {
            return Err(short);
        };
        if version > wire::VERSION {
            return Err(Error::NewerVersion {
                found: version,
                newest: wire::VERSION,
            });
        }
        let Some(checked) = bytes.get(..wire::HEADER_CHECKED) else {
            return Err(short);
        };
        if u32_at(bytes, wire::HEADER_CRC) != Some(crc32fast::hash(checked)) {
            return Err(Error::BadHeader {
                what: "its checksum is wrong",
            });
        }
        let fields = || {
            let header = SegmentHeader {
                pid: u32_at(bytes, 24)?,
                incarnation: u32_at(bytes, 28)?,
                index: u32_at(bytes, 32)?,
                exact: u32_at(bytes, 36)? == 1,
                interval_bytes: u64_at(bytes, 40)?,
                start_nanos: u64_at(bytes, 48)?,
                state: State::from_wire(u32_at(bytes, wire::HEADER_STATE)?).unwrap_or_default(),
                always_bytes: u64_at(bytes, wire::HEADER_ALWAYS)?,
                requests: Requests {
                    asked: u32_at(bytes, wire::HEADER_ASKED)?,
                    answered: u32_at(bytes, wire::HEADER_ANSWERED)?,
                    answer: u32_at(bytes, wire::HEADER_ANSWER)?,
                    noticed: u32_at(bytes, wire::HEADER_NOTICED)?,
                },
                snapshot_writer: u32_at(bytes, wire::HEADER_WRITER)?,
            };
            Some((header, u32_at(bytes, 12)?, u64_at(bytes, 16)?))
        };
        let found = fields().ok_or(short)?;
        let (_, first, size) = found;
        if (first as usize) < wire::HEADER_BYTES || u64::from(first) > size {
            return Err(Error::BadHeader {
                what: "its size makes no sense",
            });
        }
        Ok(found)
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
