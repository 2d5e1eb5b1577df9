//! Requests for snapshots: Python's main thread is asked to take one, and another thread takes it if the main thread does not
//! get to it.

use deadweight_capture::Cause;

use super::{LOOK_TICKS, Snapshots};
use crate::arch;

/// A requested snapshot is taken at an allocation in the main thread after this many ticks: about 0.2 s. That late, because
/// the thread is in the middle of a C function, and the references that such a function holds cannot be seen.
const OVERDUE_TICKS: u64 = 600_000_000;
/// At an allocation in another thread, after about 0.05 s: ten switch intervals of threads that compete for the GIL;
const OVERDUE_ELSEWHERE_TICKS: u64 = 150_000_000;
/// after about 10 ms if the main thread had recorded nothing for 0.05 s before the request: it is blocked.
const OVERDUE_WITHOUT_MAIN_TICKS: u64 = 30_000_000;

impl Snapshots {
    /// Whether the main thread may be asked now for a snapshot that the user has requested. Cheap to call often.
    #[cold]
    pub fn may_ask(&mut self) -> bool {
        let ticks = arch::ticks();
        if self.asked.is_some() || ticks.wrapping_sub(self.last_look) < LOOK_TICKS {
            return false;
        }
        self.last_look = ticks;
        self.is_idle()
    }

    /// Whether a pending call is still in Python's queue: another one would wait behind it, and the queue is short.
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Notes for which reason the main thread was asked for a snapshot; `None` if Python's queue was full. If the last pending call
    /// is still in the queue, other threads need not give the main thread more time: it is waiting for them.
    pub fn set_asked(&mut self, asked: Option<Cause>) {
        let now = arch::ticks();
        let since = if self.is_queued {
            now.wrapping_sub(OVERDUE_ELSEWHERE_TICKS)
        } else {
            now
        };
        self.asked = asked.map(|cause| (cause, since));
        self.is_queued = asked.is_some();
    }

    /// Called by the pending call: for which reason a snapshot was requested, if it has not been taken meanwhile.
    pub fn take_asked(&mut self) -> Option<Cause> {
        self.is_queued = false;
        self.asked.take().map(|(cause, _)| cause)
    }

    /// Called at an allocation: the reason for a request that is overdue, because the main thread is blocked or busy in native
    /// code. `is_main`: the allocating thread is the main thread itself.
    #[inline]
    pub fn take_overdue(&mut self, is_main: bool) -> Option<Cause> {
        if is_main {
            self.main_was_here = self.last_look;
        }
        let (_, since) = self.asked?;
        let patience = if is_main {
            OVERDUE_TICKS
        } else if since.wrapping_sub(self.main_was_here) > OVERDUE_ELSEWHERE_TICKS {
            OVERDUE_WITHOUT_MAIN_TICKS
        } else {
            OVERDUE_ELSEWHERE_TICKS
        };
        if arch::ticks().wrapping_sub(since) < patience {
            return None;
        }
        self.asked.take().map(|(cause, _)| cause)
    }
}
