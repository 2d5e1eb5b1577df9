//! What each thread has: a countdown to its next sample, and the guard that keeps the agent out of itself.

use core::cell::Cell;

use crate::arch;

/// The thread's block in static thread-local storage, all zero when the thread begins.
#[repr(C, align(64))]
pub struct Thread {
    /// Bytes that may still be allocated before the slow path looks at an allocation; below 0 it always does.
    pub countdown: Cell<i64>,
    /// Above 0 while this thread is in the agent, or in an allocator that was called through it: nothing is
    /// recorded then.
    inside: Cell<u32>,
    /// Whether the block was set up for recording.
    pub ready: Cell<bool>,
    /// Whether the countdown ends at a sample (and not just at its longest step).
    pub ends_at_sample: Cell<bool>,
    /// Whether this is the thread that the process began with.
    pub is_main: Cell<bool>,
    /// State of the random numbers.
    pub random: Cell<u64>,
    /// Stack of a thread without Python state: its id, for the recording with this number.
    pub native_stack: Cell<u32>,
    /// Number of the recording that `native_stack` belongs to; it changes in a forked child.
    pub native_epoch: Cell<u32>,
    /// Uses of `native_stack` since the thread's name was last read.
    pub native_age: Cell<u32>,
}

const _: () = assert!(size_of::<Thread>() <= arch::THREAD_BLOCK_BYTES);

impl Thread {
    /// The calling thread's block.
    #[inline(always)]
    pub fn current() -> &'static Thread {
        // SAFETY: the block is zero-initialised, large enough (asserted above), aligned, and lives as long as the
        // thread; `Thread` is not `Sync`, and every reference stays in the thread that asked.
        unsafe { &*arch::thread_block().cast::<Thread>() }
    }

    /// Whether the thread is in the agent already, or in an allocator called through it.
    #[inline(always)]
    pub fn is_inside(&self) -> bool {
        self.inside.get() != 0
    }

    /// Enters the agent; `None` if the thread is inside already (a signal handler, or an allocator that calls
    /// another one).
    #[inline(always)]
    pub fn enter(&'static self) -> Option<InHook> {
        if self.is_inside() {
            return None;
        }
        self.inside.set(1);
        Some(InHook { thread: self })
    }
}

/// Proof that the calling thread entered the agent: what the thread allocates now is not recorded. Functions that
/// may only run there take a reference to it.
pub struct InHook {
    thread: &'static Thread,
}

impl InHook {
    /// The thread that is inside.
    #[inline(always)]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// Stays inside beyond this value's life; ended by [`InHook::resume`].
    pub fn keep(self) {
        core::mem::forget(self);
    }

    /// Takes up what [`InHook::keep`] left; the thread must be inside.
    pub fn resume() -> InHook {
        InHook {
            thread: Thread::current(),
        }
    }
}

impl Drop for InHook {
    #[inline(always)]
    fn drop(&mut self) {
        self.thread.inside.set(0);
    }
}
