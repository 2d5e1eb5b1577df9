//! What Python runs for us at a safe point: in the main thread, with the GIL, between two instructions.

use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

use deadweight_capture::Cause;

use super::snapshot::SnapshotOutcome;
use super::{ON, STATE, StackState, WITH_SNAPSHOTS, recording};
use crate::thread::Thread;
use crate::{at_exit, os, pymem};

type Pointer = *mut c_void;

/// Runs as a pending call: in the main thread, with the GIL, between two instructions.
pub unsafe extern "C" fn self_test(_: Pointer) -> c_int {
    let thread = Thread::current();
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
        && let (Some(python), Some(interpreter)) = (agent.python, agent.interpreter)
    {
        // SAFETY: a pending call holds the GIL at a safe point.
        let outcome = unsafe { interpreter.self_test(&python, thread, agent.stacks.frames()) };
        agent.tested(outcome);
    }
    0
}

/// Runs as a pending call: in the main thread, with the GIL, between two instructions.
pub unsafe extern "C" fn due_snapshot(_: Pointer) -> c_int {
    let thread = Thread::current();
    let mut asked = None;
    let functions = thread.enter().and_then(|inside| {
        let mut agent = recording(thread, &inside)?;
        asked = agent.snapshots.take_asked();
        let python = agent.python.filter(|_| agent.config.snapshots)?;
        Some((python.exit?, python.version.minor))
    });
    if let Some((functions, minor)) = functions {
        // SAFETY: a pending call holds the GIL at a safe point.
        unsafe { at_exit::register(&functions, minor) };
    }
    if let Some(cause) = asked {
        snapshot_now(cause, b"");
    }
    0
}

/// Takes a snapshot in a thread that has the GIL, at a point where the heap is sound: in a pending call, in an exit
/// function, in `_exit` or `deadweight.snapshot()` called from Python code.
pub fn snapshot_now(cause: Cause, label: &[u8]) -> SnapshotOutcome {
    let thread = Thread::current();
    if (cause.is_wanted() || WITH_SNAPSHOTS.load(Ordering::Relaxed))
        && STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
        && agent.python.is_some_and(|python| python.has_gil())
    {
        if cause == Cause::Called
            && let (Some(python), Some(interpreter)) = (agent.python, agent.interpreter)
            && let StackState::Untested { .. } = agent.stack_state
        {
            // SAFETY: the thread has the GIL (checked above) and was called from Python code.
            let outcome = unsafe { interpreter.self_test(&python, thread, agent.stacks.frames()) };
            agent.tested(outcome);
        }
        // SAFETY: see above.
        return unsafe { agent.take_snapshot(cause, label) };
    }
    SnapshotOutcome::Never
}

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

/// Runs as a pending call: puts the wrappers of Python's allocators back if they were removed. Not from within an
/// allocation: tracemalloc, for one, holds a lock of its own in some of them.
pub unsafe extern "C" fn keep_pymem(_: Pointer) -> c_int {
    let thread = Thread::current();
    let Some(inside) = thread.enter() else { return 0 };
    let python = recording(thread, &inside).and_then(|agent| agent.python);
    let lost = python.is_some_and(|python| pymem::keep_installed(&python.functions));
    if lost && let Some(mut agent) = recording(thread, &inside) {
        agent.note(&[
            b"the program removed the hooks from Python's allocators, and they were put back: small ",
            b"blocks that were freed in between count as live",
        ]);
    }
    0
}
