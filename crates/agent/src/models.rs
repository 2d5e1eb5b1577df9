//! The lock and the filter under loom, which tries every interleaving of threads that the memory model allows. Both files are
//! compiled a second time, with their tests, over loom's atomics:
//!
//! ```text
//! cargo test -p deadweight-agent --lib models
//! ```

use crate::{memory, thread};

/// [`crate::sync`] over loom.
mod sync {
    use core::ptr::null_mut;
    use core::sync::atomic::AtomicPtr as RealPtr;

    pub use core::sync::atomic::Ordering;
    pub use loom::hint::spin_loop;
    use loom::sync::{Condvar, Mutex, atomic};

    /// None: a loom thread that spins lets all others run first, and would never get to sleep.
    pub const SPINS: core::ops::Range<u32> = 0..0;

    /// A loom object that is made when it is first used, so that constants and zeroed memory can hold it.
    struct Late<T>(RealPtr<T>);

    impl<T> Late<T> {
        fn get(&self, make: impl FnOnce() -> T) -> &T {
            let made = self.0.load(Ordering::Relaxed);
            let made = if made.is_null() {
                let made = Box::leak(Box::new(make()));
                self.0.store(made, Ordering::Relaxed);
                made
            } else {
                made
            };
            // SAFETY: `made` was leaked above, once: loom runs all its threads on one thread of the system.
            unsafe { &*made }
        }
    }

    macro_rules! atomics {
        ($($name:ident $(<$parameter:ident>)? as $loom:ident of $value:ty;)*) => {
            $(
                pub struct $name $(<$parameter>)? {
                    begin: $value,
                    late: Late<atomic::$loom $(<$parameter>)?>,
                }

                impl $(<$parameter>)? $name $(<$parameter>)? {
                    pub const fn new(begin: $value) -> Self {
                        $name { begin, late: Late(RealPtr::new(null_mut())) }
                    }

                    fn modelled(&self) -> &atomic::$loom $(<$parameter>)? {
                        self.late.get(|| atomic::$loom::new(self.begin))
                    }

                    pub fn load(&self, order: Ordering) -> $value {
                        self.modelled().load(order)
                    }

                    pub fn store(&self, value: $value, order: Ordering) {
                        self.modelled().store(value, order);
                    }

                    pub fn swap(&self, value: $value, order: Ordering) -> $value {
                        self.modelled().swap(value, order)
                    }

                    pub fn compare_exchange(
                        &self, from: $value, to: $value, done: Ordering, failed: Ordering,
                    ) -> Result<$value, $value> {
                        self.modelled().compare_exchange(from, to, done, failed)
                    }
                }
            )*
        };
    }

    atomics! {
        AtomicU8 as AtomicU8 of u8;
        Word as AtomicU32 of u32;
        AtomicPtr<T> as AtomicPtr of *mut T;
    }

    // SAFETY: all access is through loom's atomic, which is `Sync`.
    unsafe impl<T> Sync for AtomicPtr<T> {}
    // SAFETY: as above, and `Send`.
    unsafe impl<T> Send for AtomicPtr<T> {}

    type Queue = (Mutex<()>, Condvar);

    /// A word, with a model of the kernel's queue of threads that wait for it.
    pub struct AtomicU32 {
        word: Word,
        queue: Late<Queue>,
    }

    impl core::ops::Deref for AtomicU32 {
        type Target = Word;
        fn deref(&self) -> &Word {
            self.queue();
            &self.word
        }
    }

    impl AtomicU32 {
        pub const fn new(begin: u32) -> AtomicU32 {
            AtomicU32 {
                word: Word::new(begin),
                queue: Late(RealPtr::new(null_mut())),
            }
        }

        fn queue(&self) -> &Queue {
            self.queue.get(Default::default)
        }
    }

    /// As in the kernel, the lock of the queue is held from the comparison until the thread sleeps.
    pub fn futex_wait(word: &AtomicU32, value: u32) {
        let (lock, sleepers) = word.queue();
        let held = lock.lock().unwrap();
        if word.load(Ordering::SeqCst) == value {
            drop(sleepers.wait(held).unwrap());
        }
    }

    pub fn futex_wake(word: &AtomicU32) {
        let (lock, sleepers) = word.queue();
        let held = lock.lock().unwrap();
        sleepers.notify_one();
        drop(held);
    }

    pub fn sleep_millisecond() {
        loom::thread::yield_now();
    }

    pub mod testing {
        pub use loom::thread::spawn;

        pub fn explore(test: impl Fn() + Sync + Send + 'static) {
            loom::model(test);
        }

        #[derive(Default)]
        pub struct Guarded(loom::cell::UnsafeCell<u32>);

        impl Guarded {
            pub fn increase(&mut self) -> u32 {
                self.0.with_mut(|value| {
                    // SAFETY: loom fails the test if another thread has access at the same time.
                    let value = unsafe { &mut *value };
                    *value += 1;
                    *value
                })
            }
        }
    }
}

#[path = "."]
mod modelled {
    use super::{memory, sync, thread};

    #[path = "filter.rs"]
    mod filter;
    #[path = "lock.rs"]
    mod lock;
}
