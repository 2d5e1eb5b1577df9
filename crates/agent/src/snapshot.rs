//! Heap snapshots: when one is due, and the clone that takes it.
//!
//! The program stands still for the clone only. The child sees the heap as it was at that moment (copy-on-write),
//! writes it down ([`child`]), and ends; nobody waits for it, and no signal tells of its end.

pub mod child;
mod parts;

use deadweight_capture::write::SegmentInfo;

use crate::arch;
use crate::os::{self, Cloned};
use crate::path::Path;

/// A heap below this is not worth a picture.
const LEAST_RESIDENT: u64 = 64 << 20;
/// Growth since the last snapshot that makes another one due, as a part of what was resident then: 1/4.
const GROWTH_PART: u64 = 4;
/// And at least so much.
const LEAST_GROWTH: u64 = 32 << 20;
/// Snapshots that are kept of a process; older ones are removed.
const KEPT: u32 = 4;
/// A snapshot's child that takes longer is killed, in seconds.
const WATCHDOG_SECONDS: usize = 120;
/// Ticks of the processor between two looks at the resident memory: about 5 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 15_000_000;

/// What is known of this process's snapshots.
pub struct Snapshots {
    /// Number of the next one.
    next: u32,
    /// Resident memory when the last one was taken, bytes.
    last_resident: u64,
    /// The child that is writing, or 0.
    child: u32,
    last_look: u64,
    /// Whether a snapshot was asked for and has not been taken yet.
    asked: bool,
}

/// Where a snapshot of this process goes.
#[derive(Clone, Copy)]
pub struct Destination {
    /// The folder and `/PID.INCARNATION.`
    pub stem: Path,
    /// As in the process's own segments.
    pub info: SegmentInfo,
}

/// What a clone for a snapshot came to.
pub enum Taken {
    /// This is the child: write the heap of snapshot `number` down. The clone began at `began` on
    /// `CLOCK_MONOTONIC`, nanoseconds.
    Child {
        /// Number of the snapshot.
        number: u32,
        /// When the program stopped for it.
        began: u64,
    },
    /// This is the program, and it goes on.
    Parent,
}

impl Snapshots {
    /// None yet.
    pub const fn new() -> Snapshots {
        Snapshots {
            next: 0,
            last_resident: 0,
            child: 0,
            last_look: 0,
            asked: false,
        }
    }

    /// Whether the heap has grown enough for a snapshot since the last one. Looks at the resident memory now and
    /// then; cheap otherwise.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        let ticks = arch::ticks();
        if ticks.wrapping_sub(self.last_look) < LOOK_TICKS {
            return false;
        }
        self.last_look = ticks;
        self.has_grown()
    }

    #[cold]
    fn has_grown(&mut self) -> bool {
        if self.asked || !self.is_idle() {
            return false;
        }
        let resident = os::resident_bytes();
        let growth = (self.last_resident / GROWTH_PART).max(LEAST_GROWTH);
        resident >= LEAST_RESIDENT && resident >= self.last_resident.saturating_add(growth)
    }

    /// Whether no child is writing.
    fn is_idle(&mut self) -> bool {
        if self.child != 0 && os::has_ended(self.child) {
            self.child = 0;
        }
        self.child == 0
    }

    /// Notes that a snapshot was asked for, or that the wish is done with.
    pub fn set_asked(&mut self, asked: bool) {
        self.asked = asked;
    }

    /// Number of the next snapshot.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// Whether a snapshot may be taken now: the last one is written, and the program is not tiny.
    pub fn is_possible(&mut self) -> bool {
        self.is_idle() && os::resident_bytes() >= LEAST_RESIDENT
    }

    /// Whether the heap at the end is worth a snapshot of its own: it differs much from the last one. While the
    /// program takes its modules apart, every page that it touches is copied for the child.
    pub fn differs_at_end(&self) -> bool {
        let resident = os::resident_bytes();
        resident.abs_diff(self.last_resident) >= (self.last_resident / GROWTH_PART).max(LEAST_GROWTH)
    }

    /// Clones the process for a snapshot. `None` if there is no process or memory to be had.
    ///
    /// # Safety
    /// The calling thread holds the GIL at a point where the heap is sound, and is inside the agent. The child may
    /// only read memory, make system calls, and end.
    pub unsafe fn take(&mut self, destination: &Destination) -> Option<Taken> {
        let resident = os::resident_bytes();
        let number = self.next;
        if let Some(old) = number.checked_sub(KEPT) {
            parts::remove(numbered(destination.stem, old));
        }
        let began = os::now_nanos();
        // SAFETY: by the caller's promise.
        let cloned = unsafe { os::clone_silently() }.ok()?;
        self.next += 1;
        self.last_resident = resident;
        match cloned {
            Cloned::Child => {
                os::become_expendable(WATCHDOG_SECONDS, child::on_fault);
                Some(Taken::Child { number, began })
            }
            Cloned::Parent(child) => {
                self.child = child;
                Some(Taken::Parent)
            }
        }
    }
}

fn numbered(mut stem: Path, number: u32) -> Path {
    stem.push_number(number, 0);
    stem.push(b".");
    stem
}
