//! What each thread has: a countdown to its next sample, and the guard that keeps the agent out of itself.

use core::cell::Cell;

use crate::arch;

/// The thread's block in static thread-local storage, all zero when the thread begins.
#[repr(C, align(64))]
pub struct Thread {
    /// Bytes that may still be allocated before the slow path looks at an allocation; below 0 it always does.
    pub countdown: Cell<i64>,
    /// Where the thread is: see the constants below.
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
    /// The region that the thread is in, in the context of this version.
    pub region: Cell<u32>,
    /// The version of that context.
    pub region_version: Cell<u64>,
}

/// In the program.
const PROGRAM: u32 = 0;
/// In an allocator that was called through a wrapper of ours: what it allocates underneath is not recorded, but
/// blocks of others that it frees are (tracemalloc frees entries of its tables in there).
const ALLOCATOR: u32 = 1;
/// In the agent: nothing is recorded.
const AGENT: u32 = 2;

const _: () = assert!(size_of::<Thread>() <= arch::THREAD_BLOCK_BYTES);

impl Thread {
    /// The calling thread's block.
    #[inline(always)]
    pub fn current() -> &'static Thread {
        // SAFETY: the block is zero-initialised, large enough (asserted above), aligned, and lives as long as the
        // thread; `Thread` is not `Sync`, and every reference stays in the thread that asked.
        unsafe { &*arch::thread_block().cast::<Thread>() }
    }

    /// The block of a thread that the test makes up.
    #[cfg(test)]
    pub fn another() -> &'static Thread {
        // SAFETY: numbers and truth values only: zero bytes are a value, as in the block of a new thread.
        Box::leak(Box::new(unsafe { core::mem::zeroed() }))
    }

    /// Whether the thread is in the agent already, or in an allocator called through it.
    #[inline(always)]
    pub fn is_inside(&self) -> bool {
        self.inside.get() != PROGRAM
    }

    /// Enters an allocator; `None` if the thread is in one already, or in the agent.
    #[inline(always)]
    pub fn enter_allocator(&'static self) -> Option<InAllocator> {
        if self.is_inside() {
            return None;
        }
        self.inside.set(ALLOCATOR);
        Some(InAllocator { thread: self })
    }

    /// Enters the agent; `None` if the thread is there already (a signal handler interrupted it, or it called an
    /// allocator).
    #[inline(always)]
    pub fn enter(&'static self) -> Option<InHook> {
        let previous = self.inside.get();
        if previous == AGENT {
            return None;
        }
        self.inside.set(AGENT);
        Some(InHook { thread: self, previous })
    }
}

/// The thread is in an allocator that was called through a wrapper of ours, until this is dropped.
pub struct InAllocator {
    thread: &'static Thread,
}

impl Drop for InAllocator {
    #[inline(always)]
    fn drop(&mut self) {
        self.thread.inside.set(PROGRAM);
    }
}

/// Proof that the calling thread entered the agent: what the thread allocates now is not recorded. Functions that
/// may only run there take a reference to it.
pub struct InHook {
    thread: &'static Thread,
    previous: u32,
}

impl InHook {
    /// The thread that is inside.
    #[cfg(test)]
    #[inline(always)]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// Stays inside beyond this value's life; ended by [`InHook::resume`].
    pub fn keep(self) {
        core::mem::forget(self);
    }

    /// Takes up what [`InHook::keep`] has left off.
    ///
    /// # Safety
    /// The calling thread, or in a child the thread that it is a copy of, has kept its value, and has not resumed it yet.
    pub unsafe fn resume() -> InHook {
        InHook {
            thread: Thread::current(),
            previous: PROGRAM,
        }
    }
}

impl Drop for InHook {
    #[inline(always)]
    fn drop(&mut self) {
        self.thread.inside.set(self.previous);
    }
}
