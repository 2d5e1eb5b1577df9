//! Atomics, and waiting for them, for [`crate::lock`] and [`crate::filter`]. `models.rs` compiles both files and their tests a second
//! time, with loom's atomics in place of this module.

pub use core::hint::spin_loop;
pub use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

pub use crate::os::{futex_wait, futex_wake, sleep_millisecond};

/// The attempts of a thread to take a lock that is held, before it sleeps.
pub const SPINS: core::ops::Range<u32> = 0..100;

/// For tests: with real threads here, and in `models.rs` with threads whose every interleaving is tried.
#[cfg(test)]
pub mod testing {
    pub use std::thread::spawn;

    /// Runs a test in which threads may interleave differently each time.
    pub fn explore(test: impl Fn()) {
        for _ in 0..if cfg!(miri) { 10 } else { 500 } {
            test();
        }
    }

    /// A value that only one thread at a time may change; the model's fails if two do.
    #[derive(Default)]
    pub struct Guarded(u32);

    impl Guarded {
        pub fn increase(&mut self) -> u32 {
            self.0 += 1;
            self.0
        }
    }
}
