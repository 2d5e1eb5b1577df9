//! Writing events, and the housekeeping after each event.

use deadweight_capture::wire::State;
use deadweight_capture::{Addr, Allocator, Cause};

use super::state::{Recorder, go_inert};
use crate::filter;
use crate::live_block::LiveBlock;
use crate::os;
use crate::python::allocators;
use crate::thread::Thread;

/// In an exact run only snapshots use the live blocks, and only those of at least this size are kept, bytes: smaller blocks mostly
/// belong to objects whose sizes a snapshot knows anyway.
const EXACT_LIVE_BYTES: u64 = 1024;

/// Events between two checks whether Python's allocators are still wrapped; 64 times as many in an exact run.
const WRAPPER_TURNS: u32 = 64;

impl Recorder {
    /// Subtracts `size` bytes from the countdown, and decides whether a block of that size is recorded.
    pub(super) fn counts_down(&self, thread: &Thread, size: usize) -> bool {
        thread.countdown.set(thread.countdown.get().wrapping_sub(size as i64));
        thread.countdown.get() < 0 && self.takes_part(thread, size)
    }

    /// Whether a block that has brought the countdown below 0 is recorded.
    pub(super) fn takes_part(&self, thread: &Thread, size: usize) -> bool {
        if self.config.exact {
            thread.countdown.set(-1);
            return true;
        }
        thread.countdown.get() < 0 && self.sampler.is_sampled(thread, size as u64)
    }

    #[inline]
    pub(super) fn record(&mut self, thread: &Thread, address: u64, size: u64, domain: Allocator) {
        let stack = self.current_stack(thread);
        self.output.clock();
        self.mark_region(thread);
        if let Some(writer) = self.output.writer(0) {
            writer.alloc(Addr(address), size, stack, domain);
        }
        if !self.config.exact || (self.config.snapshots && size >= EXACT_LIVE_BYTES) {
            if self.live.get(address).is_none() {
                filter::add(address);
            }
            if self.live.insert(address, LiveBlock { size, stack, domain }).is_err() {
                self.output.stop(State::NoMemory);
            }
        }
        self.after_event();
    }

    #[inline]
    pub(super) fn record_free(&mut self, thread: &Thread, address: u64) {
        let may_know = filter::may_know(address);
        if may_know && self.live.remove(address).is_some() {
            filter::remove(address);
        } else if !self.config.exact {
            if may_know {
                self.forget_code(address);
            }
            return;
        }
        self.output.clock();
        self.mark_region(thread);
        if let Some(writer) = self.output.writer(0) {
            writer.free(Addr(address));
        }
        if may_know {
            self.forget_code(address);
        }
        self.after_event();
    }

    pub(super) fn forget_code(&mut self, address: u64) {
        if self.catalogue.forget_code(address) {
            self.stacks.forget_last();
        }
    }

    /// Housekeeping after each event; rare work only at some events.
    #[inline]
    pub(super) fn after_event(&mut self) {
        if !self.python_ends && self.interpreter.is_some_and(|interpreter| interpreter.is_finalizing()) {
            self.note_python_ends(false);
        }
        self.turns = self.turns.wrapping_add(1);
        let mask = if self.config.exact {
            WRAPPER_TURNS * 64 - 1
        } else {
            WRAPPER_TURNS - 1
        };
        if self.turns & mask == 0 {
            self.look_after_wrappers();
        }
        if !self.output.is_open() {
            go_inert();
        } else if self.output.is_asked() && self.snapshots.may_ask() {
            self.ask_for_snapshot(Cause::Asked);
        } else if self.config.snapshots {
            let (python, interpreter) = (self.python.as_ref(), self.interpreter.as_ref());
            let long_lived = || python?.has_gil().then(|| interpreter?.long_lived())?;
            if self.snapshots.is_due(self.config.limit(), long_lived) {
                self.ask_for_snapshot(Cause::Growth);
            }
        }
    }

    /// Notes that Python ends, unless that is noted already.
    pub(super) fn note_end_of_work(&mut self) {
        if !self.python_ends {
            self.note_python_ends(false);
        }
    }

    /// Notes that Python ends, or that it has ended (`over`).
    #[cold]
    pub(super) fn note_python_ends(&mut self, over: bool) {
        self.python_ends = true;
        self.output.clock_now();
        if let Some(writer) = self.output.writer(0) {
            let _ = writer.python_ends(os::now_nanos(), over);
        }
    }

    #[cold]
    pub(super) fn look_after_wrappers(&mut self) {
        let (Some(python), Some(callbacks)) = (&self.python, &self.callbacks) else {
            return;
        };
        if python.is_initialized() && allocators::has_changed(&python.functions, callbacks.wrappers) {
            self.add_pending_call(|callbacks| callbacks.keep_wrappers);
        }
    }

    /// Writes which region the calling thread is in, if it is not the one that the capture has for the last event.
    #[inline(always)]
    pub(super) fn mark_region(&mut self, thread: &Thread) {
        if self.regions.in_use {
            self.mark_changed_region(thread);
        }
    }

    #[inline(never)]
    fn mark_changed_region(&mut self, thread: &Thread) {
        let region = match (&self.python, &self.interpreter) {
            (Some(python), Some(interpreter)) => {
                let state = interpreter.own_state(python, thread);
                self.regions.current(interpreter.layout, thread, state)
            }
            _ => thread.region.get(),
        };
        if region != self.regions.marked
            && let Some(writer) = self.output.writer(0)
            && writer.region(region).is_ok()
        {
            self.regions.marked = region;
        }
    }
}
