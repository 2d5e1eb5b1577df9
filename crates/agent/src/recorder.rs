//! From a hook to an event: what is recorded, when, and under which lock.
//!
//! The fast paths ([`hooks`]) cost a few nanoseconds and take no lock. All else is behind the lock of [`state`], entered only
//! with an [`InHook`](crate::thread::InHook). From the lowest file up: [`state`] has the data, [`begin`] starts a recording,
//! [`stack`] finds the stack of an event, [`snapshot`] takes heap snapshots, and [`event`] writes events. [`hooks`], [`region`],
//! [`end`], [`pending`] (what Python calls at safe points) and [`lifecycle`] are the entry points.

mod begin;
mod end;
mod event;
mod hooks;
mod lifecycle;
mod pending;
mod region;
mod snapshot;
mod stack;
mod state;

pub use hooks::{allocated, arena_mapped, arena_unmapped, freed, mapped, reallocated, remapped, unmapped};
pub use lifecycle::finish_at_once;
#[cfg_attr(
    test,
    expect(unused_imports, reason = "used by the library's constructor and destructor")
)]
pub use lifecycle::{finish, start};
pub use region::{begin_regions, enter_region, leave_region};
pub use snapshot::{SnapshotOutcome, snapshot_now};
