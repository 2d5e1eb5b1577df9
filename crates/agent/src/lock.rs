//! The one lock of the agent: a futex, because a spinning thread would steal the processor during a fork.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::os;
use crate::thread::InHook;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// A value behind the agent's lock. Only a thread that is inside the agent may take it, so a signal handler that
/// allocates while its thread holds the lock passes through unrecorded instead of waiting for itself.
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached through `Held`, which exists once at a time.
unsafe impl<T> Sync for Lock<T> {}

/// The lock, held.
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Lock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Lock<T> {
        Lock {
            word: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, waiting for it if need be.
    #[inline]
    pub fn hold(&self, _inside: &InHook) -> Held<'_, T> {
        if self
            .word
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.wait();
        }
        Held { lock: self }
    }

    #[cold]
    fn wait(&self) {
        for _ in 0..100 {
            core::hint::spin_loop();
            if self
                .word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
        }
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            os::futex_wait(&self.word, CONTENDED);
        }
    }

    /// Takes the lock if it comes free within about a millisecond a turn. For the end of a process, where a thread
    /// that holds it may never run again.
    pub fn hold_soon(&self, _inside: &InHook, turns: u32) -> Option<Held<'_, T>> {
        for _ in 0..turns {
            if self
                .word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return Some(Held { lock: self });
            }
            os::sleep_millisecond();
        }
        None
    }

    /// Frees the lock that this thread took before a fork and let go of without dropping it.
    pub fn release_after_fork(&self) {
        drop(Held { lock: self });
    }

    /// Frees the lock whoever held it. Only for the child of a fork, where the holder does not exist.
    pub fn reset_in_child(&self) {
        self.word.store(FREE, Ordering::Release);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so there is no other reference.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, so there is no other reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.word.swap(FREE, Ordering::Release) == CONTENDED {
            os::futex_wake(&self.lock.word);
        }
    }
}
