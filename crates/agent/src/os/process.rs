//! Processes: forking a child that nobody waits for, and what the kernel reports about it and the program.

use super::{Errno, check, close, exit_group, open_to_read, read_file, usage_of_self};
use crate::arch::{self, syscall};
use crate::path::Path;

/// In which of the two processes [`clone_silently`] has returned.
pub enum Cloned {
    /// The child.
    Child,
    /// The program; with the child's process id.
    Parent(u32),
}

/// Forks the process, but runs no fork handlers; the child's end sends no signal, and `wait` does not see it (without `__WCLONE`).
///
/// # Safety
/// The child only makes system calls and reads memory: locks that other threads held stay locked for ever in it.
pub unsafe fn clone_silently() -> Result<Cloned, Errno> {
    // No signal handler of the program's may run in the child; `become_expendable` sets up its own signal handling.
    let signals = block_signals(u64::MAX);
    // SAFETY: without flags the child shares no memory, and goes on here with a copy of this stack.
    let cloned = check(unsafe { syscall(libc::SYS_clone, [0; 6]) });
    if cloned == Ok(0) {
        // The signals stay blocked until `become_expendable`.
        return Ok(Cloned::Child);
    }
    block_signals(signals);
    cloned.map(|pid| Cloned::Parent(pid as u32))
}

/// Sets this thread's mask of blocked signals; returns the previous one.
fn block_signals(mask: u64) -> u64 {
    let mut before = 0u64;
    let (new, old) = (&raw const mask as usize, &raw mut before as usize);
    // SAFETY: both masks are local variables of 8 bytes, the kernel's size.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            [libc::SIG_SETMASK as usize, new, old, 8, 0, 0],
        )
    };
    before
}

/// Whether a child of [`clone_silently`] has ended; if so, it is reaped.
pub fn has_ended(child: u32) -> bool {
    let options = (libc::WNOHANG | libc::__WCLONE) as usize;
    // SAFETY: null for both status and usage: neither is wanted.
    let result = unsafe { syscall(libc::SYS_wait4, [child as usize, 0, options, 0, 0, 0]) };
    check(result) != Ok(0)
}

/// The fields of `/proc/PID/stat` from the state on; none if there is no such process.
fn stat_fields(pid: u32, text: &mut [u8; 512]) -> impl Iterator<Item = &[u8]> {
    let length = read_file(of_process(pid, b"/stat").with_nul(), text);
    let text = text.get(..length).unwrap_or_default();
    // The name before them may contain anything, including blanks and brackets.
    let name_end = text.iter().rposition(|&byte| byte == b')');
    let fields = name_end.and_then(|end| text.get(end + 2..)).unwrap_or_default();
    fields.split(|&byte| byte == b' ').filter(|field| !field.is_empty())
}

fn of_process(pid: u32, file: &[u8]) -> Path {
    let mut path = Path::EMPTY;
    path.push(b"/proc/");
    path.push_number(pid, 0);
    path.push(file);
    path
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// The bytes of a line such as `VmHWM:      1234 kB`; 0 if there is none.
fn kib_line(text: &[u8], name: &[u8]) -> u64 {
    let line = text
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(name)?.strip_suffix(b"kB"));
    line.and_then(number).unwrap_or(0).saturating_mul(1024)
}

/// Minor page faults of another process: new pages, and copies of shared ones.
pub fn minor_faults(pid: u32) -> u64 {
    let mut text = [0; 512];
    stat_fields(pid, &mut text).nth(7).and_then(number).unwrap_or(0)
}

/// Minor page faults of this process.
pub fn own_minor_faults() -> u64 {
    usage_of_self().ru_minflt as u64
}

/// Start and end of the area that this process got from `brk`; `None` if that cannot be told.
pub fn heap() -> Option<(u64, u64)> {
    let mut text = [0; 512];
    // `start_brk` of `/proc/PID/stat` (proc_pid_stat(5)).
    let start = stat_fields(super::pid(), &mut text).nth(44).and_then(number)?;
    // SAFETY: a break of 0 is refused: the call returns the present one.
    let end = unsafe { syscall(libc::SYS_brk, [0; 6]) } as u64;
    (start > 0 && end > start).then_some((start, end))
}

/// Resident memory of a process and its high-water mark, bytes; zeros if the process is gone.
pub fn resident_and_highest(pid: u32) -> (u64, u64) {
    let mut text = [0; 4096];
    let length = read_file(of_process(pid, b"/status").with_nul(), &mut text);
    let text = text.get(..length).unwrap_or_default();
    (kib_line(text, b"VmRSS:"), kib_line(text, b"VmHWM:"))
}

/// Anonymous memory that is charged to a control group, by its `memory.stat` (Linux,
/// Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst); 0 if it cannot be read.
pub fn charged_bytes(file: &Path) -> u64 {
    let mut text = [0; 8192];
    let length = read_file(file.with_nul(), &mut text);
    let lines = text.get(..length).unwrap_or_default().split(|&byte| byte == b'\n');
    let mut counts = lines.filter_map(|line| line.strip_prefix(b"anon ").or(line.strip_prefix(b"total_rss ")));
    counts.next().and_then(number).unwrap_or(0)
}

