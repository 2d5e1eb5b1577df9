//! The bytes of a segment. This is the only place that defines their meaning. Numbers are little endian.
//!
//! A segment file is one or more segments, one after the other (the agent's files hold one, a fold several):
//!
//! | bytes of a segment | contents |
//! |---|---|
//! | 0..8 | magic `deadwght` |
//! | 8..12 | format version |
//! | 12..16 | where the chunks begin (128) |
//! | 16..24 | size of the segment |
//! | 24..28 | process id |
//! | 28..32 | incarnation: how many programs this process id had before (`exec`) |
//! | 32..36 | number of the segment in its incarnation, from 0 |
//! | 36..40 | mode: 0 sampled, 1 exact |
//! | 40..48 | sampling interval in bytes (0 if exact) |
//! | 48..56 | `CLOCK_MONOTONIC` when the segment was begun, nanoseconds |
//! | 56..60 | CRC-32 of bytes 0..56 |
//! | 60..64 | [`State`], rewritten in place |
//! | 64..72 | in a sampled run, blocks of at least this many bytes are always recorded |
//! | 72..88 | requests for heap snapshots from outside: asked, answered, answer, noticed (`docs/format.md`, Requests) |
//! | 88..92 | process id of the snapshot child that writes, or wrote, the last heap snapshot; 0 before the first |
//! | 92..128 | zero |
//! | 128.. | chunks, each at a multiple of 8, up to zeros or the end |
//!
//! | bytes of a chunk | contents |
//! |---|---|
//! | 0..4 | magic `chnk` |
//! | 4..8 | bytes of payload that are complete (rewritten after each event) |
//! | 8..16 | `CLOCK_MONOTONIC` when the chunk was begun, nanoseconds |
//! | 16..20 | 0 while it is being written, 1 once it is sealed |
//! | 20..24 | CRC-32 of bytes 8..16 and the payload, once sealed |
//! | 24.. | payload: events |
//!
//! An event is a tag byte and its fields. *v* is a LEB128 number, *z* a zigzag LEB128 number, *a* an address
//! relative to the last address in this chunk (the first one relative to 0): if the difference `d` is a multiple of
//! 8, the number is `zigzag(d / 8) * 2`, else `zigzag(d) * 2 + 1`. "The last" of everything is reset in each chunk, so
//! chunks can be read independently.
//!
//! | tag | event | fields |
//! |---|---|---|
//! | `0b1s00_kkkk` | Alloc | k = allocator; s = same stack as the last Alloc; a address, v size, z stack minus last Alloc's stack (absent if s) |
//! | `0x40` | Free | a address |
//! | `0x01` | Clock | v microseconds since the last clock (or the chunk's start) |
//! | `0x02` | Process | v parent, v Py_Version, v flags (1: forked), v length, argv |
//! | `0x03` | String | v id, v length, bytes |
//! | `0x04` | Code | v id, v file, v name, v first line, v line table kind, v length, line table |
//! | `0x05` | Stack, Python frame | z id minus last Stack's id, v id minus parent, z code minus last Stack's code, z offset |
//! | `0x06` | Stack, other frame | z id minus last Stack's id, v id minus parent, v frame kind, v name |
//! | `0x07` | Map | a address, v length, v kind, v stack |
//! | `0x08` | Unmap | a address, v length |
//! | `0x09` | Remap | a old, v old length, a new, v new length, v stack |
//! | `0x0a` | Lost | v events |
//! | `0x0b` | Note | v length, text |
//! | `0x0c` | End | v max RSS |
//! | `0x10` | Totals | v stack, v x 6 in the order of `StackTotals` |
//! | `0x11` | ProcessPeak | v bytes, v milliblocks, v variance, v nanoseconds |
//! | `0x12` | TreePeak | v Python bytes, v native bytes, v mapped bytes, v nanoseconds, v flags (1: now) |
//! | `0x13` | Position | v segment, v chunk, v consumed |
//! | `0x14` | Left | v stack, v bytes, v milliblocks, v variance |
//! | `0x15` | Folded | v first nanoseconds, v last nanoseconds, v unseen frees, v flags (1: gone, 2: tail open) |
//! | `0x16` | Warning | v length, text |
//! | `0x17` | Sizes | v stack, v largest block, v native bytes left |
//! | `0x18` | History | v origin nanoseconds, v distance in nanoseconds |
//! | `0x19` | Sample | v bytes |
//! | `0x1a` | Level | v stack, v bytes |
//! | `0x1b` | Region | v number |
//! | `0x1c` | RegionTotals | v track, v name, v entries, v unfinished, v nanoseconds |
//! | `0x1d` | RegionOpen | v track, v number, v outer, v name, v entered nanoseconds, v code, v flags (1: repeated) |
//! | `0x1e` | RegionAmount | v kind, v bytes, v milliblocks, v variance |
//! | `0x1f` | RegionSpan | v track, v name, v first nanoseconds, v last nanoseconds |
//! | `0x27` | RegionOwner | a address, v track, v number, v flags (1: mapping) |
//! | `0x28` | RegionLeft | v track, v number, v outer |
//! | `0x29` | PythonEnds | v nanoseconds, v flags (1: over) |
//! | `0x2a` | Allocated | v bytes |
//! | `0x2b` | HeapChunk | a address, v size |
//! | `0x0d` | Snapshot | v number |
//! | `0x0e` | RegionEnter | v number, v outer, v name |
//! | `0x0f` | RegionLeave | v number |
//! | `0x20` | HeapType | v id, v name |
//! | `0x21` | HeapObject | a address, v type, v size, v references, v prefix * 2 + tracked |
//! | `0x22` | HeapEdge | a to, v label kind * 2 + counted, v label number (absent for kinds 4, 7, 9) |
//! | `0x23` | HeapRoot | v kind, v name |
//! | `0x24` | HeapWord | a to, v offset |
//! | `0x25` | HeapEnd | v objects, v failed, v pause nanoseconds |
//! | `0x26` | HeapCause | v cause, v length, label |

