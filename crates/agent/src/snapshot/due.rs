//! When a snapshot is due: the heap has grown, or a memory limit is near.

use deadweight_capture::Cause;
use deadweight_cpython::heap::lists::LongLived;

use super::{LOOK_TICKS, Refused, Snapshots, collector};
use crate::config::Limit;
use crate::{arch, os};

/// A snapshot waits for the collector at most until the resident memory exceeds the size that made it due by 1/3.
const LONGEST_WAIT_PART: u64 = 3;
/// A program with less resident memory gets no automatic snapshot, bytes.
const LEAST_RESIDENT: u64 = 64 << 20;
/// A snapshot is due when the resident memory has grown by 1/4 since the last one,
const GROWTH_PART: u64 = 4;
/// and by at least this many bytes.
const LEAST_GROWTH: u64 = 32 << 20;
/// A snapshot is due when this percentage of the memory limit is in use. The next one for this reason is due only after the
/// use has fallen below [`FAR_FROM_LIMIT`].
const NEAR_LIMIT: u64 = 90;
const FAR_FROM_LIMIT: u64 = 80;
/// Bytes per second at which a heap of small objects is written at the slowest.
const BYTES_A_SECOND: u64 = 100 << 20;
/// The use of the limit is read again when the resident memory has changed by 1/50 of the limit.
const LIMIT_STEP: u64 = 50;

/// How fast memory grew lately.
struct Rise {
    bytes: u64,
    nanos: u64,
}

impl Rise {
    /// Whether at this pace `left` more bytes will be used before a snapshot of `resident` bytes is written.
    fn reaches(&self, left: u64, resident: u64) -> bool {
        // In KiB and milliseconds, so that the product does not overflow.
        let writing = resident / (BYTES_A_SECOND / 1000);
        let rise = (self.bytes >> 10).saturating_mul(writing) / (self.nanos / 1_000_000).max(1);
        rise >= left >> 10
    }
}

impl Snapshots {
    /// Whether a snapshot is due. Checks the resident memory every few milliseconds; cheap otherwise. `long_lived` gives the
    /// collector's counts, if they can be read.
    #[inline]
    pub fn is_due(&mut self, limit: Limit<'_>, long_lived: impl FnOnce() -> Option<LongLived>) -> bool {
        let ticks = arch::ticks();
        if ticks.wrapping_sub(self.last_look) < LOOK_TICKS {
            return false;
        }
        self.last_look = ticks;
        self.look(limit, long_lived)
    }

    #[cold]
    fn look(&mut self, limit: Limit<'_>, long_lived: impl FnOnce() -> Option<LongLived>) -> bool {
        if self.asked.is_some() || !self.is_idle() {
            return false;
        }
        let resident = os::resident_bytes();
        if resident < LEAST_RESIDENT {
            return false;
        }
        let is_due = resident >= self.due_at() && os::now_nanos() >= self.not_before;
        if is_due && !self.waits(resident, long_lived()) {
            self.is_urgent = false;
            return true;
        }
        self.is_urgent = self.comes_near(limit, resident);
        self.is_urgent
    }

    /// Whether a snapshot that was requested because of growth must wait after all: the thread that is to take it has got to
    /// it so late that a collection is near by now.
    pub fn is_too_late(&self, long_lived: Option<LongLived>) -> bool {
        !self.is_urgent && self.waits(os::resident_bytes(), long_lived)
    }

    /// Whether a snapshot waits for the collector. It does not wait for ever: the collector may be off, or run only when the
    /// program calls it.
    fn waits(&self, resident: u64, long_lived: Option<LongLived>) -> bool {
        let due = self.due_at();
        let may_wait = resident < due.saturating_add(due / LONGEST_WAIT_PART);
        may_wait && long_lived.is_some_and(|count| collector::is_near(count, resident))
    }

    /// Resident memory that makes a snapshot due, bytes.
    fn due_at(&self) -> u64 {
        self.last_resident.saturating_add(self.step()).max(LEAST_RESIDENT)
    }

    /// Growth that makes a snapshot due, bytes.
    fn step(&self) -> u64 {
        (self.last_resident / GROWTH_PART).max(LEAST_GROWTH)
    }

    /// Whether the limit has come near since the last check, or would now be reached before a snapshot could be written.
    fn comes_near(&mut self, limit: Limit<'_>, resident: u64) -> bool {
        // Other processes may share the limit, but a small process is not the one to be examined.
        if limit.bytes == 0 || resident < limit.bytes / 4 || resident.abs_diff(self.asked_at) < limit.bytes / LIMIT_STEP
        {
            return false;
        }
        let now = os::now_nanos();
        let rise = Rise {
            bytes: resident.saturating_sub(self.asked_at),
            nanos: now.saturating_sub(self.asked_nanos),
        };
        (self.asked_at, self.asked_nanos) = (resident, now);
        let used = limit.bytes.saturating_sub(limit.left().unwrap_or(0));
        let is_above = |percent| used >= limit.bytes / 100 * percent;
        let was_near = self.near_limit;
        self.near_limit = is_above(if was_near { FAR_FROM_LIMIT } else { NEAR_LIMIT });
        let was_too_fast = self.too_fast;
        self.too_fast = is_above(FAR_FROM_LIMIT / 2) && rise.reaches(limit.bytes.saturating_sub(used), resident);
        (self.near_limit && !was_near) || (self.too_fast && !was_too_fast)
    }

    /// The reason why no snapshot may be taken now, if there is one: the last one is still being written, or the program is
    /// tiny and the user has not requested the snapshot.
    pub fn refusal(&mut self, cause: Cause) -> Option<Refused> {
        if !self.is_idle() {
            return Some(Refused::Busy);
        }
        let resident = if cause == Cause::End {
            self.resident_at_end()
        } else {
            os::resident_bytes()
        };
        (!cause.is_wanted() && resident < LEAST_RESIDENT).then_some(Refused::Tiny)
    }

    /// Resident memory now; its high-water mark if there is no complete snapshot yet: what is left of a program that was
    /// large is better than nothing.
    fn resident_at_end(&self) -> u64 {
        match self.any {
            true => os::resident_bytes(),
            false => os::resident_bytes().max(os::resident_and_highest(os::pid()).1),
        }
    }

    /// Whether the heap at the end deserves a snapshot of its own: its size differs much from that at the last one, or there
    /// was none while the program was large. A snapshot here is costly: while Python tears down its modules, every page that
    /// it touches is copied for the child.
    pub fn differs_at_end(&self) -> bool {
        self.resident_at_end().abs_diff(self.last_resident) >= self.step()
    }
}

#[cfg(test)]
mod tests {
    use super::Rise;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_fast_rise_is_told_from_a_slow_one() {
        // 100 MiB take a second to write.
        let rise = |mib: u64, millis: u64| Rise {
            bytes: mib * MIB,
            nanos: millis * 1_000_000,
        };
        assert!(rise(6, 6).reaches(200 * MIB, 100 * MIB), "1 GiB a second");
        assert!(!rise(6, 60).reaches(200 * MIB, 100 * MIB), "100 MiB a second");
        assert!(rise(6, 60).reaches(90 * MIB, 100 * MIB));
        assert!(rise(6, 0).reaches(200 * MIB, 100 * MIB), "faster than the clock");
        assert!(!rise(0, 10).reaches(MIB, 1 << 40), "none");
        assert!(rise(1 << 40, 1).reaches(u64::MAX >> 20, 1 << 46), "no overflow");
    }
}
