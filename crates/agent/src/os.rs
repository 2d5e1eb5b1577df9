//! The system calls that the agent makes. None of them changes `errno` or allocates.

mod process;

use core::ptr::NonNull;

use crate::arch::syscall;

pub use process::{
    Cloned, FileLock, available_bytes, become_expendable, charged_bytes, clone_silently, forget_pages, has_ended, heap,
    minor_faults, own_minor_faults, private_bytes, resident_and_highest,
};

/// An error number of the kernel (`ENOSPC`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

fn check(result: isize) -> Result<usize, Errno> {
    if (-4095..0).contains(&result) {
        Err(Errno(-result as i32))
    } else {
        Ok(result as usize)
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline]
pub fn now_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer; the vDSO call is async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

fn plain(number: libc::c_long) -> usize {
    // SAFETY: the callers pass numbers of calls that take no arguments.
    unsafe { syscall(number, [0; 6]) as usize }
}

/// The process id, asked of the kernel.
pub fn pid() -> u32 {
    plain(libc::SYS_getpid) as u32
}

/// The parent's process id.
pub fn parent_pid() -> u32 {
    plain(libc::SYS_getppid) as u32
}

/// The thread id.
pub fn thread_id() -> u32 {
    plain(libc::SYS_gettid) as u32
}

/// Copies this process's memory at `address` into `out`; false if it cannot be read, or the kernel refuses the call.
pub fn read_own_memory(address: u64, out: &mut [u8]) -> bool {
    let local = libc::iovec {
        iov_base: out.as_mut_ptr().cast(),
        iov_len: out.len(),
    };
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: out.len(),
    };
    let arguments = [
        pid() as usize,
        &raw const local as usize,
        1,
        &raw const remote as usize,
        1,
        0,
    ];
    // SAFETY: the kernel checks the source; the target is `out`, which is borrowed mutably.
    let copied = unsafe { syscall(libc::SYS_process_vm_readv, arguments) };
    check(copied).is_ok_and(|copied| copied == out.len())
}

/// Whether a process of this id exists.
pub fn process_exists(pid: u32) -> bool {
    // SAFETY: signal 0 is not sent.
    let asked = unsafe { syscall(libc::SYS_kill, [pid as usize, 0, 0, 0, 0, 0]) };
    check(asked) != Err(Errno(libc::ESRCH))
}

/// Zeroed private memory, or `None`. It is excluded from core dumps, and the flag for that (`dd` in `/proc/PID/smaps`) also tells
/// it from the program's own memory.
pub fn map_private(bytes: usize) -> Option<NonNull<u8>> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    // SAFETY: the kernel chooses the place of a new mapping, which replaces nothing.
    let place = unsafe { syscall(libc::SYS_mmap, [0, bytes, protection, flags, usize::MAX, 0]) };
    let place = NonNull::new(check(place).ok()? as *mut u8)?;
    // SAFETY: the mapping was just made.
    unsafe { advise(place, bytes, libc::MADV_DONTDUMP) };
    Some(place)
}

/// Unmaps a mapping.
///
/// # Safety
/// `place` is a mapping of `bytes` bytes that the agent made, and nothing refers to it any more.
pub unsafe fn unmap(place: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller gives up a mapping of the agent's.
    unsafe { syscall(libc::SYS_munmap, [place.as_ptr() as usize, bytes, 0, 0, 0, 0]) };
}

/// Tells the kernel how to treat a mapping of the agent's own (`MADV_WIPEONFORK`, `MADV_DONTFORK`).
///
/// # Safety
/// `place` is a mapping of `bytes` bytes that the agent made, and `advice` does not discard what is still read.
pub unsafe fn advise(place: NonNull<u8>, bytes: usize, advice: i32) -> bool {
    // SAFETY: the caller vouches for the mapping and the advice.
    let result = unsafe {
        syscall(
            libc::SYS_madvise,
            [place.as_ptr() as usize, bytes, advice as usize, 0, 0, 0],
        )
    };
    check(result).is_ok()
}

