//! Per-thread state: the countdown to the next sample, and the guard that keeps the agent from calling itself.

use core::cell::Cell;

use crate::arch;

/// The thread's block in static thread-local storage, all zero when the thread begins.
#[repr(C, align(64))]
pub struct Thread {
    /// Bytes that may still be allocated before the slow path runs; below 0 it runs at every allocation.
    pub countdown: Cell<i64>,
    /// Where the thread is: one of the constants below.
    inside: Cell<u32>,
    /// Whether the block was set up for recording.
    pub ready: Cell<bool>,
    /// Whether the countdown ends at a sample point, and not just after a longest step.
    pub ends_at_sample: Cell<bool>,
    /// Whether this is the process's main thread.
    pub is_main: Cell<bool>,
    /// State of the random numbers.
    pub random: Cell<u64>,
    /// For a thread without Python state: the id of its stack.
    pub native_stack: Cell<u32>,
    /// The recording to which `native_stack` belongs: a forked child has another one.
    pub native_epoch: Cell<u32>,
    /// Uses of `native_stack` since the thread's name was last read.
    pub native_age: Cell<u32>,
    /// The region that the thread is in, in the context with the version below.
    pub region: Cell<u32>,
    /// The version of that context.
    pub region_version: Cell<u64>,
}

/// In the program.
const PROGRAM: u32 = 0;
/// In an allocator that was called through a wrapper. What it allocates from the allocator below is not recorded, but other
/// blocks that it frees are (tracemalloc frees entries of its tables there).
const ALLOCATOR: u32 = 1;
/// In the agent: nothing is recorded.
const AGENT: u32 = 2;

const _: () = assert!(size_of::<Thread>() <= arch::THREAD_BLOCK_BYTES);

impl Thread {
    /// The calling thread's block.
    #[inline(always)]
    pub fn current() -> &'static Thread {
        // SAFETY: `thread_block` is zero-initialised, aligned to 64, large enough (asserted above), and lives as long as the thread.
        // `Thread` is not `Sync`, so the reference stays in this thread.
        unsafe { &*arch::thread_block().cast::<Thread>() }
    }

    /// A block for a simulated thread.
    #[cfg(test)]
    pub fn another() -> &'static Thread {
        // SAFETY: all fields are numbers and `bool`s, for which zero bytes are valid.
        Box::leak(Box::new(unsafe { core::mem::zeroed() }))
    }

    /// Whether the thread is in the agent, or in an allocator that was called through a wrapper.
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

/// The thread is in an allocator that was called through a wrapper, until this value is dropped.
pub struct InAllocator {
    thread: &'static Thread,
}

impl Drop for InAllocator {
    #[inline(always)]
    fn drop(&mut self) {
        self.thread.inside.set(PROGRAM);
    }
}

/// Proof that the calling thread has entered the agent: what it allocates now is not recorded. Functions that may only run in the
/// agent take a reference to it.
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

    /// Stays in the agent until [`InHook::resume`].
    pub fn keep(self) {
        core::mem::forget(self);
    }

    /// Restores the value that was given up by [`InHook::keep`].
    ///
    /// # Safety
    /// The calling thread, or in a child the thread that it is a copy of, has called `keep`, and not `resume` since.
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
