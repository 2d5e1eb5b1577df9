//! Heap snapshots: when one is due ([`due`]), how it is requested ([`request`]), and the forked child that writes it
//! ([`fork`], [`child`]).
//!
//! The program is paused only while it is forked. The child sees the heap as it was at that moment (copy-on-write), writes it
//! to the capture, and exits. Its exit raises no signal, and no `wait` of the program's sees it. It gives up when it costs
//! too much memory.

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

/// Processor clock ticks between two checks of the resident memory: about 5 ms at 2 to 4 GHz.
const LOOK_TICKS: u64 = 15_000_000;

/// After a child has given up, the next one starts no sooner than after this time, or after the time for which that child
/// ran if it is longer; doubled for each child in a row that has given up, the first one included.
const LEAST_PATIENCE_NANOS: u64 = 100_000_000;
/// At its end the program waits for the last snapshot for at most 1/10 of its run time, within the bounds below. Python would
/// otherwise tear down its objects meanwhile, and every page that it touches would be copied for the child.
const WAIT_PART: u64 = 10;
const LEAST_WAIT_NANOS: u64 = 1_000_000_000;
const MOST_WAIT_NANOS: u64 = 5_000_000_000;

/// The state of this process's snapshots.
pub struct Snapshots {
    /// Number of the next snapshot.
    next: u32,
    /// Resident memory when the last complete snapshot was taken, or when the process was forked, bytes.
    last_resident: u64,
    /// Whether there is a complete snapshot.
    any: bool,
    /// The child that is writing.
    child: Option<Writing>,
    /// The next snapshot may be taken from this time on (`CLOCK_MONOTONIC`, nanoseconds).
    not_before: u64,
    /// How many children in a row have given up.
    given_up: u32,
    /// Whether the process was near the memory limit at the last check.
    near_limit: bool,
    /// Whether, at the pace of the last check, the limit would be reached before a snapshot could be written.
    too_fast: bool,
    /// Resident memory at the last check against the limit, bytes, and the time of that check (`CLOCK_MONOTONIC`,
    /// nanoseconds).
    asked_at: u64,
    asked_nanos: u64,
    /// When the resident memory was last checked, in ticks.
    last_look: u64,
    /// The last such check before the main thread recorded an allocation, in ticks.
    main_was_here: u64,
    /// When the recording began (`CLOCK_MONOTONIC`, nanoseconds).
    since: u64,
    /// Why and when (in ticks) a snapshot was requested that Python's main thread has not taken yet.
    asked: Option<(Cause, u64)>,
    /// Whether it was requested because of the limit, so that it must not wait for the collector.
    is_urgent: bool,
    /// Whether a pending call for a snapshot is still in Python's queue.
    is_queued: bool,
    /// Numbers of the snapshots that the user requested, ascending: these are kept.
    wanted: List<u32>,
}

/// A child that is writing a snapshot.
#[derive(Clone, Copy)]
struct Writing {
    child: u32,
    began: u64,
    resident: u64,
    /// Path prefix of its files.
    stem: Path,
}

/// Why no snapshot was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another one is still being written, by this process or by others of the run.
    Busy,
    /// The process could not be forked.
    NoProcess,
    /// The program is too small for an automatic snapshot.
    Tiny,
}

impl Snapshots {
    /// No snapshots yet. `inherited` is the resident memory that a forked process began with, bytes: only growth beyond it
    /// makes a snapshot due.
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

    /// Called when the recording begins.
    pub fn begin(&mut self) {
        self.since = os::now_nanos();
    }

    /// How long the program may wait at its end until the last snapshot is written, nanoseconds.
    pub fn patience_at_end(&self) -> u64 {
        let age = os::now_nanos().saturating_sub(self.since);
        (age / WAIT_PART).clamp(LEAST_WAIT_NANOS, MOST_WAIT_NANOS)
    }

    /// Whether no child is writing. Evaluates how the last one ended.
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
            // It gave up and removed its files, or it was killed.
            parts::remove(writing.stem);
            self.given_up += 1;
            let patience = age.max(LEAST_PATIENCE_NANOS);
            self.not_before = now.saturating_add(patience << self.given_up.min(6));
        }
        true
    }

    /// Numbers of the snapshots that the user requested, ascending.
    pub fn wanted(&self) -> &[u32] {
        self.wanted.as_slice()
    }

    /// Number of the next snapshot.
    pub fn next_number(&self) -> u32 {
        self.next
    }
}
