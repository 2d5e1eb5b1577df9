//! Heap snapshots: asking Python's main thread for one, and taking it; there, or where it does not come to it.

use deadweight_capture::{Cause, wire};
use deadweight_cpython::heap::lists;

use core::sync::atomic::Ordering;

use super::begin::recording;
use super::state::{ON, Recorder, STATE, StackState, WITH_SNAPSHOTS};
use crate::python::OwnMemory;
use crate::snapshot::{Forked, Refused, child};
use crate::thread::Thread;

/// What came of the wish for a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotOutcome {
    /// It is being written.
    Taken,
    /// Not now: another one is still being written, or the collector runs.
    Later,
    /// There is none to be had, or it is not worth having.
    Never,
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

impl Recorder {
    #[cold]
    pub(super) fn ask_for_snapshot(&mut self, cause: Cause) {
        if cause == Cause::Asked && self.stack_state == StackState::Off {
            self.output.answer(wire::ANSWER_IMPOSSIBLE);
        }
        if !matches!(self.stack_state, StackState::On { .. }) {
            return;
        }
        let asked = self.snapshots.is_queued() || self.add_pending_call(|callbacks| callbacks.due_snapshot);
        self.snapshots.set_asked(asked.then_some(cause));
        if asked && cause == Cause::Asked {
            self.output.notice();
        }
    }

    /// Takes the snapshot that the main thread has not come to, in a thread that has just got memory for an object.
    ///
    /// There the heap is as sound as the collector needs it: up to 3.11 it runs at this very point, and an allocation
    /// may always fail, so nothing is half changed. References that C code has in its hands make objects look alive.
    #[inline]
    pub(super) fn take_overdue(&mut self, thread: &Thread) {
        if let Some(cause) = self.snapshots.take_overdue(thread.is_main.get())
            && self.python.is_some_and(|python| python.has_gil())
        {
            // SAFETY: the thread has the GIL, and the heap is sound (see above).
            unsafe { self.take_snapshot(cause, b"") };
        }
    }

    /// Takes a snapshot of the heap.
    ///
    /// # Safety
    /// The calling thread holds the GIL at a point where the heap is sound.
    pub(super) unsafe fn take_snapshot(&mut self, cause: Cause, label: &[u8]) -> SnapshotOutcome {
        // A request may have been taken back by now.
        let is_void = cause == Cause::Asked && !self.output.is_asked();
        if is_void || !(self.config.snapshots || cause.is_wanted()) {
            return SnapshotOutcome::Never;
        }
        let (Some(interpreter), StackState::On { .. }) = (self.interpreter, self.stack_state) else {
            return SnapshotOutcome::Never;
        };
        let main = interpreter.interpreters.main(&OwnMemory);
        if main
            .is_none_or(|main| lists::is_collecting(&OwnMemory, interpreter.layout, interpreter.interpreters.gc(main)))
        {
            // A finalizer that asks is called by the collector: it would wait for itself.
            return if cause == Cause::Called {
                SnapshotOutcome::Never
            } else {
                SnapshotOutcome::Later
            };
        }
        if cause == Cause::Growth && self.snapshots.is_too_late(interpreter.long_lived()) {
            return SnapshotOutcome::Later;
        }
        let number = self.snapshots.next_number();
        let Some(destination) = self.output.snapshot_destination() else {
            return SnapshotOutcome::Never;
        };
        match self.snapshots.refusal(cause) {
            None => {}
            Some(refused) => return self.refuse(cause, refused),
        }
        if cause == Cause::End && !self.snapshots.differs_at_end() {
            return SnapshotOutcome::Never;
        }
        if self.config.exact && !self.config.snapshots && number == 0 {
            self.note(&[b"the run was started with --no-snapshots: native memory is missing in its heap snapshots"]);
        }
        self.output.clock_now();
        let _ = self.output.define(0, |writer| writer.snapshot(number));
        // SAFETY: by the caller's promise; the child only runs `child::run`.
        match unsafe { self.snapshots.fork(&destination, cause) } {
            Ok(Forked::Child(begun)) => child::run(&child::Job {
                cause,
                label,
                wanted: self.snapshots.wanted(),
                layout: interpreter.layout,
                known: &interpreter.known,
                interpreters: &interpreter.interpreters,
                live: &self.live,
                destination,
                limit: self.config.limit(),
                begun,
            }),
            Ok(Forked::Parent(writer)) => {
                self.output.set_snapshot_writer(writer);
                if cause == Cause::Asked {
                    self.output.answer(number.saturating_add(1));
                }
                SnapshotOutcome::Taken
            }
            Err(refused) => self.refuse(cause, refused),
        }
    }

    fn refuse(&mut self, cause: Cause, refused: Refused) -> SnapshotOutcome {
        let answer = match refused {
            Refused::Busy => return SnapshotOutcome::Later,
            Refused::NoProcess => wire::ANSWER_NO_PROCESS,
            Refused::Tiny => return SnapshotOutcome::Never,
        };
        if cause == Cause::Asked {
            self.output.answer(answer);
        }
        SnapshotOutcome::Never
    }
}
