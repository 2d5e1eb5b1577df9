//! The reading half: from bytes to events.

mod capture;
mod event;
mod header;
mod segment;

pub use capture::{
    Capture, FOLD_FILE, HeapFiles, ProcessFiles, ProcessId, SegmentFile, heap_file_name, segment_file_name,
};
pub use header::SegmentHeader;
pub use segment::{Events, Paused, Segment, Tail, segments};
