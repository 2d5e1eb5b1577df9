//! The start of the library in a process, forks, and the end of the process.

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

/// Called by the library's constructor: decides whether this process is to be recorded. `wrappers` are those for Python's
/// allocators.
pub fn start(wrappers: &'static Wrappers) {
    let begun = prepare(wrappers);
    STATE.store(if begun.is_some() { WAITING } else { INERT }, Ordering::Release);
}

fn prepare(wrappers: &'static Wrappers) -> Option<()> {
    let config = Config::from_environment()?;
    let python = Python::find()?;
    let page = os::map_private(4096)?;
    // SAFETY: the page was just mapped, and nothing is on it yet. Kernels before 4.14 refuse; then `pthread_atfork` has to suffice.
    unsafe { os::advise(page, 4096, libc::MADV_WIPEONFORK) };
    OURS.store(page.cast().as_ptr(), Ordering::Release);
    // SAFETY: the handlers are functions of this library, which is preloaded and so never unloaded.
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

/// The block of the thread that holds the lock because it is forking; null if there is none.
static HELD_FOR_FORK: AtomicPtr<Thread> = AtomicPtr::new(null_mut());

fn this_thread() -> *mut Thread {
    (&raw const *Thread::current()).cast_mut()
}

unsafe extern "C" fn before_fork() {
    if STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = Thread::current().enter()
    {
        // With the lock held, no other thread is changing the tables that the child gets.
        core::mem::forget(AGENT.hold(&inside));
        HELD_FOR_FORK.store(this_thread(), Ordering::Relaxed);
        inside.keep();
    }
}

unsafe extern "C" fn after_fork_in_parent() {
    after_fork();
}

unsafe extern "C" fn after_fork_in_child() {
    // If the kernel has not zeroed the page, this does.
    if let Some(ours) = ours() {
        ours.store(NOT_BEGUN, Ordering::Relaxed);
    }
    after_fork();
}

fn after_fork() {
    let own = HELD_FOR_FORK.compare_exchange(this_thread(), null_mut(), Ordering::Relaxed, Ordering::Relaxed);
    if own.is_ok() {
        // SAFETY: `before_fork` has taken the lock in this thread, whose block has the same address in a child, and forgotten its
        // `Held`.
        unsafe { AGENT.release_after_fork() };
        // SAFETY: `before_fork` has called `keep` in this thread, and the exchange above succeeds once after that.
        drop(unsafe { InHook::resume() });
    }
}

/// The process calls `_exit`: takes a last snapshot if Python code has called it, and ends the recording.
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

/// The process id of the recorded process: after `vfork` another process shares this memory.
fn recorded_pid() -> u32 {
    let Some(inside) = Thread::current().enter() else {
        return 0;
    };
    AGENT.hold_soon(&inside, 100).map_or(0, |agent| agent.output.pid())
}

/// Called by the library's destructor: the process has run its exit handlers, and Python has ended.
pub fn finish() {
    end_recording(true);
}

/// Writes the end of the recording. `orderly`: the process ends by `exit`. Safe in a `vfork` child, which shares this memory with
/// the recorded process, and in a signal handler that has interrupted the agent.
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
