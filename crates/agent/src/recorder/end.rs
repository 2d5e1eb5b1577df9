//! The end of the program's work, as long as Python is whole: a last snapshot, and whether a MemoryError was the reason.

use core::sync::atomic::Ordering;

use deadweight_capture::Cause;

use super::begin::recording;
use super::snapshot::{SnapshotOutcome, snapshot_now};
use super::state::WITH_SNAPSHOTS;
use crate::thread::Thread;
use crate::{at_exit, os};

/// Takes the last snapshot, when Python's exit functions run. Waits a while for the one before it to be written, and for
/// this one: a tenth of the run in all, at most 5 s.
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

/// Notes that the program's work is over: what follows is waiting for snapshots, and Python's own end.
fn note_end() {
    let thread = Thread::current();
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.note_end_of_work();
    }
}

/// Waits until no snapshot is being written, or the patience since `began` is used up.
fn await_writer(began: u64) {
    let thread = Thread::current();
    let is_writing = || {
        let inside = thread.enter()?;
        let mut agent = recording(thread, &inside)?;
        let waited = os::now_nanos().saturating_sub(began);
        Some(!agent.snapshots.is_idle() && waited < agent.snapshots.patience_at_end())
    };
    // Other threads may need the agent between two looks.
    while is_writing() == Some(true) {
        os::sleep_millisecond();
    }
}

/// Notes that a MemoryError which nothing caught ended the program, if it did. Called in an exit function.
pub fn note_memory_error() {
    let thread = Thread::current();
    let Some(inside) = thread.enter() else { return };
    let functions = recording(thread, &inside).and_then(|agent| agent.python?.exit);
    // SAFETY: exit functions are called with the GIL.
    if functions.is_some_and(|functions| unsafe { at_exit::is_memory_error(&functions) })
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.note(&[deadweight_capture::UNCAUGHT_MEMORY_ERROR.as_bytes()]);
    }
}
