//! Heap snapshots: when one is due, and the clone that takes it.
//!
//! The program stands still for the clone only. The child sees the heap as it was at that moment (copy-on-write),
//! writes it down ([`child`]), and ends. No signal tells of its end and no `wait` of the program's sees it. It gives up when it
//! costs too much memory.

pub mod child;
mod collector;
mod parts;

use deadweight_capture::Cause;
use deadweight_capture::write::SegmentInfo;
use deadweight_cpython::heap::lists::LongLived;

use crate::arch;
use crate::list::List;
use crate::os::{self, Cloned, FileLock};
use crate::path::Path;

/// A snapshot that waits for the collector does so until the program has grown by this part of what made it due: 1/3.
const LONGEST_WAIT_PART: u64 = 3;
/// A heap below this is not worth a picture.
const LEAST_RESIDENT: u64 = 64 << 20;
/// Growth since the last snapshot that makes another one due, as a part of what was resident then: 1/4.
const GROWTH_PART: u64 = 4;
/// And at least so much.
const LEAST_GROWTH: u64 = 32 << 20;
/// Use of a memory limit from which on a snapshot is due, in percent; the next such one only after it fell below
/// [`FAR_FROM_LIMIT`].
const NEAR_LIMIT: u64 = 90;
const FAR_FROM_LIMIT: u64 = 80;
/// So many bytes of a heap of small objects are written in a second, at the least.
const BYTES_A_SECOND: u64 = 100 << 20;
/// The kernel is asked how much is used when the resident memory has changed by this part of the limit: 1/50.
const LIMIT_STEP: u64 = 50;
/// Pause after no snapshot could be written because others are, nanoseconds.
const BUSY_NANOS: u64 = 100_000_000;
/// After a child that gave up, the next one begins no sooner than its life later, and than this time; doubled for each that
/// gave up in turn, the first one too.
const LEAST_PATIENCE_NANOS: u64 = 100_000_000;
/// Automatic snapshots that are kept of a process; older ones are removed.
const KEPT: u32 = 4;
/// A snapshot's child that takes longer is killed, in seconds.
const WATCHDOG_SECONDS: usize = 120;
/// The program's end waits for the last snapshot for this part of its run: 1/10, within bounds. Python takes all its
/// objects apart then, and each page that it touches would be copied for the child.
const WAIT_PART: u64 = 10;
const LEAST_WAIT_NANOS: u64 = 1_000_000_000;
const MOST_WAIT_NANOS: u64 = 5_000_000_000;
/// Ticks of the processor between two looks at the resident memory: about 5 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 15_000_000;
/// Ticks after which a snapshot that the main thread was asked for is overdue, if that thread itself comes to an allocation: about
/// 0.2 s. It is in the midst of a C function, whose references look lost.
const OVERDUE_TICKS: u64 = 600_000_000;
/// And in another thread: about 0.05 s, ten turns of threads that compete for the GIL.
const OVERDUE_ELSEWHERE_TICKS: u64 = 150_000_000;
/// But about 10 ms if the main thread had nothing recorded for those 0.05 s before: it waits for something.
const OVERDUE_WITHOUT_MAIN_TICKS: u64 = 30_000_000;

/// What is known of this process's snapshots.
pub struct Snapshots {
    /// Number of the next one.
    next: u32,
    /// Resident memory when the last complete one was taken, or when the process was forked, bytes.
    last_resident: u64,
    /// Whether there is a complete one.
    any: bool,
    /// The child that is writing.
    child: Option<Writing>,
    /// When the next one may be taken, on `CLOCK_MONOTONIC`, nanoseconds.
    not_before: u64,
    /// How many children gave up, one after another.
    given_up: u32,
    /// Whether the memory limit was nearly reached already.
    near_limit: bool,
    /// Whether it was to be reached before a snapshot could be written, at the pace of that time.
    too_fast: bool,
    /// Resident memory when the kernel was asked for that, and when that was, on `CLOCK_MONOTONIC`.
    asked_at: u64,
    asked_nanos: u64,
    last_look: u64,
    /// The last look before the main thread recorded an allocation.
    main_was_here: u64,
    /// When the recording began, on `CLOCK_MONOTONIC`, nanoseconds.
    since: u64,
    /// Why a snapshot was asked of Python's main thread, which has not taken it yet, and when (ticks).
    asked: Option<(Cause, u64)>,
    /// Whether it is asked for because of the limit, so that it waits for nothing.
    is_urgent: bool,
    /// Whether Python has a pending call of ours that it has not made yet.
    is_queued: bool,
    /// Numbers of those that somebody wanted in particular, rising: they are kept.
    wanted: List<u32>,
}

