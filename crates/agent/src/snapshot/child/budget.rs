//! What a snapshot may cost: memory of the child's own, and the pages that the kernel copies because the program
//! changes them while the child still has them.
//!
//! Both are the child's private pages. Together with the program's they may exceed what the program itself has needed
//! at most by a part, and take up no more than a part of what machine and limit have left. Counting them takes the kernel
//! a walk over the child's memory, so it is asked only when the faults since then, of program and child, may have used the
//! rest up: a page costs a fault.

use deadweight_capture::Cause;

use crate::arch;
use crate::config::Limit;
use crate::os;

/// A child may have so much, however small the program is; and so much if somebody wanted it in particular.
const LEAST_BYTES: u64 = 24 << 20;
const LEAST_IF_WANTED: u64 = 32 << 20;
/// And this part of the program's resident memory: 1/8.
const PART: u64 = 8;
/// A child that somebody wanted in particular may have as much as the program: what `fork` costs at worst.
const PART_IF_WANTED: u64 = 1;
/// But only this part of what the machine has left: 1/4.
const PART_OF_REST: u64 = 4;
/// And this part of what the limit of the run leaves: 1/2. Near a limit the snapshot may be the last, and less would not do
/// for its tables; should memory run out nevertheless, the child is killed first.
const PART_OF_LIMIT: u64 = 2;
/// Ticks of the processor between two looks: about 2 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 6_000_000;
/// Of the child's time, this part goes into counting: 1/16.
const COUNTING_PART: u64 = 16;
/// More only if otherwise the budget may be exceeded by a part: 1/8.
const OVERSHOOT_PART: u64 = 8;
/// A program that needs less now than at its highest leaves the child more, but no more than this part of what it has:
/// 1/32.
const RETURN_PART: u64 = 32;
const PAGE: u64 = 4096;

/// The budget of one snapshot.
pub struct Budget {
    program: u32,
    /// Resident memory of the program when it was cloned, bytes.
    resident: u64,
    allowed: u64,
    /// Bytes above what the program needed by itself, when the kernel counted them last.
    excess: u64,
    /// Faults of program and child until then.
    faults: u64,
    next_look: u64,
    /// When the next count is due, in ticks.
    next_count: u64,
}

impl Budget {
    /// For the child of the program `program`, which had `resident` bytes when it was cloned.
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

    /// Whether the snapshot may go on. Cheap when asked often.
    #[inline]
    pub fn lasts(&mut self) -> bool {
        let ticks = arch::ticks();
        // The clock may differ between processors by a little, and wraps in centuries.
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
        // It may need its highest again in the next moment.
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