/// Memory that is available without swapping, bytes; `u64::MAX` if the kernel does not say.
pub fn available_bytes() -> u64 {
    let mut text = [0; 512];
    let length = read_file(b"/proc/meminfo\0", &mut text);
    match kib_line(text.get(..length).unwrap_or_default(), b"MemAvailable:") {
        0 => u64::MAX,
        bytes => bytes,
    }
}

/// Resident memory that no other process shares, bytes; 0 if the kernel does not say (before Linux 4.14).
pub fn private_bytes() -> u64 {
    let mut text = [0; 2048];
    let length = read_file(b"/proc/self/smaps_rollup\0", &mut text);
    let text = text.get(..length).unwrap_or_default();
    kib_line(text, b"Private_Dirty:").saturating_add(kib_line(text, b"Private_Clean:"))
}

/// An advisory lock on a file or folder, which lasts as long as any process has its descriptor open.
pub struct FileLock {
    descriptor: usize,
}

impl FileLock {
    /// Takes the lock; `None` if another process has it, or there is no such file. `path` ends with a NUL byte.
    pub fn take(path: &[u8]) -> Option<FileLock> {
        let lock = FileLock {
            descriptor: open_to_read(path)?,
        };
        let wish = (libc::LOCK_EX | libc::LOCK_NB) as usize;
        // SAFETY: the descriptor is open.
        let locked = unsafe { syscall(libc::SYS_flock, [lock.descriptor, wish, 0, 0, 0, 0]) };
        check(locked).is_ok().then_some(lock)
    }

    /// Keeps the lock until the process ends.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        close(self.descriptor);
    }
}

/// Closes all descriptors except that of `lock`.
fn close_all_but(lock: &FileLock) {
    let kept = lock.descriptor;
    // Before Linux 5.9 there is no call that closes a range; more than 4096 descriptors are rare.
    let last = if close_range(kept + 1, u32::MAX as usize) {
        kept
    } else {
        4096
    };
    for descriptor in (0..last).filter(|&descriptor| descriptor != kept) {
        // SAFETY: only `become_expendable` calls this, in a child in which nothing depends on the descriptors.
        unsafe { syscall(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]) };
    }
}

fn close_range(first: usize, last: usize) -> bool {
    // SAFETY: only `close_all_but` calls this; see there.
    check(unsafe { syscall(libc::SYS_close_range, [first, last, 0, 0, 0, 0]) }).is_ok()
}

/// Makes this process expendable: it is the first to be killed when memory is short, an alarm kills it after `seconds`, it has no
/// file open except the one that `lock` locks, and signals have their default actions, with two exceptions: a fault ends the
/// guarded call in which it happens ([`arch::guarded_call`]), or the process; and signals are ignored that a terminal sends to all
/// its processes when it interrupts the program or is closed.
///
/// # Safety
/// This is the child of [`clone_silently`], in which nothing depends on open files and signal handlers.
pub unsafe fn become_expendable(seconds: usize, lock: &FileLock) {
    close_all_but(lock);
    write_file(b"/proc/self/oom_score_adj\0", b"1000");
    for signal in 1..=64 {
        // SAFETY: all zeros is a valid `sigaction`: the default handler, no flags.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        match signal {
            libc::SIGSEGV | libc::SIGBUS => {
                action.sa_sigaction = on_fault as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            }
            libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => action.sa_sigaction = libc::SIG_IGN,
            _ => {}
        }
        // SAFETY: `action` is a valid `sigaction`; for signals that cannot be handled the call fails.
        unsafe { libc::sigaction(signal, &action, core::ptr::null_mut()) };
    }
    block_signals(0);
    // SAFETY: the call sets a timer, whose signal has its default action.
    unsafe { syscall(libc::SYS_alarm, [seconds, 0, 0, 0, 0, 0]) };
}

/// The handler of SIGSEGV and SIGBUS in the clone.
extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut core::ffi::c_void) {
    // SAFETY: the kernel has passed `context` as the third argument of a handler with SA_SIGINFO.
    if !unsafe { arch::resume_after_fault(context) } {
        exit_group(2);
    }
}

fn write_file(path: &[u8], text: &[u8]) {
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: all callers pass NUL-terminated literals.
    let opened = unsafe {
        syscall(
            libc::SYS_openat,
            [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0],
        )
    };
    let Ok(fd) = check(opened) else { return };
    // SAFETY: `text` is readable for its length.
    unsafe { syscall(libc::SYS_write, [fd, text.as_ptr() as usize, text.len(), 0, 0, 0]) };
    close(fd);
}

/// Gives up pages that the child shares with the program. They read as zeros from then on.
///
/// # Safety
/// This is the child of [`clone_silently`], and it does not need what is in these pages any more: from now on it may find zeros
/// there.
pub unsafe fn forget_pages(address: u64, bytes: u64) {
    let advice = libc::MADV_DONTNEED as usize;
    // SAFETY: the caller gives up what is in these pages of the child; the program has its own.
    unsafe { syscall(libc::SYS_madvise, [address as usize, bytes as usize, advice, 0, 0, 0]) };
}
