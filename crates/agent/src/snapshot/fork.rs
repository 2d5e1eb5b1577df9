//! Forking the child that writes a snapshot.

use deadweight_capture::Cause;

use super::{Refused, Snapshots, Writing, parts};
use crate::os::{self, Cloned, FileLock};
use crate::output::Destination;
use crate::path::Path;

/// Pause before the next attempt when other processes are writing snapshots, nanoseconds.
const BUSY_NANOS: u64 = 100_000_000;
/// A snapshot child that takes longer is killed, seconds.
const WATCHDOG_SECONDS: usize = 120;

/// What the child has to know of the snapshot that it writes.
pub struct Begun {
    /// Its number.
    pub number: u32,
    /// When the program was paused for it (`CLOCK_MONOTONIC`, nanoseconds).
    pub began: u64,
    /// The program's process id.
    pub program: u32,
    /// The program's resident memory, bytes.
    pub resident: u64,
}

/// In which of the two processes `fork` has returned.
pub enum Forked {
    /// The child, which writes the snapshot.
    Child(Begun),
    /// The program, which goes on; with the child's process id.
    Parent(u32),
}

impl Snapshots {
    /// Forks the process for a snapshot.
    ///
    /// # Safety
    /// The calling thread holds the GIL at a point where the heap is consistent, and is inside the agent. The child may only
    /// read memory, make system calls, and exit.
    pub unsafe fn fork(&mut self, destination: &Destination, cause: Cause) -> Result<Forked, Refused> {
        let resident = os::resident_bytes();
        let Some(lock) = a_turn(destination.folder) else {
            self.not_before = os::now_nanos().saturating_add(BUSY_NANOS);
            return Err(Refused::Busy);
        };
        let number = self.next;
        let program = os::pid();
        let began = os::now_nanos();
        // SAFETY: the caller lets the child do no more than `clone_silently` allows.
        let cloned = unsafe { os::clone_silently() }.map_err(|_| Refused::NoProcess)?;
        self.next += 1;
        match cloned {
            Cloned::Child => {
                // SAFETY: this is the child of `clone_silently`.
                unsafe { os::become_expendable(WATCHDOG_SECONDS, &lock) };
                lock.keep();
                Ok(Forked::Child(Begun {
                    number,
                    began,
                    program,
                    resident,
                }))
            }
            Cloned::Parent(child) => {
                if cause.is_wanted() {
                    // If there is no memory for the entry, this snapshot may be removed like any other.
                    let _ = self.wanted.push(number);
                }
                self.child = Some(Writing {
                    child,
                    began,
                    resident,
                    stem: parts::numbered(destination.stem, number),
                });
                Ok(Forked::Parent(child))
            }
        }
    }
}

/// The right to write a snapshot. Two processes of a run can have it at a time, so that a pool of workers does not write dozens
/// at once.
fn a_turn(folder: Path) -> Option<FileLock> {
    let mut manifest = folder;
    manifest.push(b"/run.json");
    FileLock::take(folder.with_nul()).or_else(|| FileLock::take(manifest.with_nul()))
}
