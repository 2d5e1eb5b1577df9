//! The memory budget of a snapshot: the child's own memory, and the pages that the kernel copies because the program changes them
//! while the child still shares them.
//!
//! Both are private pages of the child. Child and program together may exceed the program's own high-water mark by a fixed
//! fraction, and use no more than a fixed fraction of what the machine and the limit have left. To count the child's private
//! pages the kernel walks its memory, so they are counted only when the page faults of program and child since the last
//! count may have used up the budget: each new private page costs a fault.

use deadweight_capture::Cause;

use crate::arch;
use crate::config::Limit;
use crate::os;

/// Bytes that a child may use however small the program is, and those if the user has requested the snapshot.
const LEAST_BYTES: u64 = 24 << 20;
const LEAST_IF_WANTED: u64 = 32 << 20;
/// A child may use 1/8 of the program's resident memory;
const PART: u64 = 8;
/// as much as the program if the user has requested the snapshot: what a `fork` costs at worst;
const PART_IF_WANTED: u64 = 1;
/// but at most 1/4 of the memory that the machine has left,
const PART_OF_REST: u64 = 4;
/// and at most 1/2 of what the run's memory limit leaves. Near the limit this snapshot may be the last one, and less would not
/// suffice for its tables; if memory runs out nevertheless, the child is killed first.
const PART_OF_LIMIT: u64 = 2;
/// Processor clock ticks between two checks: about 2 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 6_000_000;
/// Counting takes at most 1/16 of the child's time,
const COUNTING_PART: u64 = 16;
/// unless the budget might otherwise be exceeded by 1/8.
const OVERSHOOT_PART: u64 = 8;
/// A program that is below its high-water mark leaves the child that difference, but no more than 1/32 of its resident memory.
const RETURN_PART: u64 = 32;
const PAGE: u64 = 4096;

/// The budget of one snapshot.
pub struct Budget {
    program: u32,
    /// Resident memory of the program at the fork, bytes.
    resident: u64,
    allowed: u64,
    /// Bytes beyond what the program has needed by itself, at the last count.
    excess: u64,
    /// Page faults of program and child up to then.
    faults: u64,
    next_look: u64,
    /// The next count is due then, in ticks.
    next_count: u64,
}

impl Budget {
    /// The budget of the child of process `program`, which had `resident` bytes at the fork.
    pub fn begin(program: u32, resident: u64, limit: Limit<'_>, cause: Cause) -> Budget {
        let (part, least) = match cause.is_wanted() {
            true => (PART_IF_WANTED, LEAST_IF_WANTED),
            false => (PART, LEAST_BYTES),
        };
        let rest = (os::available_bytes() / PART_OF_REST).min(limit.left().unwrap_or(u64::MAX) / PART_OF_LIMIT);
        Budget {
            program,
            resident,
            allowed: (resident / part).max(least).min(rest),
            excess: 0,
            faults: faults(program),
            next_look: arch::ticks().wrapping_add(LOOK_TICKS),
            next_count: 0,
        }
    }

    /// Whether the snapshot may go on. Cheap to call often.
    #[inline]
    pub fn lasts(&mut self) -> bool {
        let ticks = arch::ticks();
        // The clocks of two processors may differ slightly; a clock wraps around only after centuries.
        ticks < self.next_look || self.look(ticks)
    }

    #[cold]
    fn look(&mut self, ticks: u64) -> bool {
        self.next_look = ticks.wrapping_add(LOOK_TICKS);
        let faults = faults(self.program);
        let new = faults.saturating_sub(self.faults).saturating_mul(PAGE);
        let at_most = self.excess.saturating_add(new);
        let tolerated = match ticks < self.next_count {
            true => self.allowed.saturating_add(self.allowed / OVERSHOOT_PART),
            false => self.allowed,
        };
        if at_most <= tolerated {
            return true;
        }
        let (now, highest) = os::resident_and_highest(self.program);
        let private = os::private_bytes();
        let together = private.saturating_add(now);
        // The program may need as much as at its high-water mark again at any moment.
        let soon = private.saturating_sub(self.resident / RETURN_PART);
        self.excess = together.saturating_sub(highest.max(self.resident)).max(soon);
        self.faults = faults;
        let end = arch::ticks();
        let taken = end.wrapping_sub(ticks);
        self.next_look = end.wrapping_add(LOOK_TICKS);
        self.next_count = end.wrapping_add(taken.saturating_mul(COUNTING_PART));
        self.excess <= self.allowed
    }
}

fn faults(program: u32) -> u64 {
    os::minor_faults(program).saturating_add(os::own_minor_faults())
}
