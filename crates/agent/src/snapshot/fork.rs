//! The copy of the process that writes a snapshot.

use deadweight_capture::Cause;

use super::{Refused, Snapshots, Writing, parts};
use crate::os::{self, Cloned, FileLock};
use crate::output::Destination;
use crate::path::Path;

/// Pause after no snapshot could be written because others are, nanoseconds.
const BUSY_NANOS: u64 = 100_000_000;
/// A snapshot's child that takes longer is killed, in seconds.
const WATCHDOG_SECONDS: usize = 120;

/// A snapshot that its child is to write.
pub struct Begun {
    /// Its number.
    pub number: u32,
    /// When the program stopped for it, on `CLOCK_MONOTONIC`, nanoseconds.
    pub began: u64,
    /// The program's process id.
    pub program: u32,
    /// The program's resident memory, bytes.
    pub resident: u64,
}

/// What a clone for a snapshot came to.
pub enum Forked {
    /// This is the child, which writes the heap down.
    Child(Begun),
    /// This is the program, and it goes on; the child has that process id.
    Parent(u32),
}

impl Snapshots {
    /// Clones the process for a snapshot.
    ///
    /// # Safety
    /// The calling thread holds the GIL at a point where the heap is sound, and is inside the agent. The child may
    /// only read memory, make system calls, and end.
    pub unsafe fn fork(&mut self, destination: &Destination, cause: Cause) -> Result<Forked, Refused> {
        let resident = os::resident_bytes();
        let Some(lock) = a_turn(destination.folder) else {
            self.not_before = os::now_nanos().saturating_add(BUSY_NANOS);
            return Err(Refused::Busy);
        };
        let number = self.next;
        let program = os::pid();
        let began = os::now_nanos();
        // SAFETY: by the caller's promise.
        let cloned = unsafe { os::clone_silently() }.map_err(|_| Refused::NoProcess)?;
        self.next += 1;
        match cloned {
            Cloned::Child => {
                // SAFETY: this is the clone.
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
                    // Without memory for it the snapshot is one like the others.
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

/// The right to write a snapshot: two processes of a run have it at a time, lest a pool of workers writes dozens at once.
fn a_turn(folder: Path) -> Option<FileLock> {
    let mut manifest = folder;
    manifest.push(b"/run.json");
    FileLock::take(folder.with_nul()).or_else(|| FileLock::take(manifest.with_nul()))
}
