//! The recorded process's beginning, its forks, and its end.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use deadweight_capture::Cause;

use super::pending;
use super::snapshot::snapshot_now;
use super::state::{
    AGENT, Callbacks, INERT, NOT_BEGUN, ON, OURS, STATE, WAITING, WITH_SNAPSHOTS, go_inert, is_forked_child, ours,
};
use crate::config::Config;
use crate::os;
use crate::python::Python;
use crate::python::allocators::Wrappers;
use crate::sampler::Sampler;
use crate::thread::{InHook, Thread};

/// The constructor's work: decides whether there is anything to do in this process. `wrappers` are for Python's
/// allocators.
pub fn start(wrappers: &'static Wrappers) {
    let begun = prepare(wrappers);
    STATE.store(if begun.is_some() { WAITING } else { INERT }, Ordering::Release);
}

fn prepare(wrappers: &'static Wrappers) -> Option<()> {
    let config = Config::from_environment()?;
    let python = Python::find()?;
    let page = os::map_private(4096)?;
    // SAFETY: the page was just mapped. Kernels before 4.14 refuse; then `pthread_atfork` alone must do.
    unsafe { os::advise(page, 4096, libc::MADV_WIPEONFORK) };
    OURS.store(page.cast().as_ptr(), Ordering::Release);
    // SAFETY: the handlers are functions of this library, which is never unloaded.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child)) };
    let inside = Thread::current().enter()?;
    let mut agent = AGENT.hold(&inside);
    WITH_SNAPSHOTS.store(config.snapshots, Ordering::Relaxed);
    agent.config = config;
    agent.sampler = Sampler::new(config.interval);
    agent.config.interval = agent.sampler.interval;
    agent.python = Some(python);
    agent.callbacks = Some(Callbacks {
        wrappers,
        self_test: pending::self_test,
        due_snapshot: pending::due_snapshot,
        keep_wrappers: pending::keep_wrappers,
    });
    Some(())
}

/// The thread that holds the lock on behalf of a fork, by its block; null if there is none.
static HELD_FOR_FORK: AtomicPtr<Thread> = AtomicPtr::new(null_mut());

fn this_thread() -> *mut Thread {
    (&raw const *Thread::current()).cast_mut()
}

unsafe extern "C" fn before_fork() {
    if STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = Thread::current().enter()
    {
        // The child then has tables that nobody was changing.
        core::mem::forget(AGENT.hold(&inside));
        HELD_FOR_FORK.store(this_thread(), Ordering::Relaxed);
        inside.keep();
    }
}

unsafe extern "C" fn after_fork_in_parent() {
    after_fork();
}

unsafe extern "C" fn after_fork_in_child() {
    // Where the kernel did not wipe the page, this does.
    if let Some(ours) = ours() {
        ours.store(NOT_BEGUN, Ordering::Relaxed);
    }
    after_fork();
}

fn after_fork() {
    let own = HELD_FOR_FORK.compare_exchange(this_thread(), null_mut(), Ordering::Relaxed, Ordering::Relaxed);
    if own.is_ok() {
        // SAFETY: `before_fork` took it in this thread, whose block has the same address in a child, and forgot it.
        unsafe { AGENT.release_after_fork() };
        // SAFETY: `before_fork` kept the thread's value, too; `HELD_FOR_FORK` says so once.
        drop(unsafe { InHook::resume() });
    }
}

/// The process ends by `_exit`: a last snapshot if Python code called it, and the end of the recording.
pub fn finish_at_once() {
    if WITH_SNAPSHOTS.load(Ordering::Relaxed)
        && STATE.load(Ordering::Acquire) == ON
        && !is_forked_child()
        && os::pid() == recorded_pid()
    {
        snapshot_now(Cause::End, b"");
    }
    end_recording(false);
}

/// The process that is recorded; another one shares this memory after `vfork`.
fn recorded_pid() -> u32 {
    let Some(inside) = Thread::current().enter() else {
        return 0;
    };
    AGENT.hold_soon(&inside, 100).map_or(0, |agent| agent.output.pid())
}

/// The process ends after its exit handlers, Python's own end among them.
pub fn finish() {
    end_recording(true);
}

/// Writes the end of the recording; `orderly`: the process comes from `exit`. Safe in a `vfork` child, which shares this
/// memory with the process that is recorded, and in a signal handler that interrupted the agent.
fn end_recording(orderly: bool) {
    if STATE.load(Ordering::Acquire) != ON || is_forked_child() {
        return;
    }
    let Some(inside) = Thread::current().enter() else {
        return;
    };
    if let Some(mut agent) = AGENT.hold_soon(&inside, 100)
        && agent.output.pid() == os::pid()
    {
        go_inert();
        if orderly && agent.python.is_some_and(|python| !python.is_initialized()) {
            agent.note_python_ends(true);
        }
        agent.output.finish();
    }
}
