//! The recorder's data, behind one lock, and the state of the agent in this process.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::filter::{self, Ask};
use crate::live_block::LiveBlock;
use crate::lock::Lock;
use crate::output::Output;
use crate::path::Path;
use crate::python::allocators::Wrappers;
use crate::python::{InterpreterState, Python};
use crate::regions::Regions;
use crate::sampler::Sampler;
use crate::snapshot::Snapshots;
use crate::stacks::Stacks;
use crate::table::Table;

/// The state of the agent:
///
/// ```text
/// UNSET ──constructor──► WAITING ──Python is up──► ON ──exit, disk full──► INERT
///   └──no Python, no capture asked for──────────────────────────────────────►┘
/// ```
pub(super) static STATE: AtomicU32 = AtomicU32::new(UNSET);
pub(super) const UNSET: u32 = 0;
pub(super) const INERT: u32 = 1;
pub(super) const WAITING: u32 = 2;
pub(super) const ON: u32 = 3;

/// A word on a page that the kernel zeroes in the child of any fork: one of the three values below.
pub(super) static OURS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

/// In a forked child whose own recording has not begun.
pub(super) const NOT_BEGUN: u32 = 0;
/// In a process that is recorded.
pub(super) const RECORDED: u32 = 1;
/// In a forked child while one of its threads begins the recording.
pub(super) const BEGINS: u32 = 2;

/// Whether heap snapshots are taken at all.
pub(super) static WITH_SNAPSHOTS: AtomicBool = AtomicBool::new(false);

/// The recorder.
pub(super) static AGENT: Lock<Recorder> = Lock::new(Recorder::new());

/// A function that Python's main thread calls at a safe point.
pub type PendingCall = unsafe extern "C" fn(*mut c_void) -> c_int;

/// The functions that Python is given to call. They use the recorder, so the recorder does not name them: it is given them at the
/// start.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// The wrappers of Python's allocators.
    pub wrappers: &'static Wrappers,
    /// Compares a walk of the frames with what Python says about them.
    pub self_test: PendingCall,
    /// Takes the snapshot that was requested.
    pub due_snapshot: PendingCall,
    /// Wraps the allocators again if the wrappers were removed.
    pub keep_wrappers: PendingCall,
}

/// The recorder: all that the lock protects.
pub struct Recorder {
    pub(super) config: Config,
    pub(super) sampler: Sampler,
    pub(super) python: Option<Python>,
    pub(super) interpreter: Option<InterpreterState>,
    pub(super) stack_state: StackState,
    /// The functions that Python is given to call; `None` until the library is set up.
    pub(super) callbacks: Option<Callbacks>,
    pub(super) output: Output,
    pub(super) stacks: Stacks,
    pub(super) catalogue: Catalogue,
    /// Recorded blocks that are live; in an exact run only large ones, and only for snapshots.
    pub(super) live: Table<u64, LiveBlock>,
    pub(super) snapshots: Snapshots,
    /// Whether the capture says that Python ends.
    pub(super) python_ends: bool,
    pub(super) regions: Regions,
    /// Number of the recording; it changes in a forked child, where ids that threads have kept from the parent are void.
    pub(super) epoch: u32,
    /// Number of events so far, to spread rare work.
    pub(super) turns: u32,
}

/// Whether there are Python stacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StackState {
    /// A walk has not been compared with the public API yet; `asked`: the comparison is queued.
    Untested { asked: bool },
    /// Walks agree with the public API, up to `deepest` frames. A much deeper stack is compared again, at most `tests_left`
    /// times.
    On {
        deepest: usize,
        tests_left: u8,
        asked: bool,
    },
    /// There are no Python stacks.
    Off,
}

impl Recorder {
    /// Nothing recorded yet.
    pub(super) const fn new() -> Recorder {
        Recorder {
            config: Config::NONE,
            sampler: Sampler { interval: 1, always: 1 },
            python: None,
            interpreter: None,
            stack_state: StackState::Off,
            callbacks: None,
            output: Output::new(),
            stacks: Stacks::new(),
            catalogue: Catalogue::new(),
            live: Table::new(),
            snapshots: Snapshots::new(0),
            python_ends: false,
            regions: Regions::new(),
            epoch: 0,
            turns: 0,
        }
    }

    /// Writes a note for the report.
    pub(super) fn note(&mut self, pieces: &[&[u8]]) {
        let mut text = Path::EMPTY;
        for piece in pieces {
            text.push(piece);
        }
        let text = text.with_nul().split_last().map_or(&[][..], |(_, text)| text);
        let _ = self.output.define(text.len(), |writer| writer.note(text));
    }

    /// Queues a callback for Python's main thread; returns whether Python has accepted it.
    pub(super) fn add_pending_call(&self, which: impl FnOnce(&Callbacks) -> PendingCall) -> bool {
        let (Some(python), Some(callbacks)) = (&self.python, &self.callbacks) else {
            return false;
        };
        // SAFETY: `Py_AddPendingCall` may be called from any thread, with or without the GIL, once Python is initialised.
        python.is_initialized()
            && unsafe { (python.functions.add_pending_call)(which(callbacks), core::ptr::null_mut()) } == 0
    }
}

/// The word on the page that is zeroed in forked children; `None` before it is mapped.
pub(super) fn ours() -> Option<&'static AtomicU32> {
    // SAFETY: null, or on the page that `lifecycle::start` has mapped, which is never unmapped.
    unsafe { OURS.load(Ordering::Acquire).as_ref() }
}

/// Whether this is a forked child whose own recording has not begun.
pub(super) fn is_forked_child() -> bool {
    ours().is_some_and(|ours| ours.load(Ordering::Acquire) != RECORDED)
}

/// Ends the recording of this process.
pub(super) fn go_inert() {
    STATE.store(INERT, Ordering::Release);
    filter::ask(Ask::Nothing);
}
