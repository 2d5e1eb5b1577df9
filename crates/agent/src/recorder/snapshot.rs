//! Heap snapshots: asking Python's main thread for one, and taking it there, or in another thread if the main thread does not get to
//! it.

use deadweight_capture::{Cause, wire};
use deadweight_cpython::heap::lists;

use core::sync::atomic::Ordering;

use super::begin::recording;
use super::state::{ON, Recorder, STATE, StackState, WITH_SNAPSHOTS};
use crate::python::OwnMemory;
use crate::snapshot::{Forked, Refused, child};
use crate::thread::Thread;

/// What became of a request for a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotOutcome {
    /// It is being written.
    Taken,
    /// Not now: another one is still being written, or the collector is running.
    Later,
    /// There can be no snapshot, or it is not worth taking.
    Never,
}

/// Takes a snapshot in a thread that holds the GIL, at a point where the heap is consistent: in a pending call, in an exit function,
/// or in `_exit` or `deadweight.snapshot()` called by Python code.
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
            // SAFETY: the thread holds the GIL (checked above), and Python code has called `deadweight.snapshot()`.
            let outcome = unsafe { interpreter.self_test(&python, thread, agent.stacks.frames()) };
            agent.tested(outcome);
        }
        // SAFETY: the thread holds the GIL (checked above), and the callers are at points where the heap is consistent.
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

    /// Takes the snapshot that the main thread has not got to, in a thread that has just allocated memory for an object.
    ///
    /// The heap is as consistent there as the collector needs it: up to 3.11 the collector itself runs at this point, and since any
    /// allocation may fail, nothing is half changed. References that C code holds make objects look alive.
    #[inline]
    pub(super) fn take_overdue(&mut self, thread: &Thread) {
        if let Some(cause) = self.snapshots.take_overdue(thread.is_main.get())
            && self.python.is_some_and(|python| python.has_gil())
        {
            // SAFETY: the thread holds the GIL (checked above), and the heap is consistent (see above).
            unsafe { self.take_snapshot(cause, b"") };
        }
    }

    /// Takes a snapshot of the heap.
    ///
    /// # Safety
    /// The calling thread holds the GIL at a point where the heap is consistent.
    pub(super) unsafe fn take_snapshot(&mut self, cause: Cause, label: &[u8]) -> SnapshotOutcome {
        // The request may have been withdrawn meanwhile.
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
            // If a finalizer has called `deadweight.snapshot()`, the collector runs it: it would wait for itself.
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
        // SAFETY: the caller holds the GIL at a consistent point; the child only runs `child::run`, which ends it.
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
