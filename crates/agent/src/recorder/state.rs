//! What the recorder keeps, under one lock; and where the agent is in its life.

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

/// Where the agent is in its life:
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

/// A page that the kernel wipes in the child of any fork: [`RECORDED`] in the process that is recorded.
pub(super) static OURS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

/// A child that has not begun its own recording.
pub(super) const NOT_BEGUN: u32 = 0;
/// The process is recorded.
pub(super) const RECORDED: u32 = 1;
/// A thread of a child begins its recording at this moment.
pub(super) const BEGINS: u32 = 2;

/// Whether heap snapshots are taken at all.
pub(super) static WITH_SNAPSHOTS: AtomicBool = AtomicBool::new(false);

pub(super) static AGENT: Lock<Recorder> = Lock::new(Recorder::new());

/// A function that Python's main thread calls at a safe point.
pub type PendingCall = unsafe extern "C" fn(*mut c_void) -> c_int;

/// What Python is given to call. All of it uses the recorder, which so must be told of it.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// The wrappers of Python's allocators.
    pub wrappers: &'static Wrappers,
    /// Compares a walk of frames with what Python says of them.
    pub self_test: PendingCall,
    /// Takes the snapshot that was asked for.
    pub due_snapshot: PendingCall,
    /// Puts the wrappers back if they were removed.
    pub keep_wrappers: PendingCall,
}

/// What the lock guards.
pub struct Recorder {
    pub(super) config: Config,
    pub(super) sampler: Sampler,
    pub(super) python: Option<Python>,
    pub(super) interpreter: Option<InterpreterState>,
    pub(super) stack_state: StackState,
    /// What Python is given to call; `None` before the recording can begin.
    pub(super) callbacks: Option<Callbacks>,
    pub(super) output: Output,
    pub(super) stacks: Stacks,
    pub(super) catalogue: Catalogue,
    /// Live blocks that were recorded (sampled run only).
    pub(super) live: Table<u64, LiveBlock>,
    pub(super) snapshots: Snapshots,
    /// Whether Python's end was seen to begin.
    pub(super) python_ends: bool,
    pub(super) regions: Regions,
    /// Changes in a forked child: what threads remember of the parent's ids is void.
    pub(super) epoch: u32,
    pub(super) turns: u32,
}

/// Whether there are Python stacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StackState {
    /// The walk was not yet compared with the public API; whether the comparison is on its way.
    Untested { asked: bool },
    /// It was right, with at most so many frames; a deeper stack is compared again, so many times.
    On {
        deepest: usize,
        tests_left: u8,
        asked: bool,
    },
    /// There are no Python stacks.
    Off,
}

impl Recorder {
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

    pub(super) fn note(&mut self, pieces: &[&[u8]]) {
        let mut text = Path::EMPTY;
        for piece in pieces {
            text.push(piece);
        }
        let text = text.with_nul().split_last().map_or(&[][..], |(_, text)| text);
        let _ = self.output.define(text.len(), |writer| writer.note(text));
    }

    /// Has Python's main thread make one of our calls; whether Python has taken it on.
    pub(super) fn add_pending_call(&self, which: impl FnOnce(&Callbacks) -> PendingCall) -> bool {
        let (Some(python), Some(callbacks)) = (&self.python, &self.callbacks) else {
            return false;
        };
        // SAFETY: may be called from any thread, with or without the GIL, once Python is initialised.
        python.is_initialized()
            && unsafe { (python.functions.add_pending_call)(which(callbacks), core::ptr::null_mut()) } == 0
    }
}

pub(super) fn ours() -> Option<&'static AtomicU32> {
    // SAFETY: null, or the page that `start` has mapped, which is never unmapped.
    unsafe { OURS.load(Ordering::Acquire).as_ref() }
}

/// Whether this is a child that has not begun its own recording.
pub(super) fn is_forked_child() -> bool {
    ours().is_some_and(|ours| ours.load(Ordering::Acquire) != RECORDED)
}

/// Recording is over in this process.
pub(super) fn go_inert() {
    STATE.store(INERT, Ordering::Release);
    filter::ask(Ask::Nothing);
}
