//! From a hook to an event: what is recorded, when, and under which lock.
//!
//! The fast paths (`hooks.rs`) cost a few nanoseconds and take no lock. All else is here behind `AGENT`'s lock, entered
//! only with an [`InHook`]; `pending.rs` has what Python runs for us at safe points, `lifecycle.rs` the process's beginning,
//! forks and end.

mod hooks;
mod lifecycle;
mod pending;
mod region;
mod snapshot;

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use deadweight_capture::wire::State;
use deadweight_capture::{Addr, Allocator, Cause, StackId};
use deadweight_cpython::is_plausible;

use crate::catalogue::{Catalogue, Defining};
use crate::config::Config;
use crate::filter::{self, Ask};
use crate::lock::{Held, Lock};
use crate::os;
use crate::output::Output;
use crate::path::Path;
use crate::pymem;
use crate::python::{InterpreterState, Python, Reason, ThreadView};
use crate::regions::Regions;
use crate::sampler::Sampler;
use crate::snapshot::{Limit, Snapshots};
use crate::stacks::{Stacks, fixed};
use crate::table::Table;
use crate::thread::{InHook, Thread};

pub use hooks::{allocated, arena_mapped, arena_unmapped, freed, mapped, reallocated, remapped, unmapped};
pub use lifecycle::finish_at_once;
#[cfg_attr(
    test,
    expect(unused_imports, reason = "used by the library's constructor and destructor")
)]
pub use lifecycle::{finish, start};
pub use pending::{last_snapshot, note_memory_error, snapshot_now};
pub use region::{begin_regions, enter_region, leave_region};
pub use snapshot::SnapshotOutcome;

/// Where the agent is in its life:
///
/// ```text
/// UNSET ──constructor──► WAITING ──Python is up──► ON ──exit, disk full──► INERT
///   └──no Python, no capture asked for──────────────────────────────────────►┘
/// ```
static STATE: AtomicU32 = AtomicU32::new(UNSET);
const UNSET: u32 = 0;
const INERT: u32 = 1;
const WAITING: u32 = 2;
const ON: u32 = 3;

/// A page that the kernel wipes in the child of any fork: [`RECORDED`] in the process that is recorded.
static OURS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());

/// A child that has not begun its own recording.
const NOT_BEGUN: u32 = 0;
/// The process is recorded.
const RECORDED: u32 = 1;
/// A thread of a child begins its recording at this moment.
const BEGINS: u32 = 2;

/// Whether heap snapshots are taken at all.
static WITH_SNAPSHOTS: AtomicBool = AtomicBool::new(false);

static AGENT: Lock<Recorder> = Lock::new(Recorder::new());

/// Turns between two looks at whether Python's allocators are still wrapped.
const PYMEM_TURNS: u32 = 64;

struct Recorder {
    config: Config,
    sampler: Sampler,
    python: Option<Python>,
    interpreter: Option<InterpreterState>,
    stack_state: StackState,
    output: Output,
    stacks: Stacks,
    catalogue: Catalogue,
    /// Live blocks that were recorded (sampled run only).
    live: Table<u64, LiveBlock>,
    snapshots: Snapshots,
    /// Whether Python's end was seen to begin.
    python_ends: bool,
    regions: Regions,
    /// Changes in a forked child: what threads remember of the parent's ids is void.
    epoch: u32,
    turns: u32,
}

/// A recorded block that is live; heap snapshots join objects with it.
#[derive(Clone, Copy)]
pub struct LiveBlock {
    /// Bytes that were asked for.
    pub size: u64,
    /// By whom.
    pub stack: StackId,
    /// Through which domain.
    pub domain: Allocator,
}

