//! How a process ended that is not our child.
//!
//! A descriptor of a process keeps what its parent got to know, from Linux 6.15 on. Before that, only a parent that is
//! slow to ask leaves it to be seen in `/proc`.
//!
//! Source: Linux, include/uapi/linux/pidfd.h.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::linux::procfs;

/// `PIDFD_GET_INFO` for the first version of `struct pidfd_info`: `_IOWR(0xff, 11, 64 bytes)`.
const GET_INFO: libc::c_ulong = 0xc040_ff0b;
/// `PIDFD_INFO_EXIT`.
const EXIT: u64 = 1 << 3;

/// The first version of `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    group: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// A descriptor of a process, whoever its parent is.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// `None` if the process is gone, or the kernel is older than 5.3.
    pub fn of(pid: u32, started_ticks: u64) -> Option<Handle> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = Handle(pidfd_open(raw, PidfdFlags::empty()).ok()?);
        // Between reading its start and the call, the process may have ended, and another one have got its id.
        let is_same = procfs::stat(pid).is_some_and(|stat| stat.started_ticks == started_ticks);
        is_same.then_some(handle)
    }

    /// The status that its parent got by `wait`, once it did.
    pub fn wait_status(&self) -> Option<i32> {
        let mut info = Info {
            mask: EXIT,
            ..Info::default()
        };
        // SAFETY: GET_INFO states the size of `Info`, of which the kernel writes no more, and `info` lives for the call; a
        // kernel that does not know the request writes nothing and answers with an error.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), GET_INFO as _, &mut info) };
        (done == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_seen() {
        assert_eq!(size_of::<Info>(), 64);
        let mut child = std::process::Command::new("sh");
        let child = child.args(["-c", "read x; exit 3"]);
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let ticks = procfs::stat(child.id()).unwrap().started_ticks;
        assert!(Handle::of(child.id(), ticks + 1).is_none());
        let handle = Handle::of(child.id(), ticks);
        let before = handle.as_ref().and_then(Handle::wait_status);
        drop(child.stdin.take());
        child.wait().unwrap();
        let Some(handle) = handle else {
            eprintln!("skipped: no pidfd_open here");
            return;
        };
        assert_eq!(before, None);
        assert!([None, Some(3 << 8)].contains(&handle.wait_status())); // None before Linux 6.15
    }
}
