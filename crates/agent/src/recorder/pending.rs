//! The functions that Python calls at safe points: pending calls, which run in the main thread, with the GIL, between two
//! instructions; and an exit function.

use core::ffi::{c_int, c_void};

use super::begin::recording;
use super::end;
use super::snapshot::snapshot_now;
use crate::at_exit;
use crate::python::MethodDefinition;
use crate::python::allocators;
use crate::thread::Thread;

type Pointer = *mut c_void;

/// A pending call: compares a walk of the frames with what Python says about them.
///
/// # Safety
/// Python calls this as a pending call.
pub unsafe extern "C" fn self_test(_: Pointer) -> c_int {
    let thread = Thread::current();
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
        && let (Some(python), Some(interpreter)) = (agent.python, agent.interpreter)
    {
        // SAFETY: a pending call runs with the GIL, at a safe point.
        let outcome = unsafe { interpreter.self_test(&python, thread, agent.stacks.frames()) };
        agent.tested(outcome);
    }
    0
}

/// A pending call: takes the snapshot that was requested.
///
/// # Safety
/// Python calls this as a pending call.
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
        // SAFETY: a pending call runs with the GIL, at a safe point.
        unsafe { at_exit::register(&functions, minor, &EXIT_FUNCTION) };
    }
    if let Some(cause) = asked {
        snapshot_now(cause, b"");
    }
    0
}

/// A pending call: wraps Python's allocators again if the wrappers were removed. This is not done within an allocation:
/// tracemalloc, for one, holds a lock of its own in some.
///
/// # Safety
/// Python calls this as a pending call.
pub unsafe extern "C" fn keep_wrappers(_: Pointer) -> c_int {
    let thread = Thread::current();
    let Some(inside) = thread.enter() else { return 0 };
    let found = recording(thread, &inside).and_then(|agent| agent.python.zip(agent.callbacks));
    let lost =
        found.is_some_and(|(python, callbacks)| allocators::keep_installed(&python.functions, callbacks.wrappers));
    if lost && let Some(mut agent) = recording(thread, &inside) {
        agent.note(&[
            b"the program removed the hooks from Python's allocators, and they were put back: small ",
            b"blocks that were freed in between count as live",
        ]);
    }
    0
}

static EXIT_FUNCTION: MethodDefinition = MethodDefinition {
    name: c"deadweight_snapshot".as_ptr(),
    function: exit_function,
    flags: 4,
    documentation: c"Takes deadweight's last snapshot of the heap.".as_ptr(),
};

/// An exit function; Python calls it with the GIL.
unsafe extern "C" fn exit_function(_: Pointer, _: Pointer) -> Pointer {
    end::note_memory_error();
    end::last_snapshot();
    // SAFETY: Python holds the GIL here, and `at_exit::register` has made this function known to it.
    unsafe { at_exit::none() }
}