/// First bytes of a segment.
pub const MAGIC: [u8; 8] = *b"deadwght";
/// First bytes of a chunk.
pub const CHUNK_MAGIC: [u8; 4] = *b"chnk";
/// The version that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 3;
/// Bytes before the first chunk.
pub const HEADER_BYTES: usize = 128;
/// Bytes of the header that its checksum covers.
pub const HEADER_CHECKED: usize = 56;
/// Where the header keeps the segment's size.
pub const HEADER_SIZE: usize = 16;
/// Where the header keeps its checksum.
pub const HEADER_CRC: usize = 56;
/// Where the header keeps the [`State`].
pub const HEADER_STATE: usize = 60;
/// Where the header keeps the size from which a sampled run records every block.
pub const HEADER_ALWAYS: usize = 64;
/// Where the header counts the snapshots that other processes have requested.
pub const HEADER_ASKED: usize = 72;
/// Where the header counts the requests that the process has answered.
pub const HEADER_ANSWERED: usize = 76;
/// Where the header keeps the last answer: the snapshot's number plus 1, [`ANSWER_IMPOSSIBLE`] or
/// [`ANSWER_NO_PROCESS`].
pub const HEADER_ANSWER: usize = 80;
/// Where the header counts the requests that the process has seen.
pub const HEADER_NOTICED: usize = 84;
/// Where the header keeps the process id of the last snapshot's writer.
pub const HEADER_WRITER: usize = 88;
/// The answer of a process that cannot take snapshots: its Python is not known well enough.
pub const ANSWER_IMPOSSIBLE: u32 = u32::MAX;
/// The answer of a process that could not fork its snapshot child: there was no memory or no free process.
pub const ANSWER_NO_PROCESS: u32 = u32::MAX - 1;
/// Bytes before a chunk's payload.
pub const CHUNK_HEADER_BYTES: usize = 24;
/// A chunk whose payload has reached this many bytes is sealed.
pub const CHUNK_PAYLOAD_BYTES: usize = 64 * 1024;
/// Bytes that are enough for each event without text.
pub const MAX_SMALL_EVENT: usize = 80;

