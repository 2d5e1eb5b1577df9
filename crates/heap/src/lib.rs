//! The object graph of a heap snapshot: what is garbage, which cycles keep it alive, and what holds the rest.
//!
//! [`analyse_heap`] reads the files of one snapshot and gives a [`SnapshotAnswer`]: plain data. [`holders_over_time`]
//! compares the snapshots of a process.
//!
//! # Constraints
//! - Garbage is exactly what `gc.collect()` would have freed at that moment: the same subtraction of references, and what
//!   only garbage refers to. Retained sizes come from exact dominators.
//! - Nothing recurses: a linked list of a million nodes is as deep as it is long.
//! - The analysis takes less than 100 bytes of memory per object. It reads the files twice rather than keep them.
//! - Snapshots are foreign bytes: nothing here panics on them. Node numbers are checked once, when the graph is built;
//!   afterwards they are used as indices.
//!
//! # What it does not do
//! It knows no functions and lines (a stack is an id in the process's stack tree), it does not rank findings, and it gives
//! no advice: that is `deadweight-report`.
//!
//! # Where things are
//! `read/` turns the files of a snapshot into a graph, `graph/` is that graph, `analyse/` computes reachability,
//! dominators, cycles and holders from it, and `ask/` answers what `deadweight heap` asks about types and objects.
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
