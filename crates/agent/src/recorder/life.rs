//! The recorded process's beginning, its forks, and its end.

use core::sync::atomic::{AtomicBool, Ordering};

use deadweight_capture::Cause;

use super::{AGENT, INERT, ON, OURS, STATE, WAITING, WITH_SNAPSHOTS, go_inert, is_forked_child, snapshot_now};
use crate::config::Config;
use crate::os;
use crate::python::Python;
use crate::sampler::Sampler;
use crate::thread::{InHook, Thread};

/// The constructor's work: decides whether there is anything to do in this process.
pub fn start() {
    let begun = prepare();
    STATE.store(if begun.is_some() { WAITING } else { INERT }, Ordering::Release);
}

fn prepare() -> Option<()> {
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
    Some(())
}

/// Whether the lock is held on behalf of a fork; only touched by the thread that holds it.
static HELD_FOR_FORK: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn before_fork() {
    if STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = Thread::current().enter()
    {
        // The child then has tables that nobody was changing.
        core::mem::forget(AGENT.hold(&inside));
        HELD_FOR_FORK.store(true, Ordering::Relaxed);
        inside.keep();
    }
}

unsafe extern "C" fn after_fork_in_parent() {
    after_fork();
}

unsafe extern "C" fn after_fork_in_child() {
    if let Some(ours) = core::ptr::NonNull::new(OURS.load(Ordering::Relaxed)) {
        // SAFETY: the page was mapped by `prepare`. Where the kernel did not wipe it, this does.
        unsafe { ours.as_ref() }.store(0, Ordering::Relaxed);
    }
    after_fork();
}

fn after_fork() {
    if HELD_FOR_FORK.swap(false, Ordering::Relaxed) {
        AGENT.release_after_fork();
        drop(InHook::resume());
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
