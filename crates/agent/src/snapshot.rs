//! Heap snapshots: when one is due, and the clone that takes it.
//!
//! The program stands still for the clone only. The child sees the heap as it was at that moment (copy-on-write),
//! writes it down ([`child`]), and ends. No signal tells of its end and no `wait` of the program's sees it. It gives up when it
//! costs too much memory.

pub mod child;
mod collector;
mod due;
mod fork;
mod parts;
mod request;

use deadweight_capture::Cause;

use crate::list::List;
use crate::os;
use crate::path::Path;

pub use fork::Forked;

/// Ticks of the processor between two looks at the resident memory: about 5 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 15_000_000;

/// After a child that gave up, the next one begins no sooner than its life later, and than this time; doubled for each that
/// gave up in turn, the first one too.
const LEAST_PATIENCE_NANOS: u64 = 100_000_000;
/// The program's end waits for the last snapshot for this part of its run: 1/10, within bounds. Python takes all its
/// objects apart then, and each page that it touches would be copied for the child.
const WAIT_PART: u64 = 10;
const LEAST_WAIT_NANOS: u64 = 1_000_000_000;
const MOST_WAIT_NANOS: u64 = 5_000_000_000;

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

    /// Numbers of the snapshots that somebody wanted in particular, rising.
    pub fn wanted(&self) -> &[u32] {
        self.wanted.as_slice()
    }

    /// Number of the next snapshot.
    pub fn next_number(&self) -> u32 {
        self.next
    }
}