/// A child that is writing.
#[derive(Clone, Copy)]
struct Writing {
    child: u32,
    began: u64,
    resident: u64,
    /// Where its snapshot is.
    stem: Path,
}

/// The memory limit that applies to the run, and the file in which the kernel counts its use.
#[derive(Clone, Copy)]
pub struct Limit<'a> {
    /// Bytes; 0 if there is none.
    pub bytes: u64,
    /// The file.
    pub statistics: &'a Path,
}

impl Limit<'_> {
    /// What processes have left of it, bytes: the kernel takes the page cache's part when they need it.
    pub fn left(&self) -> Option<u64> {
        (self.bytes > 0).then(|| self.bytes.saturating_sub(os::charged_bytes(self.statistics)))
    }
}

/// Where a snapshot of this process goes.
#[derive(Clone, Copy)]
pub struct Destination {
    /// The folder.
    pub folder: Path,
    /// The folder and `/PID.INCARNATION.`
    pub stem: Path,
    /// As in the process's own segments.
    pub info: SegmentInfo,
}

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

/// Why there is no snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another one is still being written, or other processes of the run write theirs.
    Busy,
    /// There is no process or memory to be had.
    NoProcess,
    /// The program is too small for an automatic snapshot.
    Tiny,
}

/// How fast memory grew lately.
struct Rise {
    bytes: u64,
    nanos: u64,
}

impl Rise {
    /// Whether at this pace `left` more bytes are used before a snapshot of `resident` bytes is written.
    fn reaches(&self, left: u64, resident: u64) -> bool {
        // In KiB and milliseconds, so that products of any amounts fit.
        let writing = resident / (BYTES_A_SECOND / 1000);
        let rise = (self.bytes >> 10).saturating_mul(writing) / (self.nanos / 1_000_000).max(1);
        rise >= left >> 10
    }
}

impl Snapshots {
    /// None yet, of a process that has inherited so much resident memory: what it adds counts.
    pub const fn new(inherited: u64) -> Snapshots {
        Snapshots {
            next: 0,
            last_resident: inherited,
            any: false,
            child: None,
            not_before: 0,
            given_up: 0,
            near_limit: false,
            too_fast: false,
            asked_at: 0,
            asked_nanos: 0,
            last_look: 0,
            main_was_here: 0,
            since: 0,
            asked: None,
            is_urgent: false,
            is_queued: false,
            wanted: List::new(),
        }
    }

    /// The recording begins now.
    pub fn begin(&mut self) {
        self.since = os::now_nanos();
    }

    /// How long the program may wait at its end for the last snapshot to be written, nanoseconds.
    pub fn patience_at_end(&self) -> u64 {
        let age = os::now_nanos().saturating_sub(self.since);
        (age / WAIT_PART).clamp(LEAST_WAIT_NANOS, MOST_WAIT_NANOS)
    }

    /// Whether the heap has grown enough for a snapshot since the last one. Looks at the resident memory now and
    /// then; cheap otherwise. `long_lived` is what the collector counts, if that can be known.
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

    /// Whether the snapshot that was asked for because the heap has grown must wait: the thread that was to take it came to it
    /// so late that the collector is near by now.
    pub fn is_too_late(&self, long_lived: Option<LongLived>) -> bool {
        !self.is_urgent && self.waits(os::resident_bytes(), long_lived)
    }

    /// Whether a snapshot waits for the collector. Not for ever: it may be off, or called by the program only.
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

