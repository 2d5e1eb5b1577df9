//! What [`crate::lock`] and [`crate::filter`] are made of: atomics, and waiting. `models.rs` compiles both files, and
//! their tests, once more with loom's in the place of this module.

pub use core::hint::spin_loop;
pub use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

pub use crate::os::{futex_wait, futex_wake, sleep_millisecond};

/// How often a thread looks at a lock that is held before it sleeps.
pub const SPINS: core::ops::Range<u32> = 0..100;

/// What tests are made of that run with real threads here, and in every order of events in a model.
#[cfg(test)]
pub mod testing {
    pub use std::thread::spawn;

    /// Runs a test that may come out in another way each time.
    pub fn explore(test: impl Fn()) {
        for _ in 0..if cfg!(miri) { 10 } else { 500 } {
            test();
        }
    }

    /// A value that only one thread at a time may change; loom's fails if two do.
    #[derive(Default)]
    pub struct Guarded(u32);

    impl Guarded {
        pub fn increase(&mut self) -> u32 {
            self.0 += 1;
            self.0
        }
    }
}
