//! Replay of captured events: which memory was live at the peak, at the end, and ever.
//!
//! [`analyse()`] reads a capture and gives an [`Analysis`]: plain data, by process and by stack. [`Folder`] keeps the
//! capture of a running program small without changing what `analyse` will answer.
//!
//! # Constraints
//! - Events are read once, with the same work for each, however many stacks and processes there are.
//! - In memory are one segment of each process and the table of live blocks.
//! - Captures are foreign bytes: nothing here panics on them, and what cannot be read becomes a sentence in
//!   [`Analysis::warnings`].
//!
//! # Where things are
//! `read/` merges the events of all processes in the order of time into `replay/`, which knows what is live; `ledger/`
//! joins that with the supervisor's RSS samples, `fold/` writes it down, and `answer/` is the result as plain data.
//!
//! # What it does not do
//! It does not round, rank, or judge: that is `deadweight-report`.
//!
//! # Example
//! ```no_run
//! let capture = deadweight_capture::read::Capture::open("bench.dw".as_ref())?;
//! let analysis = deadweight_analysis::analyse(&capture)?;
//! for process in &analysis.processes {
//!     for (id, amounts) in process.amounts.iter().enumerate() {
//!         let stack = deadweight_capture::StackId(id as u32);
//!         println!("{:>12} {:?}", amounts.peak.bytes, process.stacks.frame(stack));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

mod analyse;
mod answer;
mod error;
mod fold;
mod ledger;
mod read;
mod replay;
mod stacks;

pub use analyse::{analyse, analyse_with};
pub use answer::amount::Amount;
pub use answer::ledger::{LedgerSample, Resident, Share, Survivors};
pub use answer::region::{Region, RegionSource};
pub use answer::{Analysis, Composition, History, Level, Peak, ProcessAnswer, Sample, StackAmounts};
// For deadweight-report and the CLI: the report crate may not depend on the capture crate itself.
pub use deadweight_capture::{
    StackId, UNCAUGHT_MEMORY_ERROR, manifest,
    read::{Capture, ProcessId, Tail},
    rss_samples::{FileKind, MappedFile},
    timeline,
    wire::State,
};
pub use error::Error;
pub use fold::{Folded, Folder};
pub use read::births;
pub use replay::is_function_name;
pub use stacks::{FrameName, StackTree};
