//! Waits for the program without getting between it and its caller.
//!
//! The program is in our process group, so what the terminal sends (Ctrl-C, Ctrl-Z) reaches it directly; we only have
//! to survive. What is sent to us alone by another process is passed on. All of these signals are blocked before the
//! program starts and read from a descriptor, so none is lost or seen twice, and no handler is ever installed that
//! the program could inherit.

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use anyhow::{Context, Result};
use libc::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, c_int};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};

use crate::linux::inherited_state::{self, SignalMask};
use crate::linux::pidfd::Handle;

/// Signals that the terminal sends to the program as well.
const SURVIVED: [c_int; 2] = [SIGINT, SIGQUIT];
/// Signals that somebody means for the program.
const FORWARDED: [c_int; 4] = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];
/// Signals that end the watch of a process that we did not start.
const ENDING: [c_int; 4] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];
/// `si_code` of a signal that the kernel sent, for example because a terminal was closed.
const SI_KERNEL: c_int = 0x80;

/// The signals of this process, held back while the program runs.
pub struct Supervision {
    signals: SignalFd,
    caller_mask: SignalMask,
}

impl Supervision {
    /// Holds back the signals. To be called before the program, and before any thread, is started.
    pub fn begin() -> Result<Supervision> {
        inherited_state::expect_children();
        // A blocked signal is delivered even if it is ignored: so what the caller ignores (nohup) is not blocked.
        let held_back: Vec<c_int> = [&SURVIVED[..], &FORWARDED[..]]
            .concat()
            .into_iter()
            .filter(|&signal| !inherited_state::is_ignored(signal))
            .chain([SIGCHLD])
            .collect();
        let held_back = SignalMask::of(&held_back);
        let caller_mask = held_back.block();
        let signals = SignalFd::with_flags(&held_back.to_nix(), SfdFlags::SFD_CLOEXEC)
            .context("no descriptor for signals (signalfd)")?;
        Ok(Supervision { signals, caller_mask })
    }

    /// The signal mask that our caller gave us.
    pub fn caller_mask(&self) -> SignalMask {
        self.caller_mask
    }

    /// Waits for the program's end.
    pub fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait().context("cannot wait for the program")? {
                return Ok(status);
            }
            match self.signals.read_signal() {
                Ok(Some(info)) => pass_on(&info, child),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("cannot read signals"),
            }
        }
    }

    /// Waits for the end of a process that is not our child, or until somebody asks us to stop.
    pub fn wait_for(&self, process: &Handle) -> Result<()> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                PollFd::new(process, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for the process"),
            }
            let [signals, process] = fds.map(|fd| !fd.revents().is_empty());
            if process {
                return Ok(());
            }
            if signals
                && let Ok(Some(info)) = self.signals.read_signal()
                && ENDING.contains(&(info.ssi_signo as c_int))
            {
                return Ok(());
            }
        }
    }

    /// Gives the signals back, so that Ctrl-C ends what we do after the program.
    pub fn end(self) {
        // What arrived while the program was ending was meant for the program.
        let waiting = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let all = SignalMask::of(&[&SURVIVED[..], &FORWARDED[..], &[SIGCHLD]].concat());
        if let Ok(rest) = SignalFd::with_flags(&all.to_nix(), waiting) {
            while let Ok(Some(_)) = rest.read_signal() {}
        }
        self.caller_mask.restore();
    }
}

fn pass_on(info: &libc::signalfd_siginfo, child: &Child) {
    let signal = info.ssi_signo as c_int;
    // A signal of the kernel's went to the whole process group; one of the program's own, most likely too.
    if !FORWARDED.contains(&signal) || info.ssi_code == SI_KERNEL || info.ssi_pid == child.id() {
        return;
    }
    if let (Ok(pid), Ok(signal)) = (i32::try_from(child.id()), Signal::try_from(signal)) {
        let _ = kill(Pid::from_raw(pid), signal); // it may be ending at this moment
    }
}

/// Ends this process as the program ended; returns the exit code if that is a status.
pub fn exit_code(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        inherited_state::end_by(signal);
        return 128 + signal as u8; // only where the signal could not end us
    }
    status.code().unwrap_or(1) as u8
}