/// In an exact run only snapshots ask for the live blocks, and only those of at least this size are kept: the small
/// ones belong to objects whose sizes a snapshot knows anyway.
const EXACT_LIVE_BYTES: u64 = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum StackState {
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

/// The agent, if this process is being recorded.
#[inline]
fn recording(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    enter_recording(thread, inside).map(|(agent, _)| agent)
}

/// The agent, if this process is being recorded, and whether the thread's countdown begins only now. Begins the
/// recording when Python has come up, and in a forked child.
#[inline]
fn enter_recording(thread: &'static Thread, inside: &InHook) -> Option<(Held<'static, Recorder>, bool)> {
    match STATE.load(Ordering::Acquire) {
        ON if !is_forked_child() => {
            let agent = AGENT.hold(inside);
            let is_new = !thread.ready.get();
            if is_new {
                agent.begin_thread(thread);
            }
            Some((agent, is_new))
        }
        ON => begin_child(thread, inside).map(|agent| (agent, true)),
        WAITING => arm(thread, inside).map(|agent| (agent, true)),
        INERT => {
            thread.countdown.set(i64::MAX / 2);
            None
        }
        _ => None,
    }
}

fn ours() -> Option<&'static AtomicU32> {
    // SAFETY: null, or the page that `start` has mapped, which is never unmapped.
    unsafe { OURS.load(Ordering::Acquire).as_ref() }
}

fn is_forked_child() -> bool {
    ours().is_some_and(|ours| ours.load(Ordering::Acquire) != RECORDED)
}

#[cold]
fn arm(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    let mut agent = AGENT.hold(inside);
    let python = agent.python?;
    if !is_plausible(python.thread_state()) || !python.has_gil() {
        // Look again at the next allocation.
        thread.countdown.set(0);
        return None;
    }
    if STATE.load(Ordering::Acquire) == WAITING {
        agent.begin_process(false);
        if STATE.load(Ordering::Acquire) == ON {
            pymem::install(&python.functions);
        }
    }
    agent.output.is_open().then(|| {
        agent.begin_thread(thread);
        agent
    })
}

