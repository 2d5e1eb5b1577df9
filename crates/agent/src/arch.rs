//! What depends on the processor: the thread block's address, system calls, a pause in a spin.

#[cfg(target_arch = "x86_64")]
#[path = "arch/x86_64.rs"]
mod imp;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("deadweight's agent supports x86-64 only: add a file beside arch/x86_64.rs");

pub use imp::{CLOCK_TICKS, THREAD_BLOCK_BYTES, guarded_call, resume_after_fault, syscall, thread_block, ticks};
