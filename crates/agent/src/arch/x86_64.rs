//! x86-64 Linux.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicUsize, Ordering};

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
/// The arguments are valid for the call, as the kernel defines it.
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

/// The processor's clock, in ticks. It is cheaper to read than the kernel's, and only tells whether that is worth reading.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Ticks after which it is worth asking the kernel for the time: 0.1 ms at 5 GHz, 0.5 ms at 1 GHz.
pub const CLOCK_TICKS: u64 = 500_000;

// deadweight_guarded_call(function, a, b, c, place): stores the stack pointer in *place and calls function(a, b, c). Returns the
// function's result. If the function faults, the signal handler goes on at `deadweight_guarded_fault` with the stack pointer
// from *place, and the call returns -1. Calls may be nested: the inner one restores the outer one's *place. The callee-saved
// registers are on the stack and are restored in both cases.
global_asm!(
    ".pushsection .text.deadweight_guarded_call,\"ax\",@progbits",
    ".p2align 4",
    ".globl deadweight_guarded_call",
    ".hidden deadweight_guarded_call",
    ".type deadweight_guarded_call,@function",
    "deadweight_guarded_call:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push r8",
    "push qword ptr [r8]",
    "push rax",
    "mov qword ptr [r8], rsp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "call rax",
    "cdqe",
    "2:",
    "pop rcx",
    "pop rcx",
    "pop r8",
    "mov qword ptr [r8], rcx",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".globl deadweight_guarded_fault",
    ".hidden deadweight_guarded_fault",
    "deadweight_guarded_fault:",
    "mov rax, -1",
    "jmp 2b",
    ".size deadweight_guarded_call, . - deadweight_guarded_call",
    ".popsection",
);

unsafe extern "C" {
    fn deadweight_guarded_call(function: usize, a: usize, b: usize, c: usize, place: *mut usize) -> isize;
    fn deadweight_guarded_fault();
}

/// The stack pointer with which to go on after a fault; 0 if no guarded call is running. Only the snapshot child uses it, which
/// has one thread.
static GUARD: AtomicUsize = AtomicUsize::new(0);

/// Calls `function(a, b, c)`; `None` if it faulted and [`resume_after_fault`] ended the call.
///
/// # Safety
/// `function` is a C function with up to three integer or pointer parameters, for which the arguments are valid. The caller
/// copes with what the function leaves half done at a fault. Only one thread calls this at a time.
pub unsafe fn guarded_call(function: usize, a: usize, b: usize, c: usize) -> Option<i32> {
    // SAFETY: the caller vouches for the function and its arguments; the assembly follows the C calling convention.
    let result = unsafe { deadweight_guarded_call(function, a, b, c, GUARD.as_ptr()) };
    (result != -1).then_some(result as i32)
}

/// In a handler of SIGSEGV or SIGBUS: makes the interrupted guarded call return. Returns false if none is running.
///
/// # Safety
/// `context` is the third argument of the signal handler.
pub unsafe fn resume_after_fault(context: *mut core::ffi::c_void) -> bool {
    let stack = GUARD.load(Ordering::Relaxed);
    if stack == 0 {
        return false;
    }
    // SAFETY: the kernel passes a `ucontext_t` as the handler's third argument, which is the handler's to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    if let Some(place) = registers.get_mut(libc::REG_RSP as usize) {
        *place = stack as i64;
    }
    if let Some(place) = registers.get_mut(libc::REG_RIP as usize) {
        *place = deadweight_guarded_fault as *const () as i64;
    }
    true
}