/// Makes a new file of `bytes` bytes whose space is reserved, and maps it shared. `path` ends with a NUL byte.
/// No descriptor stays open.
pub fn map_new_file(path: &[u8], bytes: usize) -> Result<NonNull<u8>, Errno> {
    if path.last() != Some(&0) {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    if file_size_limit() < bytes as u64 {
        // Growing a file past RLIMIT_FSIZE would send SIGXFSZ to the user's program.
        return Err(Errno(libc::EFBIG));
    }
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    // SAFETY: `path` is NUL-terminated (checked above).
    let opened = unsafe {
        syscall(
            libc::SYS_openat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                flags as usize,
                0o644,
                0,
                0,
            ],
        )
    };
    let fd = check(opened)?;
    let mapped = reserve(fd, bytes).and_then(|()| {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        // SAFETY: the kernel chooses the place of a new mapping, which replaces nothing.
        check(unsafe { syscall(libc::SYS_mmap, [0, bytes, protection, libc::MAP_SHARED as usize, fd, 0]) })
    });
    close(fd);
    if mapped.is_err() {
        // SAFETY: `path` is NUL-terminated (checked above).
        unsafe { syscall(libc::SYS_unlink, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) };
    }
    NonNull::new(mapped? as *mut u8).ok_or(Errno(libc::ENOMEM))
}

/// Reserves the file's disk blocks now: on a full disk, a page of a sparse file would cause a SIGBUS later.
fn reserve(fd: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: `fd` is a descriptor of the agent's own.
    match check(unsafe { syscall(libc::SYS_fallocate, [fd, 0, 0, bytes, 0, 0]) }) {
        Ok(_) => Ok(()),
        Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => write_zeros(fd, bytes),
        Err(error) => Err(error),
    }
}