/// Tag bytes of the events.
pub mod tag {
    #![allow(missing_docs)]
    pub const ALLOC: u8 = 0x80;
    pub const ALLOC_SAME_STACK: u8 = 0x40;
    pub const ALLOC_KIND: u8 = 0x0f;
    pub const FREE: u8 = 0x40;
    pub const CLOCK: u8 = 0x01;
    pub const PROCESS: u8 = 0x02;
    pub const STRING: u8 = 0x03;
    pub const CODE: u8 = 0x04;
    pub const STACK_PYTHON: u8 = 0x05;
    pub const STACK_OTHER: u8 = 0x06;
    pub const MAP: u8 = 0x07;
    pub const UNMAP: u8 = 0x08;
    pub const REMAP: u8 = 0x09;
    pub const LOST: u8 = 0x0a;
    pub const NOTE: u8 = 0x0b;
    pub const END: u8 = 0x0c;
    pub const SNAPSHOT: u8 = 0x0d;
    pub const REGION_ENTER: u8 = 0x0e;
    pub const REGION_LEAVE: u8 = 0x0f;
    pub const HEAP_TYPE: u8 = 0x20;
    pub const HEAP_OBJECT: u8 = 0x21;
    pub const HEAP_EDGE: u8 = 0x22;
    pub const HEAP_ROOT: u8 = 0x23;
    pub const HEAP_WORD: u8 = 0x24;
    pub const HEAP_END: u8 = 0x25;
    pub const HEAP_CAUSE: u8 = 0x26;
    pub const TOTALS: u8 = 0x10;
    pub const PROCESS_PEAK: u8 = 0x11;
    pub const TREE_PEAK: u8 = 0x12;
    pub const POSITION: u8 = 0x13;
    pub const LEFT: u8 = 0x14;
    pub const FOLDED: u8 = 0x15;
    pub const WARNING: u8 = 0x16;
    pub const SIZES: u8 = 0x17;
    pub const HISTORY: u8 = 0x18;
    pub const SAMPLE: u8 = 0x19;
    pub const LEVEL: u8 = 0x1a;
    pub const REGION: u8 = 0x1b;
    pub const REGION_TOTALS: u8 = 0x1c;
    pub const REGION_OPEN: u8 = 0x1d;
    pub const REGION_AMOUNT: u8 = 0x1e;
    pub const REGION_SPAN: u8 = 0x1f;
    pub const REGION_OWNER: u8 = 0x27;
    pub const REGION_LEFT: u8 = 0x28;
    pub const PYTHON_ENDS: u8 = 0x29;
    pub const ALLOCATED: u8 = 0x2a;
    pub const HEAP_CHUNK: u8 = 0x2b;
}

/// The state of the writer of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u32)]
pub enum State {
    /// It is being written; if the process is gone, it was killed.
    #[default]
    Recording = 0,
    /// The segment is full and another one follows.
    Full = 1,
    /// The process ended in an orderly way.
    Ended = 2,
    /// Recording stopped because the next segment could not be made: no space on the device.
    DiskFull = 3,
    /// Recording stopped because the next segment could not be made: the folder cannot be written.
    NotWritable = 4,
    /// Recording stopped because the agent could get no memory for its tables.
    NoMemory = 5,
    /// Recording stopped because the capture reached its limit while nobody folded it.
    SizeLimit = 6,
    /// Recording stopped because the next segment could not be made, for another reason.
    Failed = 7,
}

impl State {
    /// The state with this number on the wire.
    pub fn from_wire(number: u32) -> Option<State> {
        const ALL: [State; 8] = [
            State::Recording,
            State::Full,
            State::Ended,
            State::DiskFull,
            State::NotWritable,
            State::NoMemory,
            State::SizeLimit,
            State::Failed,
        ];
        ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether recording stopped although the process went on, and why; `None` for the orderly states.
    pub fn stopped_because(self) -> Option<&'static str> {
        match self {
            State::Recording | State::Full | State::Ended => None,
            State::DiskFull => Some("the disk is full"),
            State::NotWritable => Some("the capture folder cannot be written"),
            State::NoMemory => Some("there was no memory for the agent's tables"),
            State::SizeLimit => Some("the capture reached its size limit"),
            State::Failed => Some("the next segment file could not be made"),
        }
    }
}

/// How an edge of the heap is written, as a number on the wire.
pub mod label_kind {
    #![allow(missing_docs)]
    pub const ATTRIBUTE: u64 = 0;
    pub const KEY: u64 = 1;
    pub const ITEM: u64 = 2;
    pub const INDEX: u64 = 3;
    pub const MEMBER: u64 = 4;
    pub const LOCAL: u64 = 5;
    pub const CLOSURE: u64 = 6;
    pub const TYPE: u64 = 7;
    pub const UNNAMED: u64 = 8;
    pub const WEAK: u64 = 9;
}

/// A frame that is not a Python frame, as a number on the wire.
pub mod frame_kind {
    #![allow(missing_docs)]
    pub const NATIVE_THREAD: u64 = 0;
    pub const START_UP: u64 = 1;
    pub const INTERPRETER: u64 = 2;
    pub const TRUNCATED: u64 = 3;
    pub const STACKS_OFF: u64 = 4;
}

/// The checksum of a sealed chunk: over its time and its payload.
pub(crate) fn chunk_crc(nanos: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(nanos);
    crc.update(payload);
    crc.finalize()
}

/// Rounds up to the alignment of chunks.
pub fn align(at: usize) -> usize {
    at.saturating_add(7) & !7
}
