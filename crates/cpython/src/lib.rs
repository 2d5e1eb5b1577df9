//! Layouts of CPython 3.9 to 3.15 (Linux x86-64, builds with a GIL) and readers of its frames, code objects and
//! strings over [`Memory`].
//!
//! # What it is for
//!
//! The agent calls [`frame::walk`] on every recorded allocation to learn which Python code is running, and
//! [`code::metadata`] the first time it meets a code object. Tests and tools read another process through the same
//! functions: only the [`Memory`] differs.
//!
//! # Constraints
//!
//! * Usable inside `malloc`: `no_std`, no allocation, no lock, no system call, no panic, no `unsafe`.
//! * Foreign bytes never cause a panic or an endless loop: every reader is bounded, and reports how it ended.
//! * Every address is checked before it is followed ([`is_plausible`]): reading stops at null, low, misaligned and
//!   non-canonical addresses. An address that passes may still be unmapped, so reading one's own process relies on the
//!   rules below.
//! * All multi-byte values are little endian.
//!
//! # What the caller must ensure
//!
//! * Walk the calling thread's own thread state, or another one's while nothing can run.
//! * Check once at start that the layout fits the running interpreter: [`type_object::check`] for each of the known
//!   types, [`runtime::Runtime::locate`] (which checks the interpreter's own table of offsets from 3.13 on), then
//!   compare one walk with the public frame API.
//! * Refuse free-threaded builds ([`Version::is_free_threaded`]): their objects have another shape.
//!
//! # Example
//!
//! ```
//! use deadweight_cpython::frame::{End, RawFrame};
//! use deadweight_cpython::{Memory, Version, frame, layout_for};
//!
//! /// A process in which nothing can be read.
//! struct Nothing;
//! impl Memory for Nothing {
//!     fn read<const N: usize>(&self, _addr: u64) -> Option<[u8; N]> {
//!         None
//!     }
//! }
//!
//! let version = Version::parse(b"3.13.0 (main, Oct  8 2024) [GCC 12.2.0]").unwrap();
//! let layout = layout_for(version).unwrap();
//! let mut stack = [RawFrame::default(); 64];
//! let walk = frame::walk(&Nothing, layout, 0x1000, 0x2000, &mut stack);
//! assert_eq!((walk.len, walk.end), (0, End::BadFrame));
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod bytes;
pub mod code;
pub mod context;
pub mod debug_offsets;
#[cfg(test)]
mod fake;
pub mod frame;
pub mod heap;
pub mod layout;
mod memory;
mod mismatch;
pub mod runtime;
pub mod type_object;
pub mod unicode;
mod version;

pub use layout::{Layout, layout_for};
pub use memory::{Memory, is_plausible};
pub use mismatch::Mismatch;
pub use version::Version;
