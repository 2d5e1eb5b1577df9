//! What this process got from its caller and hands on to the program as it was: signals that are ignored, the signal
//! mask, standard streams that are closed.
//!
//! All calls of this crate that need `unsafe` are here. Rust's runtime ignores SIGPIPE and opens closed standard
//! streams before `main`; so the record is made earlier, by an entry of `.init_array`.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libc::{SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, SIGCHLD, c_int};

/// Bit `n` stands for signal `n + 1`.
static IGNORED: AtomicU64 = AtomicU64::new(0);
/// Bit `n` stands for descriptor `n`.
static CLOSED: AtomicU64 = AtomicU64::new(0);

const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_THE_RUNTIME: extern "C" fn() = record;

extern "C" fn record() {
    for signal in SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a null new action changes nothing, and `action` has room for the old one.
        let failed = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0;
        if failed {
            continue; // one of the two that the C library keeps for itself
        }
        // SAFETY: the call above succeeded, so it has filled the structure.
        let action = unsafe { action.assume_init() };
        if action.sa_sigaction == SIG_IGN {
            IGNORED.fetch_or(bit(signal), Relaxed);
        }
    }
    for descriptor in 0..3 {
        // SAFETY: F_GETFD takes no pointer, and a closed descriptor is an error code.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << descriptor, Relaxed);
        }
    }
}

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// Whether our caller started us with this signal ignored.
pub fn is_ignored(signal: c_int) -> bool {
    IGNORED.load(Relaxed) & bit(signal) != 0
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// The set with these signals.
    pub fn of(signals: &[c_int]) -> SignalMask {
        let mut set = MaybeUninit::uninit();
        // SAFETY: there is room for a set, and sigemptyset fills it.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: sigemptyset above has filled it; it cannot fail with a valid pointer.
        let mut set = unsafe { set.assume_init() };
        for &signal in signals {
            // SAFETY: `set` is an initialised set; a wrong number is an error code.
            unsafe { libc::sigaddset(&mut set, signal) };
        }
        SignalMask(set)
    }

    /// Blocks these signals in the calling thread and returns the mask that it had.
    pub fn block(&self) -> SignalMask {
        self.change(SIG_BLOCK)
    }

    /// Makes this the calling thread's mask.
    pub fn restore(&self) {
        self.change(SIG_SETMASK);
    }

    fn change(&self, how: c_int) -> SignalMask {
        let mut old = SignalMask::of(&[]);
        // SAFETY: both sets are initialised and live for the call, which keeps no pointer to them.
        unsafe { libc::pthread_sigmask(how, &self.0, &mut old.0) };
        old
    }

    /// The set as nix has it.
    pub fn to_nix(self) -> nix::sys::signal::SigSet {
        // SAFETY: the set is initialised, and holds only signals that sigaddset or the kernel put there.
        unsafe { nix::sys::signal::SigSet::from_sigset_t_unchecked(self.0) }
    }
}

/// Makes the end of children known to us even if our caller ignores it, which would make the kernel forget their
/// statuses.
pub fn expect_children() {
    set_disposition(SIGCHLD, SIG_DFL);
}

/// Lets the command start with the caller's ignored signals, `mask`, and closed standard streams.
pub fn hand_on(command: &mut Command, mask: SignalMask) {
    let (ignored, closed) = (IGNORED.load(Relaxed), CLOSED.load(Relaxed));
    let prepare = move || -> io::Result<()> {
        for signal in SIGNALS.filter(|&signal| ignored & bit(signal) != 0) {
            set_disposition(signal, SIG_IGN);
        }
        for descriptor in (0..3).filter(|descriptor| closed & 1 << descriptor != 0) {
            // SAFETY: the runtime opened this one in the place of a closed one, and the command inherits it
            // unchanged; nothing of ours uses it between here and exec.
            unsafe { libc::close(descriptor) };
        }
        mask.restore();
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: `prepare` makes no others (signal,
    // close, pthread_sigmask), allocates nothing and owns nothing but numbers.
    unsafe { command.pre_exec(prepare) };
}

/// Ends this process by the signal that ended the program, so that our caller sees the same.
/// Returns if the signal does not end us (it does not end the first process of a container).
pub fn end_by(signal: c_int) {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0); // the program's core is enough
    set_disposition(signal, SIG_DFL);
    SignalMask::of(&[signal]).change(SIG_UNBLOCK);
    // SAFETY: raise has no precondition.
    unsafe { libc::raise(signal) };
}

fn set_disposition(signal: c_int, disposition: libc::sighandler_t) {
    // SAFETY: only SIG_DFL and SIG_IGN come here, so no handler of ours can be called; a signal that cannot be
    // changed is an error code.
    unsafe { libc::signal(signal, disposition) };
}
