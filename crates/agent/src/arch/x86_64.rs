//! x86-64 Linux.

use core::arch::{asm, global_asm};

/// Size of the zero-initialised block that each thread has.
pub const THREAD_BLOCK_BYTES: usize = 64;

// The block lives in static thread-local storage (initial-exec model), so that its address costs one load and no
// call. A preloaded library may use that model: it is there when the first thread is made.
global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 6",
    ".globl deadweight_thread_block",
    ".hidden deadweight_thread_block",
    ".type deadweight_thread_block,@object",
    ".size deadweight_thread_block,64",
    "deadweight_thread_block:",
    ".zero 64",
    ".popsection",
);

/// The calling thread's block: 64 bytes, aligned to 64, zero when the thread begins.
#[inline(always)]
pub fn thread_block() -> *mut u8 {
    let block: *mut u8;
    // SAFETY: fs:[0] is the thread pointer by the x86-64 ABI, and the symbol is the one defined above; nothing is
    // written. The address is the same during the whole life of a thread, hence `pure`.
    unsafe {
        asm!(
            "mov {block}, qword ptr fs:[0]",
            "add {block}, qword ptr [rip + deadweight_thread_block@GOTTPOFF]",
            block = out(reg) block,
            options(pure, nomem, nostack),
        );
    }
    block
}

/// A system call that leaves `errno` alone. Returns the kernel's value: from -4095 to -1 it is an error number.
///
/// # Safety
/// The arguments must be right for the call, as the kernel defines it.
#[inline]
pub unsafe fn syscall(number: libc::c_long, arguments: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller vouches for number and arguments; the clobbers are those of the kernel's ABI.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Ticks of the processor's clock, which costs less to read than the kernel's: only to tell whether that is due.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Ticks after which it is worth asking the kernel for the time: between 0.1 and 0.5 ms at 1 to 5 GHz.
pub const CLOCK_TICKS: u64 = 500_000;
