//! Requests: a snapshot is asked of Python's main thread, and may be taken elsewhere if that does not come to it.

use deadweight_capture::Cause;

use super::{LOOK_TICKS, Snapshots};
use crate::arch;

/// Ticks after which a snapshot that the main thread was asked for is overdue, if that thread itself comes to an allocation: about
/// 0.2 s. It is in the midst of a C function, whose references look lost.
const OVERDUE_TICKS: u64 = 600_000_000;
/// And in another thread: about 0.05 s, ten turns of threads that compete for the GIL.
const OVERDUE_ELSEWHERE_TICKS: u64 = 150_000_000;
/// But about 10 ms if the main thread had nothing recorded for those 0.05 s before: it waits for something.
const OVERDUE_WITHOUT_MAIN_TICKS: u64 = 30_000_000;

impl Snapshots {
    /// Whether a snapshot that somebody asked for may be asked of the main thread now. Cheap if asked often.
    #[cold]
    pub fn may_ask(&mut self) -> bool {
        let ticks = arch::ticks();
        if self.asked.is_some() || ticks.wrapping_sub(self.last_look) < LOOK_TICKS {
            return false;
        }
        self.last_look = ticks;
        self.is_idle()
    }

    /// Whether the main thread was given a pending call that it has not made yet: another one would wait behind it,
    /// and there is room for few.
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Notes why a snapshot was asked of the main thread; `None` if Python has no room for the pending call. If it has not
    /// made the last one yet, other threads need not wait for it: it waits for them.
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

    /// The pending call is being made: why a snapshot was asked for, if none was taken meanwhile.
    pub fn take_asked(&mut self) -> Option<Cause> {
        self.is_queued = false;
        self.asked.take().map(|(cause, _)| cause)
    }

    /// The same at an allocation when the main thread has not come to it: it waits for a lock, or native code keeps it busy. `is_main`
    /// tells whether that thread itself allocates.
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
