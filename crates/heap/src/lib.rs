//! The object graph of a heap snapshot: what is garbage, which cycles keep it, who holds the rest.
//!
//! [`analyse_heap`] reads the files of one snapshot and gives a [`SnapshotAnswer`]: plain data. [`holders_over_time`]
//! compares the snapshots of a process.
//!
//! # Constraints
//! - The garbage is what `gc.collect()` would free at that moment, no more and no less: the same subtraction of
//!   references, and what hangs on it. Retained sizes come from exact dominators.
//! - Nothing recurses: a linked list of a million nodes is as deep as it is long.
//! - Memory is less than 100 bytes for each object; the second pass over the files saves the rest.
//! - Snapshots are foreign bytes: nothing here panics on them. Numbers of nodes are checked once, when the graph is
//!   built; from there on they index.
//!
//! # What it does not do
//! It knows no functions and lines (stacks are ids of the process's own tree), does not rank one finding against
//! another, and does not say what to do: that is `deadweight-report`.
//!
//! # Example
//! ```no_run
//! let capture = deadweight_capture::read::Capture::open("bench.dw".as_ref())?;
//! for files in capture.heaps() {
//!     let answer = deadweight_heap::analyse_heap(files)?;
//!     for group in &answer.cycles {
//!         println!("{:>12} {} x {}", group.amount.bytes(), group.instances, group.type_name);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable)
)]

mod analyse;
mod answer;
mod ask;
mod error;
mod graph;
mod growth;
mod read;

pub use analyse::{Heap, analyse_heap, analyse_within};
pub use answer::asked::{
    CycleAnswer, CyclePart, HeldPath, Located, Neighbour, Object, ObjectAnswer, Referrer, Standing, Tail, TypeAnswer,
    TypeCensus,
};
pub use answer::{
    Amount, CycleGroup, Elements, GarbageType, Holder, SnapshotAnswer, StackBytes, Step, TypeAmount, Unexplained,
    Unowned,
};
pub use ask::NoObject;
// For deadweight-report, which may not depend on the capture crate itself.
pub use deadweight_capture::{
    Allocator, Cause, StackId,
    read::{HeapFiles, ProcessId},
};
pub use error::Error;
pub use graph::names::short_type;
pub use growth::{HolderSeries, holders_over_time, rise};