#[cold]
fn begin_child(thread: &'static Thread, inside: &InHook) -> Option<Held<'static, Recorder>> {
    // One thread begins; what others do until it has begun is not recorded.
    ours()?
        .compare_exchange(NOT_BEGUN, BEGINS, Ordering::Acquire, Ordering::Relaxed)
        .ok()?;
    // SAFETY: this is the child of a fork (`OURS` was wiped), where whoever held the lock does not exist; its own threads
    // ask for it only once `OURS` says `RECORDED`, and this one, being here, is the only one to come by.
    unsafe { AGENT.reset_in_child() };
    thread.ready.set(false);
    let mut agent = AGENT.hold(inside);
    agent.begin_process(true);
    agent.output.is_open().then(|| {
        agent.begin_thread(thread);
        agent
    })
}

impl Recorder {
    const fn new() -> Recorder {
        Recorder {
            config: Config::NONE,
            sampler: Sampler { interval: 1, always: 1 },
            python: None,
            interpreter: None,
            stack_state: StackState::Off,
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

    /// Begins the recording of this process; on failure the agent is inert from here on.
    fn begin_process(&mut self, forked: bool) {
        self.epoch += 1;
        self.live.clear();
        self.snapshots = Snapshots::new(if forked { os::resident_bytes() } else { 0 });
        self.snapshots.begin();
        self.python_ends = false;
        self.catalogue.begin();
        self.regions.marked = 0;
        let ready = filter::clear() && self.stacks.begin().is_ok();
        if let Some(ours) = ours() {
            ours.store(RECORDED, Ordering::Release);
        }
        let pid = os::pid();
        let begun = if ready {
            self.output.begin(&self.config, pid, self.sampler.always)
        } else {
            Err(State::NoMemory)
        };
        if begun.is_err() {
            self.output.stop(State::Failed);
            return go_inert();
        }
        let mut argv = [0; 4096];
        let mut file = Path::EMPTY;
        file.push(b"/proc/self/cmdline");
        let length = os::read_file(file.with_nul(), &mut argv);
        let version = self.python.map_or(0, |python| python.version_number());
        let argv = argv.get(..length).unwrap_or_default();
        let _ = self.output.define(argv.len(), |writer| {
            writer.process(os::parent_pid(), version, forked, argv)
        });
        for (id, frame) in fixed::ALL {
            let _ = self.output.define(0, |writer| writer.stack(id, StackId::NONE, frame));
        }
        if !forked {
            self.check_python();
        }
        filter::ask(if self.config.exact { Ask::Everything } else { Ask::Known });
        STATE.store(ON, Ordering::Release);
    }

    fn check_python(&mut self) {
        match self.python.map(|python| python.check()) {
            Some(Ok(interpreter)) => {
                self.interpreter = Some(interpreter);
                self.stack_state = StackState::Untested { asked: false };
            }
            Some(Err(reason)) => self.stacks_off(reason),
            None => self.stack_state = StackState::Off,
        }
    }

    fn stacks_off(&mut self, reason: Reason) {
        self.stack_state = StackState::Off;
        self.note(&[b"Python stacks are off: ", reason.as_bytes()]);
    }

    fn note(&mut self, pieces: &[&[u8]]) {
        let mut text = Path::EMPTY;
        for piece in pieces {
            text.push(piece);
        }
        let text = text.with_nul().split_last().map_or(&[][..], |(_, text)| text);
        let _ = self.output.define(text.len(), |writer| writer.note(text));
    }

    fn begin_thread(&self, thread: &Thread) {
        thread.is_main.set(os::thread_id() == os::pid());
        thread.native_epoch.set(0);
        thread.ready.set(true);
        if self.config.exact {
            thread.countdown.set(-1);
        } else {
            let seed = if self.config.seed != 0 {
                self.config.seed
            } else {
                os::now_nanos() ^ (u64::from(os::thread_id()) << 40) ^ thread as *const Thread as u64
            };
            self.sampler.begin(thread, crate::table::spread(seed));
        }
    }

    /// Takes `size` bytes off the countdown and decides whether a block of that size is recorded.
    fn counts_down(&self, thread: &Thread, size: usize) -> bool {
        thread.countdown.set(thread.countdown.get().wrapping_sub(size as i64));
        thread.countdown.get() < 0 && self.takes_part(thread, size)
    }

    /// Whether a block that overran the countdown is recorded.
    fn takes_part(&self, thread: &Thread, size: usize) -> bool {
        if self.config.exact {
            thread.countdown.set(-1);
            return true;
        }
        thread.countdown.get() < 0 && self.sampler.is_sampled(thread, size as u64)
    }

    #[inline]
    fn record(&mut self, thread: &Thread, address: u64, size: u64, domain: Allocator) {
        let stack = self.current_stack(thread);
        self.output.clock();
        self.mark_region(thread);
        if let Some(writer) = self.output.writer(0) {
            writer.alloc(Addr(address), size, stack, domain);
        }
        if !self.config.exact || (self.config.snapshots && size >= EXACT_LIVE_BYTES) {
            if self.live.get(address).is_none() {
                filter::add(address);
            }
            if self.live.insert(address, LiveBlock { size, stack, domain }).is_err() {
                self.output.stop(State::NoMemory);
            }
        }
        self.after_event();
    }

    #[inline]
    fn record_free(&mut self, thread: &Thread, address: u64) {
        let may_know = filter::may_know(address);
        if may_know && self.live.remove(address).is_some() {
            filter::remove(address);
        } else if !self.config.exact {
            if may_know {
                self.forget_code(address);
            }
            return;
        }
        self.output.clock();
        self.mark_region(thread);
        if let Some(writer) = self.output.writer(0) {
            writer.free(Addr(address));
        }
        if may_know {
            self.forget_code(address);
        }
        self.after_event();
    }

    fn forget_code(&mut self, address: u64) {
        if self.catalogue.forget_code(address) {
            self.stacks.forget_last();
        }
    }

    /// Housekeeping after each event: rare work, by turns.
    #[inline]
    fn after_event(&mut self) {
        if !self.python_ends && self.interpreter.is_some_and(|interpreter| interpreter.is_finalizing()) {
            self.note_python_ends(false);
        }
        self.turns = self.turns.wrapping_add(1);
        let mask = if self.config.exact {
            PYMEM_TURNS * 64 - 1
        } else {
            PYMEM_TURNS - 1
        };
        if self.turns & mask == 0 {
            self.look_after_pymem();
        }
        if !self.output.is_open() {
            go_inert();
        } else if self.output.is_asked() && self.snapshots.may_ask() {
            self.ask_for_snapshot(Cause::Asked);
        } else if self.config.snapshots {
            let (python, interpreter) = (self.python.as_ref(), self.interpreter.as_ref());
            let long_lived = || python?.has_gil().then(|| interpreter?.long_lived())?;
            if self.snapshots.is_due(limit(&self.config), long_lived) {
                self.ask_for_snapshot(Cause::Growth);
            }
        }
    }

    /// Notes that Python ends, unless that is known.
    fn note_end_of_work(&mut self) {
        if !self.python_ends {
            self.note_python_ends(false);
        }
    }

    /// Notes that Python ends, or has ended by now (`over`).
    #[cold]
    fn note_python_ends(&mut self, over: bool) {
        self.python_ends = true;
        self.output.clock_now();
        if let Some(writer) = self.output.writer(0) {
            let _ = writer.python_ends(os::now_nanos(), over);
        }
    }

    #[cold]
    fn look_after_pymem(&mut self) {
        if let Some(python) = self
            .python
            .filter(|python| python.is_initialized() && pymem::has_changed(&python.functions))
        {
            // SAFETY: may be called from any thread, with or without the GIL, once Python is initialised.
            unsafe { (python.functions.add_pending_call)(pending::keep_pymem, core::ptr::null_mut()) };
        }
    }

    /// The stack of the calling thread.
    #[inline]
    fn current_stack(&mut self, thread: &Thread) -> StackId {
        match self.stack_state {
            StackState::Off => return fixed::STACKS_OFF,
            StackState::Untested { asked } => {
                if !asked {
                    self.ask_for_self_test();
                }
                return fixed::START_UP;
            }
            StackState::On { .. } => {}
        }
        let (Some(python), Some(interpreter)) = (&self.python, &self.interpreter) else {
            return fixed::STACKS_OFF;
        };
        match interpreter.walk(python, thread, self.stacks.frames()) {
            ThreadView::Native => self.native_stack(thread),
            ThreadView::NoFrame => fixed::INTERPRETER,
            ThreadView::Frames(walk) => {
                if let StackState::On {
                    deepest,
                    tests_left: 1..,
                    asked: false,
                } = self.stack_state
                    && walk.len > 2 * deepest
                {
                    self.ask_for_self_test();
                }
                let layout = self.interpreter.map(|interpreter| interpreter.layout);
                let mut defining = Defining {
                    catalogue: &mut self.catalogue,
                    output: &mut self.output,
                    layout,
                };
                self.stacks.intern(walk.len, walk.truncated, &mut defining)
            }
        }
    }

    /// The stack of a thread that has no Python state: its name. Read anew now and then, as threads are named late.
    fn native_stack(&mut self, thread: &Thread) -> StackId {
        const USES: u32 = 256;
        let age = thread.native_age.get().wrapping_add(1);
        if thread.native_epoch.get() == self.epoch && age < USES {
            thread.native_age.set(age);
            return StackId(thread.native_stack.get());
        }
        let mut buffer = [0; 16];
        let name = self.catalogue.string(os::thread_name(&mut buffer), &mut self.output);
        let mut defining = Defining {
            catalogue: &mut self.catalogue,
            output: &mut self.output,
            layout: None,
        };
        let stack = self.stacks.native_thread(name, &mut defining);
        thread.native_stack.set(stack.0);
        thread.native_epoch.set(self.epoch);
        thread.native_age.set(0);
        stack
    }

    fn ask_for_self_test(&mut self) {
        let Some(python) = self.python.filter(|python| python.is_initialized()) else {
            return;
        };
        // SAFETY: may be called from any thread, with or without the GIL, once Python is initialised.
        let asked = unsafe { (python.functions.add_pending_call)(pending::self_test, core::ptr::null_mut()) } == 0;
        match &mut self.stack_state {
            StackState::Untested { asked: place } | StackState::On { asked: place, .. } => *place = asked,
            StackState::Off => {}
        }
    }

    /// Takes in the outcome of a comparison; `None` if there was nothing to compare yet.
    fn tested(&mut self, outcome: Option<Result<usize, Reason>>) {
        let tests_left = match self.stack_state {
            StackState::On { tests_left, .. } => tests_left.saturating_sub(1),
            _ => 4,
        };
        match outcome {
            Some(Ok(deepest)) => {
                self.stack_state = StackState::On {
                    deepest,
                    tests_left,
                    asked: false,
                }
            }
            Some(Err(reason)) => self.stacks_off(reason),
            None => match &mut self.stack_state {
                StackState::Untested { asked } | StackState::On { asked, .. } => *asked = false,
                StackState::Off => {}
            },
        }
    }
}

fn limit(config: &Config) -> Limit<'_> {
    Limit {
        bytes: config.limit,
        statistics: &config.limit_statistics,
    }
}

fn go_inert() {
    STATE.store(INERT, Ordering::Release);
    filter::ask(Ask::Nothing);
}
