//! Processes: a copy of this one that nobody waits for, and what the kernel says of it and of the program.

use super::{Errno, check, close, exit_group, open_to_read, read_file, usage_of_self};
use crate::arch::{self, syscall};
use crate::path::Path;

/// What a raw clone returned.
pub enum Cloned {
    /// This is the copy.
    Child,
    /// This is the program; the copy has that process id.
    Parent(u32),
}

/// A copy of the process with the calling thread only, as `fork` makes it, but without handlers, without a signal at
/// its end, and invisible to `wait` (it needs `__WCLONE`).
///
/// # Safety
/// The copy may only make system calls and read memory: whatever another thread held is held for ever.
pub unsafe fn clone_silently() -> Result<Cloned, Errno> {
    // A handler must not run in the copy, which has signal handling of its own soon.
    let signals = block_signals(u64::MAX);
    // SAFETY: no new stack and no shared memory: the copy goes on here with a copy of everything.
    let cloned = check(unsafe { syscall(libc::SYS_clone, [0; 6]) });
    if cloned == Ok(0) {
        // `become_expendable` sees to the signals.
        return Ok(Cloned::Child);
    }
    block_signals(signals);
    cloned.map(|pid| Cloned::Parent(pid as u32))
}

/// Blocks the signals of a mask for this thread, the others not; returns the mask until then.
fn block_signals(mask: u64) -> u64 {
    let mut before = 0u64;
    let (new, old) = (&raw const mask as usize, &raw mut before as usize);
    // SAFETY: the masks are 8 bytes, as the kernel's.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            [libc::SIG_SETMASK as usize, new, old, 8, 0, 0],
        )
    };
    before
}

/// Whether a child of [`clone_silently`] has ended; it is then gone for good.
pub fn has_ended(child: u32) -> bool {
    let options = (libc::WNOHANG | libc::__WCLONE) as usize;
    // SAFETY: neither status nor usage is asked for.
    let result = unsafe { syscall(libc::SYS_wait4, [child as usize, 0, options, 0, 0, 0]) };
    check(result) != Ok(0)
}

/// The fields of `/proc/PID/stat` from the state on; none if there is no such process.
fn stat_fields(pid: u32, text: &mut [u8; 512]) -> impl Iterator<Item = &[u8]> {
    let length = read_file(of_process(pid, b"/stat").with_nul(), text);
    let text = text.get(..length).unwrap_or_default();
    // The name before may hold anything, blanks and brackets too.
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

/// How many pages another process was given that needed no disk: new ones, and copies of shared ones.
pub fn minor_faults(pid: u32) -> u64 {
    let mut text = [0; 512];
    stat_fields(pid, &mut text).nth(7).and_then(number).unwrap_or(0)
}

/// The same of this process.
pub fn own_minor_faults() -> u64 {
    usage_of_self().ru_minflt as u64
}

/// The area that `brk` has given this process: where it begins and ends; `None` if that cannot be told.
pub fn heap() -> Option<(u64, u64)> {
    let mut text = [0; 512];
    // `start_brk` of `/proc/PID/stat` (proc_pid_stat(5)).
    let start = stat_fields(super::pid(), &mut text).nth(44).and_then(number)?;
    // SAFETY: a break of 0 changes nothing.
    let end = unsafe { syscall(libc::SYS_brk, [0; 6]) } as u64;
    (start > 0 && end > start).then_some((start, end))
}

/// Resident memory of another process now and at most so far, bytes; zeros if it is gone.
pub fn resident_and_highest(pid: u32) -> (u64, u64) {
    let mut text = [0; 4096];
    let length = read_file(of_process(pid, b"/status").with_nul(), &mut text);
    let text = text.get(..length).unwrap_or_default();
    (kib_line(text, b"VmRSS:"), kib_line(text, b"VmHWM:"))
}

/// Bytes of processes' own memory that a control group counts, by its `memory.stat` (Linux,
/// Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst); 0 if it cannot be read.
pub fn charged_bytes(file: &Path) -> u64 {
    let mut text = [0; 8192];
    let length = read_file(file.with_nul(), &mut text);
    let lines = text.get(..length).unwrap_or_default().split(|&byte| byte == b'\n');
    let mut counts = lines.filter_map(|line| line.strip_prefix(b"anon ").or(line.strip_prefix(b"total_rss ")));
    counts.next().and_then(number).unwrap_or(0)
}

/// Memory that the machine can give without swapping, bytes; `u64::MAX` if the kernel does not say.
pub fn available_bytes() -> u64 {
    let mut text = [0; 512];
    let length = read_file(b"/proc/meminfo\0", &mut text);
    match kib_line(text.get(..length).unwrap_or_default(), b"MemAvailable:") {
        0 => u64::MAX,
        bytes => bytes,
    }
}

/// Bytes that are resident for this process alone; 0 if the kernel does not say (before Linux 4.14).
pub fn private_bytes() -> u64 {
    let mut text = [0; 2048];
    let length = read_file(b"/proc/self/smaps_rollup\0", &mut text);
    let text = text.get(..length).unwrap_or_default();
    kib_line(text, b"Private_Dirty:").saturating_add(kib_line(text, b"Private_Clean:"))
}

/// A lock on a file or folder that is there, kept as long as any process has it open.
pub struct FileLock {
    descriptor: usize,
}

impl FileLock {
    /// Takes the lock; `None` if somebody has it, or there is no such file. `path` ends with a NUL byte.
    pub fn take(path: &[u8]) -> Option<FileLock> {
        let lock = FileLock {
            descriptor: open_to_read(path)?,
        };
        let wish = (libc::LOCK_EX | libc::LOCK_NB) as usize;
        // SAFETY: the descriptor was opened above.
        let locked = unsafe { syscall(libc::SYS_flock, [lock.descriptor, wish, 0, 0, 0, 0]) };
        check(locked).is_ok().then_some(lock)
    }

    /// Keeps it until the process ends.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        close(self.descriptor);
    }
}

