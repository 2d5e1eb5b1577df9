//! The end of the program's work, while Python is still intact: the last snapshot, and whether an uncaught MemoryError was the
//! reason.

use core::sync::atomic::Ordering;

use deadweight_capture::Cause;

use super::begin::recording;
use super::snapshot::{SnapshotOutcome, snapshot_now};
use super::state::WITH_SNAPSHOTS;
use crate::thread::Thread;
use crate::{at_exit, os};

/// Takes the last snapshot, while Python's exit functions run. Waits until the snapshot before it is written, and until this one
/// is: in total for 1/10 of the run, between 1 and 5 s.
pub fn last_snapshot() {
    if WITH_SNAPSHOTS.load(Ordering::Relaxed) {
        let began = os::now_nanos();
        note_end();
        await_writer(began);
        if snapshot_now(Cause::End, b"") == SnapshotOutcome::Taken {
            await_writer(began);
        }
    }
}

/// Notes that the program's work is over: what follows is waiting for snapshots, and Python's finalisation.
fn note_end() {
    let thread = Thread::current();
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.note_end_of_work();
    }
}

/// Waits until no snapshot is being written, or the time for that since `began` is over.
fn await_writer(began: u64) {
    let thread = Thread::current();
    let is_writing = || {
        let inside = thread.enter()?;
        let mut agent = recording(thread, &inside)?;
        let waited = os::now_nanos().saturating_sub(began);
        Some(!agent.snapshots.is_idle() && waited < agent.snapshots.patience_at_end())
    };
    // The lock is released between two checks, since other threads may need it.
    while is_writing() == Some(true) {
        os::sleep_millisecond();
    }
}

/// Notes that an uncaught MemoryError has ended the program, if so. Called by an exit function.
pub fn note_memory_error() {
    let thread = Thread::current();
    let Some(inside) = thread.enter() else { return };
    let functions = recording(thread, &inside).and_then(|agent| agent.python?.exit);
    // SAFETY: Python calls exit functions with the GIL held.
    if functions.is_some_and(|functions| unsafe { at_exit::is_memory_error(&functions) })
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.note(&[deadweight_capture::UNCAUGHT_MEMORY_ERROR.as_bytes()]);
    }
}
