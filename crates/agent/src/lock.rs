//! The agent's only lock: a futex, because threads that spin would use up processor time during a fork.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::sync::{AtomicU32, Ordering, SPINS, futex_wait, futex_wake, sleep_millisecond, spin_loop};
use super::thread::InHook;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// A value behind the agent's lock. Only a thread that is inside the agent may take it, so a signal handler that allocates
/// while its thread holds the lock goes unrecorded instead of waiting for itself.
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only accessible through a `Held`, of which there is one at a time. So it passes from thread to thread,
// which `T: Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Proof that this thread holds the lock. Neither it nor a reference to it can go to another thread.
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
    of_this_thread: PhantomData<*mut T>,
}

impl<T> Lock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Lock<T> {
        Lock {
            word: AtomicU32::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, and waits for it if necessary.
    #[inline]
    pub fn hold(&self, _inside: &InHook) -> Held<'_, T> {
        if self
            .word
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.wait();
        }
        self.held()
    }

    /// Proof of the lock that this thread has just taken.
    #[inline(always)]
    fn held(&self) -> Held<'_, T> {
        Held {
            lock: self,
            of_this_thread: PhantomData,
        }
    }

    #[cold]
    fn wait(&self) {
        for _ in SPINS {
            spin_loop();
            if self
                .word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
        }
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex_wait(&self.word, CONTENDED);
        }
    }

    /// Takes the lock if it becomes free within `turns` milliseconds. For the end of a process, where the thread that holds
    /// it may never run again.
    pub fn hold_soon(&self, _inside: &InHook, turns: u32) -> Option<Held<'_, T>> {
        for _ in 0..turns {
            if self
                .word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return Some(self.held());
            }
            sleep_millisecond();
        }
        None
    }

    /// Releases the lock that this thread took before a fork.
    ///
    /// # Safety
    /// This thread, or in a child the thread that it is a copy of, has taken the lock and passed its [`Held`] to `forget`.
    pub unsafe fn release_after_fork(&self) {
        drop(self.held());
    }

    /// Releases the lock, whoever holds it.
    ///
    /// # Safety
    /// This process is the child of a fork; none of its own threads holds the lock or waits for it, and none tries to take it
    /// before this function returns.
    pub unsafe fn reset_in_child(&self) {
        self.word.store(FREE, Ordering::Release);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: there is one `Held` at a time, and this one is borrowed.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is one `Held` at a time, and this one is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.word.swap(FREE, Ordering::Release) == CONTENDED {
            futex_wake(&self.lock.word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sync::testing::{Guarded, explore, spawn};
    use super::super::thread::Thread;
    use super::*;
    use std::sync::Arc;

    fn guarded() -> Arc<Lock<Guarded>> {
        let lock = Arc::new(Lock::new(Guarded::default()));
        drop(lock.hold(&Thread::another().enter().unwrap()));
        lock
    }

    #[test]
    fn one_thread_at_a_time_has_the_value() {
        explore(|| {
            let lock = guarded();
            let others = [(); 2].map(|()| {
                let lock = Arc::clone(&lock);
                spawn(move || lock.hold(&Thread::another().enter().unwrap()).increase())
            });
            let mut seen = others.map(|other| other.join().unwrap());
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
            assert_eq!(lock.hold(&Thread::another().enter().unwrap()).increase(), 3);
        });
    }

    #[test]
    fn a_lock_kept_over_a_fork_comes_free_again() {
        explore(|| {
            let lock = guarded();
            core::mem::forget(lock.hold(&Thread::another().enter().unwrap()));
            let other = {
                let lock = Arc::clone(&lock);
                spawn(move || lock.hold(&Thread::another().enter().unwrap()).increase())
            };
            // SAFETY: this thread has taken the lock and forgotten its `Held`.
            unsafe { lock.release_after_fork() };
            assert_eq!(other.join().unwrap(), 1);
        });
    }

    #[test]
    fn nobody_waits_long_at_the_end() {
        explore(|| {
            let lock = guarded();
            let held = lock.hold(&Thread::another().enter().unwrap());
            let other = {
                let lock = Arc::clone(&lock);
                spawn(move || {
                    let inside = Thread::another().enter().unwrap();
                    lock.hold_soon(&inside, 1).map(|mut held| held.increase())
                })
            };
            drop(held);
            assert!(matches!(other.join().unwrap(), None | Some(1)));
        });
    }

    #[test]
    fn a_forked_child_frees_what_its_parent_held() {
        explore(|| {
            let lock = guarded();
            core::mem::forget(lock.hold(&Thread::another().enter().unwrap()));
            // SAFETY: no thread has a `Held` or waits for the lock, and the other thread is not started yet.
            unsafe { lock.reset_in_child() };
            let other = {
                let lock = Arc::clone(&lock);
                spawn(move || lock.hold(&Thread::another().enter().unwrap()).increase())
            };
            let own = lock.hold(&Thread::another().enter().unwrap()).increase();
            assert_eq!(own + other.join().unwrap(), 3);
        });
    }
}
