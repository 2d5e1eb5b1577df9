//! What Python runs for us at a safe point: in the main thread, with the GIL, between two instructions.

use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

use super::{ON, STATE, recording};
use crate::thread::Thread;
use crate::{at_exit, pymem};

type Pointer = *mut c_void;

/// Runs as a pending call: in the main thread, with the GIL, between two instructions.
pub unsafe extern "C" fn self_test(_: Pointer) -> c_int {
    let thread = Thread::current();
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
        && let (Some(python), Some(insides)) = (agent.python, agent.insides)
    {
        // SAFETY: a pending call holds the GIL at a safe point.
        let outcome = unsafe { insides.self_test(&python, thread, agent.stacks.frames()) };
        agent.tested(outcome);
    }
    0
}

/// Runs as a pending call: in the main thread, with the GIL, between two instructions.
pub unsafe extern "C" fn due_snapshot(_: Pointer) -> c_int {
    let thread = Thread::current();
    let python = thread
        .enter()
        .and_then(|inside| recording(thread, &inside).and_then(|agent| agent.python));
    if let Some(python) = python {
        // SAFETY: a pending call holds the GIL at a safe point.
        unsafe { at_exit::register(&python.functions) };
    }
    snapshot_now(false);
    0
}

/// Takes a snapshot in a thread that has the GIL, at a point where the heap is sound: in a pending call, in an exit
/// function, in `_exit` called from Python code.
pub fn snapshot_now(at_end: bool) {
    let thread = Thread::current();
    if STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
        && agent.python.is_some_and(|python| python.has_gil())
    {
        // SAFETY: see above.
        unsafe { agent.take_snapshot(at_end) };
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