    /// Whether the limit is nearly reached now and was not before, or will be before a snapshot that is begun later could be
    /// written.
    fn comes_near(&mut self, limit: Limit<'_>, resident: u64) -> bool {
        // Others may share the limit, but then they are the ones to be looked at.
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

    /// Whether no child is writing. Takes in how the last one ended.
    pub fn is_idle(&mut self) -> bool {
        let Some(writing) = self.child else { return true };
        let now = os::now_nanos();
        let age = now.saturating_sub(writing.began);
        if !os::has_ended(writing.child) {
            return false;
        }
        self.child = None;
        if parts::are_complete(writing.stem) {
            self.last_resident = writing.resident;
            self.any = true;
            self.given_up = 0;
        } else {
            // It gave up and removed them, or it was killed.
            parts::remove(writing.stem);
            self.given_up += 1;
            let patience = age.max(LEAST_PATIENCE_NANOS);
            self.not_before = now.saturating_add(patience << self.given_up.min(6));
        }
        true
    }

    /// Whether a snapshot that somebody asked for may be asked of the main thread now. Cheap if asked often.
    #[cold]
    pub fn may_ask(&mut self) -> bool {
        let ticks = arch::ticks();
        if self.asked.is_some() || ticks.wrapping_sub(self.last_look) < LOOK_TICKS {
            return false;
        }
        self.last_look = ticks;
        self.is_idle()
    }

    /// Whether the main thread was given a pending call that it has not made yet: another one would wait behind it,
    /// and there is room for few.
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Notes why a snapshot was asked of the main thread; `None` if Python has no room for the pending call. If it has not
    /// made the last one yet, other threads need not wait for it: it waits for them.
    pub fn set_asked(&mut self, asked: Option<Cause>) {
        let now = arch::ticks();
        let since = if self.is_queued {
            now.wrapping_sub(OVERDUE_ELSEWHERE_TICKS)
        } else {
            now
        };
        self.asked = asked.map(|cause| (cause, since));
        self.is_queued = asked.is_some();
    }

    /// The pending call is being made: why a snapshot was asked for, if none was taken meanwhile.
    pub fn take_asked(&mut self) -> Option<Cause> {
        self.is_queued = false;
        self.asked.take().map(|(cause, _)| cause)
    }

    /// The same at an allocation when the main thread has not come to it: it waits for a lock, or native code keeps it busy. `is_main`
    /// tells whether that thread itself allocates.
    #[inline]
    pub fn take_overdue(&mut self, is_main: bool) -> Option<Cause> {
        if is_main {
            self.main_was_here = self.last_look;
        }
        let (_, since) = self.asked?;
        let patience = if is_main {
            OVERDUE_TICKS
        } else if since.wrapping_sub(self.main_was_here) > OVERDUE_ELSEWHERE_TICKS {
            OVERDUE_WITHOUT_MAIN_TICKS
        } else {
            OVERDUE_ELSEWHERE_TICKS
        };
        if arch::ticks().wrapping_sub(since) < patience {
            return None;
        }
        self.asked.take().map(|(cause, _)| cause)
    }

    /// Numbers of the snapshots that somebody wanted in particular, rising.
    pub fn wanted(&self) -> &[u32] {
        self.wanted.as_slice()
    }

    /// Number of the next snapshot.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// Why no snapshot may be taken now, if so: the last one is not written yet, or the program is tiny and nobody wants
    /// it in particular.
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

    /// Resident memory; at its highest where no snapshot is complete: better what is left of a program that was large than nothing.
    fn resident_at_end(&self) -> u64 {
        match self.any {
            true => os::resident_bytes(),
            false => os::resident_bytes().max(os::resident_and_highest(os::pid()).1),
        }
    }

    /// Whether the heap at the end is worth a snapshot of its own: it differs much from the last one, or did so while there
    /// was none. While the program takes its modules apart, every page that it touches is copied for the child.
    pub fn differs_at_end(&self) -> bool {
        self.resident_at_end().abs_diff(self.last_resident) >= self.step()
    }

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
                // SAFETY: this is the clone; `on_fault` goes back to a guarded call or ends the process.
                unsafe { os::become_expendable(WATCHDOG_SECONDS, &lock, child::on_fault) };
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
                    stem: numbered(destination.stem, number),
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

/// Removes snapshots before `number`, so that the last [`KEPT`] ones are left. Some numbers have no snapshot: their
/// children gave up. Those that somebody wanted stay, and do not count.
fn remove_older(stem: Path, number: u32, wanted: &[u32]) {
    let mut kept = 1;
    for old in (0..number).rev().filter(|old| wanted.binary_search(old).is_err()) {
        let stem = numbered(stem, old);
        if kept >= KEPT {
            parts::remove(stem);
        } else if parts::are_complete(stem) {
            kept += 1;
        }
    }
}

fn numbered(mut stem: Path, number: u32) -> Path {
    stem.push_number(number, 0);
    stem.push(b".");
    stem
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
