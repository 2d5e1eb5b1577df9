//! The capture format: what the agent writes inside the user's process and what every analysis reads.
//!
//! A capture is a directory. Each recorded process owns a series of *segment* files; a segment is a header and a
//! sequence of *chunks*; a chunk is a length, a checksum and *events*. [`wire`] defines the bytes; `docs/format.md`
//! describes them for readers who do not read Rust.
//!
//! # Constraints
//! - The writing half ([`mod@write`]) runs inside `malloc`: no std, no allocation, no lock, no panic.
//! - What was written before a SIGKILL is readable after it: a segment is a shared file mapping, and the length in a
//!   chunk's header is raised only after the event is complete.
//! - The reading half (`read`, feature `read`) never panics, whatever the bytes. A truncated tail is a state
//!   ([`read::Tail`]), not an error.
//! - Every definition states its id, so damage can lose a name but never swap two.
//!
//! # What it does not do
//! It does not interpret events: peaks and live memory are the work of `deadweight-analysis`.
//!
//! # Example
//! ```
//! use deadweight_capture::{Addr, Allocator, Event, StackId, write::{SegmentInfo, SegmentWriter}, read::Segment};
//!
//! let mut bytes = vec![0; 4096];
//! let mut writer = SegmentWriter::begin(&mut bytes, &SegmentInfo { pid: 7, ..SegmentInfo::default() }).unwrap();
//! writer.alloc(Addr(0x1000), 64, StackId::NONE, Allocator::Malloc);
//! writer.free(Addr(0x1000));
//! let segment = Segment::parse(&bytes).unwrap();
//! let events: Vec<Event> = segment.events().collect();
//! assert_eq!(events.last(), Some(&Event::Free { addr: Addr(0x1000) }));
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "read"), no_std)]

mod event;
mod header;
mod ids;
mod linetable;
pub mod varint;
pub mod wire;
pub mod write;

#[cfg(feature = "read")]
mod error;
#[cfg(feature = "read")]
pub mod manifest;
#[cfg(feature = "read")]
pub mod read;
#[cfg(feature = "read")]
pub mod rss_samples;
#[cfg(feature = "read")]
pub mod timeline;

#[cfg(feature = "read")]
pub use error::Error;
/// The text of the Note that says that an uncaught MemoryError ended the program.
pub const UNCAUGHT_MEMORY_ERROR: &str = "uncaught MemoryError";

pub use event::{Allocator, Cause, EdgeLabel, Event, Frame, HeapObject, MapKind, RegionAmount, RootKind, StackTotals};
pub use ids::{Addr, CodeId, StackId, StringId, TypeId};
pub use linetable::{LineTable, LineTableKind};