/// Closes all descriptors but that of a lock.
fn close_all_but(lock: &FileLock) {
    let kept = lock.descriptor;
    // Before Linux 5.9 there is no call for many: more than these are rare.
    let last = if close_range(kept + 1, u32::MAX as usize) {
        kept
    } else {
        4096
    };
    for descriptor in (0..last).filter(|&descriptor| descriptor != kept) {
        // SAFETY: only `become_expendable` calls this, in a process whose files are nobody's.
        unsafe { syscall(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]) };
    }
}

fn close_range(first: usize, last: usize) -> bool {
    // SAFETY: as in `close_all_but`.
    check(unsafe { syscall(libc::SYS_close_range, [first, last, 0, 0, 0, 0]) }).is_ok()
}

/// Makes this process one that nobody misses: killed first when memory is short, killed by an alarm after `seconds`,
/// with no file open but the one that `lock` locks, and with default signal handling but for faults, which end a guarded call
/// ([`arch::guarded_call`]) or the process, and for what a terminal sends to everybody when it interrupts the program or goes
/// away.
///
/// # Safety
/// This is the child of [`clone_silently`]: nothing of the program depends on its files and signals.
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
        // SAFETY: `action` is valid; signals that cannot be handled are refused.
        unsafe { libc::sigaction(signal, &action, core::ptr::null_mut()) };
    }
    block_signals(0);
    // SAFETY: only sets a timer, whose signal has its default action.
    unsafe { syscall(libc::SYS_alarm, [seconds, 0, 0, 0, 0, 0]) };
}

/// The handler of SIGSEGV and SIGBUS in the clone.
extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut core::ffi::c_void) {
    // SAFETY: `context` is a signal handler's third argument.
    if !unsafe { arch::resume_after_fault(context) } {
        exit_group(2);
    }
}

fn write_file(path: &[u8], text: &[u8]) {
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: only called with NUL-terminated literals.
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

/// Lets go of whole pages, which are the program's alone from then on. What is read there later is zero.
///
/// # Safety
/// This is the child of [`clone_silently`], and it has no use any more for what it finds in these pages.
pub unsafe fn forget_pages(address: u64, bytes: u64) {
    let advice = libc::MADV_DONTNEED as usize;
    // SAFETY: by the caller's promise; the program has its own pages.
    unsafe { syscall(libc::SYS_madvise, [address as usize, bytes as usize, advice, 0, 0, 0]) };
}