fn write_zeros(fd: usize, bytes: usize) -> Result<(), Errno> {
    static ZEROS: [u8; 4096] = [0; 4096];
    let mut written = 0;
    while written < bytes {
        let step = ZEROS.len().min(bytes - written);
        // SAFETY: `fd` is a descriptor of the agent's own, and `step` bytes of `ZEROS` are readable.
        let result = unsafe { syscall(libc::SYS_pwrite64, [fd, ZEROS.as_ptr() as usize, step, written, 0, 0]) };
        match check(result) {
            Ok(0) => return Err(Errno(libc::ENOSPC)),
            Ok(count) => written += count,
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let place = &raw mut limit as usize;
    // SAFETY: `place` is the local variable above.
    let asked = unsafe { syscall(libc::SYS_prlimit64, [0, libc::RLIMIT_FSIZE as usize, 0, place, 0, 0]) };
    if check(asked).is_ok() { limit.rlim_cur } else { u64::MAX }
}

/// Whether a file with this path exists. `path` ends with a NUL byte.
pub fn file_exists(path: &[u8]) -> bool {
    if path.last() != Some(&0) {
        return false;
    }
    // SAFETY: `path` is NUL-terminated (checked above).
    let asked = unsafe {
        syscall(
            libc::SYS_faccessat,
            [libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0, 0, 0],
        )
    };
    check(asked).is_ok()
}

/// Truncates a file of the agent's to its first `bytes` bytes. `path` ends with a NUL byte.
pub fn truncate_file(path: &[u8], bytes: usize) {
    if path.last() == Some(&0) {
        // SAFETY: `path` is NUL-terminated (checked above).
        unsafe { syscall(libc::SYS_truncate, [path.as_ptr() as usize, bytes, 0, 0, 0, 0]) };
    }
}

/// Reads the beginning of a file into `out` and returns how many bytes it got; 0 if it cannot be read. `path` ends
/// with a NUL byte.
pub fn read_file(path: &[u8], out: &mut [u8]) -> usize {
    let Some(fd) = open_to_read(path) else { return 0 };
    let mut got = 0;
    while let Some(rest) = out.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match read_once(fd, rest) {
            0 => break,
            count => got += count,
        }
    }
    close(fd);
    got
}

fn open_to_read(path: &[u8]) -> Option<usize> {
    if path.last() != Some(&0) {
        return None;
    }
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: `path` is NUL-terminated (checked above).
    let opened = unsafe {
        syscall(
            libc::SYS_openat,
            [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0, 0],
        )
    };
    check(opened).ok()
}

/// Reads the next bytes; returns how many, 0 at the end or on an error.
fn read_once(fd: usize, out: &mut [u8]) -> usize {
    // SAFETY: `out` is borrowed mutably, for its length.
    let result = unsafe { syscall(libc::SYS_read, [fd, out.as_mut_ptr() as usize, out.len(), 0, 0, 0]) };
    check(result).unwrap_or(0)
}

/// Closes a descriptor of the agent's own.
fn close(fd: usize) {
    // SAFETY: the callers have opened `fd` and do not use it again.
    unsafe { syscall(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
}

/// Shows the lines of a file, without their newlines; none if it cannot be read. Lines longer than 8 KiB are skipped. `path` ends
/// with a NUL byte.
pub fn each_line(path: &[u8], mut show: impl FnMut(&[u8])) {
    let Some(fd) = open_to_read(path) else { return };
    let mut text = [0; 8192];
    let mut filled = 0;
    let mut is_rest_of_long = false;
    loop {
        let Some(room) = text.get_mut(filled..).filter(|room| !room.is_empty()) else {
            (filled, is_rest_of_long) = (0, true);
            continue;
        };
        let got = read_once(fd, room);
        if got == 0 {
            break;
        }
        filled += got;
        let mut from = 0;
        while let Some(length) = text
            .get(from..filled)
            .and_then(|rest| rest.iter().position(|&byte| byte == b'\n'))
        {
            if !core::mem::take(&mut is_rest_of_long) {
                show(text.get(from..from + length).unwrap_or_default());
            }
            from += length + 1;
        }
        text.copy_within(from..filled, 0);
        filled -= from;
    }
    close(fd);
}

/// The calling thread's name, without its NUL byte; at most 15 bytes.
pub fn thread_name(out: &mut [u8; 16]) -> &[u8] {
    // SAFETY: PR_GET_NAME writes at most 16 bytes, the length of `out`.
    unsafe {
        syscall(
            libc::SYS_prctl,
            [libc::PR_GET_NAME as usize, out.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    };
    let end = out.iter().position(|&byte| byte == 0).unwrap_or(out.len());
    out.get(..end).unwrap_or_default()
}

/// High-water mark of this process's resident memory, bytes.
pub fn max_rss_bytes() -> u64 {
    (usage_of_self().ru_maxrss as u64).wrapping_mul(1024)
}

fn usage_of_self() -> libc::rusage {
    // SAFETY: all zeros is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    let place = &raw mut usage as usize;
    // SAFETY: `place` is the local variable above.
    unsafe { syscall(libc::SYS_getrusage, [libc::RUSAGE_SELF as usize, place, 0, 0, 0, 0]) };
    usage
}

/// Sleeps if `*word` is `value`, until a wake-up; it may also wake without one.
pub fn futex_wait(word: &core::sync::atomic::AtomicU32, value: u32) {
    let arguments = [
        word.as_ptr() as usize,
        (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize,
        value as usize,
        0,
        0,
        0,
    ];
    // SAFETY: `word` is borrowed during the call; a timeout of null is none.
    unsafe { syscall(libc::SYS_futex, arguments) };
}

/// Wakes one thread that sleeps at `word`.
pub fn futex_wake(word: &core::sync::atomic::AtomicU32) {
    let arguments = [
        word.as_ptr() as usize,
        (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize,
        1,
        0,
        0,
        0,
    ];
    // SAFETY: `word` is borrowed during the call.
    unsafe { syscall(libc::SYS_futex, arguments) };
}

/// Ends the process at once.
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: the call does not return; running no handlers is what `_exit` promises.
        unsafe { syscall(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Sleeps for a millisecond.
pub fn sleep_millisecond() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    // SAFETY: `time` is the local variable above; null: the remaining time is not wanted.
    unsafe { syscall(libc::SYS_nanosleep, [&raw const time as usize, 0, 0, 0, 0, 0]) };
}

/// Removes a file; returns whether it could. `path` ends with a NUL byte.
pub fn remove_file(path: &[u8]) -> bool {
    if path.last() != Some(&0) {
        return false;
    }
    // SAFETY: `path` is NUL-terminated (checked above).
    let result = unsafe {
        syscall(
            libc::SYS_unlinkat,
            [libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0, 0, 0],
        )
    };
    check(result).is_ok()
}

/// Resident memory of this process in bytes; 0 if it cannot be read.
pub fn resident_bytes() -> u64 {
    let mut text = [0; 64];
    let length = read_file(b"/proc/self/statm\0", &mut text);
    let mut fields = text.get(..length).unwrap_or_default().split(|&byte| byte == b' ');
    let pages = fields
        .nth(1)
        .and_then(|field| core::str::from_utf8(field).ok()?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(4096)
}
