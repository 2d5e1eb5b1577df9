//! The library that deadweight preloads into the recorded program.
//!
//! It sees every block that the program allocates ([`exports`]: the C library's allocator and mappings; [`pymem`]:
//! Python's small objects), finds the Python stack by walking CPython's own frames ([`python`], [`stacks`]), and
//! writes events into memory-mapped segment files ([`output`]).
//!
//! # Rules
//! - **The program must not notice.** No error leaves the agent: it stops recording and the program lives. It
//!   prints nothing: file descriptor 2 may be anything by now. Why it stopped is in the last segment's header.
//! - **No std.** There is no allocator, no lock of std, no thread-local with a destructor to call by mistake: the
//!   agent runs inside `malloc`. Its own memory comes from `mmap` ([`memory`], [`os`]).
//! - **Only [`thread::InHook`] may touch the recorder.** It proves that this thread's further allocations are not
//!   recorded, so nothing here can call itself; a signal handler that interrupts the agent passes through.
//! - **One lock** ([`lock`]), held for less than a microsecond except at a new segment, and never around a call
//!   that could wait for another thread.
//! - **`errno` is the program's**: system calls are made directly ([`arch`]).
//! - **A forked child** begins its own recording at its first event, in its own files.
//! - **Nothing here panics**: a panic would abort the process. That is why slices are accessed with `get`.
//!
//! # Where to start reading
//! [`recorder`]: the way from a hook to an event.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(dead_code))]
#![allow(rustdoc::private_intra_doc_links, reason = "who reads this reads the code")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod arch;
mod at_exit;
pub mod called;
mod catalogue;
mod config;
pub mod exports;
mod filter;
mod list;
mod live_block;
mod lock;
mod memory;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same files over other atomics")]
mod models;
mod os;
mod output;
mod path;
mod pymem;
mod python;
mod real;
mod recorder;
mod regions;
mod sampler;
mod segment;
mod snapshot;
mod stacks;
mod sync;
mod table;
mod thread;

#[cfg(not(test))]
mod life {
    //! The library's beginning and end in a process.

    /// Runs when the dynamic linker has loaded the program, before `main` and before any thread.
    extern "C" fn constructor() {
        crate::real::look_all_up();
        crate::recorder::start(&crate::pymem::WRAPPERS);
    }

    /// Runs at an orderly end, after `main` and its exit handlers.
    extern "C" fn destructor() {
        crate::recorder::finish();
    }

    // SAFETY: the dynamic linker calls the functions whose pointers are in this section, and `constructor` ignores the
    // arguments that it passes.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: extern "C" fn() = constructor;

    // SAFETY: the dynamic linker calls the functions in this section, without arguments.
    #[used]
    #[unsafe(link_section = ".fini_array")]
    static DESTRUCTOR: extern "C" fn() = destructor;

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: `abort` may always be called.
        unsafe { libc::abort() }
    }
}
