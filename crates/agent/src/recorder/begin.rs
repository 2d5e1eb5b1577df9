//! Beginning a recording: once Python is initialised, in a forked child, and in each thread.

use core::sync::atomic::Ordering;

use deadweight_capture::StackId;
use deadweight_capture::wire::State;
use deadweight_cpython::is_plausible;

use super::state::{
    AGENT, BEGINS, INERT, NOT_BEGUN, ON, RECORDED, Recorder, STATE, StackState, WAITING, go_inert, is_forked_child,
    ours,
};
use crate::filter::{self, Ask};
use crate::lock::Held;
use crate::os;
use crate::path::Path;
use crate::python::allocators;
use crate::snapshot::Snapshots;
use crate::stacks::fixed;
use crate::thread::{InHook, Thread};

/// The recorder, if this process is recorded.
#[inline]
pub(super) fn recording(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    enter_recording(thread, inside).map(|(agent, _)| agent)
}

/// The recorder, if this process is recorded, and whether the thread's countdown begins only now. Begins the recording when Python
/// is initialised, and in a forked child.
#[inline]
pub(super) fn enter_recording(thread: &'static Thread, inside: &InHook) -> Option<(Held<'static, Recorder>, bool)> {
    match STATE.load(Ordering::Acquire) {
        ON if !is_forked_child() => {
            let agent = AGENT.hold(inside);
            let is_new = !thread.ready.get();
            if is_new {
                agent.begin_thread(thread);
            }
            Some((agent, is_new))
        }
        ON => begin_child(thread, inside).map(|agent| (agent, true)),
        WAITING => arm(thread, inside).map(|agent| (agent, true)),
        INERT => {
            thread.countdown.set(i64::MAX / 2);
            None
        }
        _ => None,
    }
}

#[cold]
fn arm(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    let mut agent = AGENT.hold(inside);
    let (python, callbacks) = (agent.python?, agent.callbacks?);
    if !is_plausible(python.thread_state()) || !python.has_gil() {
        // Try again at the next allocation.
        thread.countdown.set(0);
        return None;
    }
    if STATE.load(Ordering::Acquire) == WAITING {
        agent.begin_process(false);
        if STATE.load(Ordering::Acquire) == ON {
            allocators::install(&python.functions, callbacks.wrappers);
        }
    }
    agent.output.is_open().then(|| {
        agent.begin_thread(thread);
        agent
    })
}

#[cold]
fn begin_child(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    // Only one thread begins the recording; until it has begun, events of other threads are not recorded.
    ours()?
        .compare_exchange(NOT_BEGUN, BEGINS, Ordering::Acquire, Ordering::Relaxed)
        .ok()?;
    // SAFETY: this is the child of a fork (`OURS` was zeroed), in which the lock's holder does not exist. Its own threads take the
    // lock only once `OURS` is `RECORDED`, and this thread, which has set `BEGINS`, is the only one to get here.
    unsafe { AGENT.reset_in_child() };
    thread.ready.set(false);
    let mut agent = AGENT.hold(inside);
    agent.begin_process(true);
    agent.output.is_open().then(|| {
        agent.begin_thread(thread);
        agent
    })
}

impl Recorder {
    /// Begins the recording of this process; if that fails, the agent is inert from here on.
    fn begin_process(&mut self, forked: bool) {
        self.epoch += 1;
        self.live.clear();
        self.snapshots = Snapshots::new(if forked { os::resident_bytes() } else { 0 });
        self.snapshots.begin();
        self.python_ends = false;
        self.catalogue.begin();
        self.regions.marked = 0;
        let ready = filter::clear() && self.stacks.begin().is_ok();
        if let Some(ours) = ours() {
            ours.store(RECORDED, Ordering::Release);
        }
        let pid = os::pid();
        let begun = if ready {
            self.output.begin(&self.config, pid, self.sampler.always)
        } else {
            Err(State::NoMemory)
        };
        if begun.is_err() {
            self.output.stop(State::Failed);
            return go_inert();
        }
        let mut argv = [0; 4096];
        let mut file = Path::EMPTY;
        file.push(b"/proc/self/cmdline");
        let length = os::read_file(file.with_nul(), &mut argv);
        let version = self.python.map_or(0, |python| python.version_number());
        let argv = argv.get(..length).unwrap_or_default();
        let _ = self.output.define(argv.len(), |writer| {
            writer.process(os::parent_pid(), version, forked, argv)
        });
        for (id, frame) in fixed::ALL {
            let _ = self.output.define(0, |writer| writer.stack(id, StackId::NONE, frame));
        }
        if !forked {
            self.check_python();
        }
        filter::ask(if self.config.exact { Ask::Everything } else { Ask::Known });
        STATE.store(ON, Ordering::Release);
    }

    fn check_python(&mut self) {
        match self.python.map(|python| python.check()) {
            Some(Ok(interpreter)) => {
                self.interpreter = Some(interpreter);
                self.stack_state = StackState::Untested { asked: false };
            }
            Some(Err(reason)) => self.stacks_off(reason),
            None => self.stack_state = StackState::Off,
        }
    }

    fn begin_thread(&self, thread: &Thread) {
        thread.is_main.set(os::thread_id() == os::pid());
        thread.native_epoch.set(0);
        thread.ready.set(true);
        if self.config.exact {
            thread.countdown.set(-1);
        } else {
            let seed = if self.config.seed != 0 {
                self.config.seed
            } else {
                os::now_nanos() ^ (u64::from(os::thread_id()) << 40) ^ thread as *const Thread as u64
            };
            self.sampler.begin(thread, crate::table::spread(seed));
        }
    }
}
