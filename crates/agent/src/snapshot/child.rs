//! The snapshot child: it walks every object of the heap and writes the graph to the capture.
//!
//! It has one thread, no handlers and no open files of the program's, and the program's memory as it was at the fork. It may
//! fault, since it calls `tp_traverse` of extension types: a fault loses one object ([`crate::arch::guarded_call`]), an alarm
//! ends a hang, and a crash costs the snapshot.
//!
//! Each object is written with its named edges, which are read by its layout, and with what its type's `tp_traverse` visits. An
//! edge found both ways appears once, named and counted; one that only `tp_traverse` visits has no name; one that is only
//! in the layout is not counted, as the collector does not count it either.

mod budget;
mod chunks;
mod labels;
mod memory;
mod native;
mod objects;
mod reached;

use core::ops::ControlFlow;

use deadweight_capture::{Cause, EdgeLabel, RootKind, StringId};
use deadweight_cpython::Layout;
use deadweight_cpython::heap::{Context, Edge, Interpreters, Known, NameRef, lists, threads, variables};

use self::budget::Budget;
use self::chunks::Chunks;
use self::memory::ProgramMemory;
use self::objects::KnownType;
use self::reached::Reached;
use super::fork::Begun;
use super::parts::{self, Parts, Stopped};
use crate::config::Limit;
use crate::list::List;
use crate::live_block::LiveBlock;
use crate::memory::NoMemory;
use crate::os;
use crate::output::Destination;
use crate::path::Path;
use crate::table::Table;

/// Highest number of objects in a snapshot.
const MAX_OBJECTS: u64 = 1 << 28;
/// Highest number of objects in the queue; further ones are found again in [`Reached`].
const MAX_QUEUE: usize = 1 << 16;
/// Highest number of distinct names; edges with further names are written without a name.
const MAX_NAMES: u32 = 200_000;
/// Longest name, in bytes.
const NAME_BYTES: usize = 512;
/// Bytes of an object's body that are searched for addresses at most.
const MAX_BODY: u64 = 16 << 10;
/// Of native blocks of at least this size, a sample decides whether they are searched,
const LARGE_BLOCK: u64 = 256 << 10;
/// of this many bytes.
const SAMPLE_BYTES: u64 = 16 << 10;
const PAGE: u64 = 4096;
/// Bytes of native blocks that are searched for addresses in total.
const MAX_SEARCHED: u64 = 4 << 30;

/// What the child needs to know.
pub struct Job<'a> {
    /// Why the snapshot is taken.
    pub cause: Cause,
    /// The program's label for it.
    pub label: &'a [u8],
    /// Numbers of the snapshots that are kept in any case, ascending.
    pub wanted: &'a [u32],
    /// Offsets of this interpreter.
    pub layout: &'static Layout,
    /// Addresses of its types.
    pub known: &'a Known,
    /// The interpreters' states.
    pub interpreters: &'a Interpreters,
    /// Recorded blocks that are live.
    pub live: &'a Table<u64, LiveBlock>,
    /// Where the snapshot goes.
    pub destination: Destination,
    /// The memory limit.
    pub limit: Limit<'a>,
    /// Its number, and the figures of the moment at which the program was paused.
    pub begun: Begun,
}

/// Writes the snapshot and ends the process.
// Not inlined: all variables that the child writes to must lie below `job` on the stack (`ProgramMemory::of_copy`).
#[inline(never)]
pub fn run(job: &Job<'_>) -> ! {
    let pause = os::now_nanos().saturating_sub(job.begun.began);
    let stem = parts::numbered(job.destination.stem, job.begun.number);
    let written = write(job, stem, pause);
    match written {
        Ok(()) if job.cause.is_wanted() => {}
        Ok(()) => parts::remove_older(job.destination.stem, job.begun.number, job.wanted),
        // A partial graph is of no use.
        Err(Stopped) => parts::remove(stem),
    }
    os::exit_group(i32::from(written.is_err()))
}

fn write(job: &Job<'_>, stem: Path, pause: u64) -> Result<(), Stopped> {
    let memory = ProgramMemory::of_copy(&raw const *job as u64)?;
    let mut walker = Walker::begin(job, &memory, stem)?;
    let written = walker.write(job, pause);
    match written {
        Ok(()) => walker.parts.finish(),
        // At once: removing the files takes long, and each page that the program changes meanwhile would be copied.
        // SAFETY: the walk is over, and only this function's callers run after it, which use no memory of the program's but
        // `job`, which is on the stack.
        Err(Stopped) => unsafe { walker.let_go_of_objects() },
    }
    written
}

#[derive(Clone, Copy)]
struct Block {
    addr: u64,
    size: u64,
    /// Bytes from its start that are searched for addresses.
    searched: u64,
}

struct Walker<'a> {
    ctx: Context<'a, ProgramMemory>,
    parts: Parts,
    budget: Budget,
    reached: Reached,
    /// Objects that are still to be written.
    queue: List<u64>,
    /// Whether the queue was full, so that some objects are only in `reached`.
    overflowed: bool,
    /// What `tp_traverse` of the current object has visited.
    targets: List<u64>,
    /// If these are many: how often each is among them, less the named edges that have claimed it.
    visits: Table<u64, u32>,
    types: Table<u64, KnownType>,
    next_type: u32,
    names: Table<u64, StringId>,
    next_name: u32,
    /// Live native blocks by address.
    blocks: List<Block>,
    /// Unrecorded blocks that may lead to recorded ones, and which of them have been followed.
    chunks: Chunks,
    followed: Reached,
    objects: u64,
    failed: u64,
}

impl From<NoMemory> for Stopped {
    fn from(_: NoMemory) -> Stopped {
        Stopped
    }
}

impl<'a> Walker<'a> {
    fn begin(job: &Job<'a>, mem: &'a ProgramMemory, stem: Path) -> Result<Walker<'a>, Stopped> {
        Ok(Walker {
            ctx: Context {
                mem,
                layout: job.layout,
                known: job.known,
            },
            parts: Parts::begin(stem, job.destination.info)?,
            budget: Budget::begin(job.begun.program, job.begun.resident, job.limit, job.cause),
            reached: Reached::new(),
            queue: List::new(),
            overflowed: false,
            targets: List::new(),
            visits: Table::new(),
            types: Table::new(),
            next_type: 1,
            names: Table::new(),
            next_name: 1,
            blocks: List::new(),
            chunks: Chunks::new(),
            followed: Reached::new(),
            objects: 0,
            failed: 0,
        })
    }

    fn write(&mut self, job: &Job<'a>, pause: u64) -> Result<(), Stopped> {
        self.parts.put(|writer| writer.heap_cause(job.cause, job.label))?;
        self.list_blocks(job.live)?;
        self.let_go_of_data();
        let interpreters = job.interpreters;
        let main = interpreters.main(self.ctx.mem).ok_or(Stopped)?;
        self.interpreter_roots(interpreters, main)?;
        self.frame_roots(interpreters, main)?;
        self.tracked_objects(interpreters.gc(main))?;
        self.drain()?;
        self.native_blocks(job.live)?;
        // Objects that only native memory refers to were found meanwhile.
        self.drain()?;
        let (objects, failed) = (self.objects, self.failed);
        self.parts.put(|writer| writer.heap_end(objects, failed, pause))
    }

    /// Writes all objects that the collector tracks, in the order of its lists.
    fn tracked_objects(&mut self, gc: u64) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        let ctx = self.ctx;
        lists::tracked(ctx.mem, self.ctx.layout, gc, MAX_OBJECTS, |object| {
            outcome = self.guarded_object(object).and_then(|()| self.drain_queue());
            // Stop at once if the budget is used up.
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(Stopped) => ControlFlow::Break(()),
            }
        });
        outcome
    }

    // ---- roots ----

    fn interpreter_roots(&mut self, interpreters: &Interpreters, main: u64) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        interpreters.roots(self.ctx.mem, main, |root| {
            if outcome.is_ok() {
                outcome = self.static_name(root.name).and_then(|name| {
                    self.parts.put(|writer| writer.heap_root(RootKind::Interpreter, name))?;
                    self.meet(root.object)?;
                    self.edge(root.object, EdgeLabel::Unnamed(0), false)
                });
            }
        });
        outcome
    }

    fn frame_roots(&mut self, interpreters: &Interpreters, main: u64) -> Result<(), Stopped> {
        let mut edges: List<Edge> = List::new();
        let mut states: List<u64> = List::new();
        let mut frames: List<u64> = List::new();
        threads::each(self.ctx.mem, interpreters, main, |state| {
            let _ = states.push(state);
        });
        for &state in states.as_slice() {
            threads::frames(self.ctx, state, |frame| {
                let _ = frames.push(frame);
            });
        }
        for &frame in frames.as_slice() {
            edges.clear();
            let code = variables::frame(self.ctx, frame, &mut |edge| {
                let _ = edges.push(edge);
            });
            let name = code.map_or(Ok(StringId::EMPTY), |code| self.name(NameRef::Str(code.qualified_name)))?;
            self.parts.put(|writer| writer.heap_root(RootKind::Frame, name))?;
            for &edge in edges.as_slice() {
                self.meet(edge.to)?;
                let label = self.label(edge.label)?;
                self.edge(edge.to, label, false)?;
            }
        }
        Ok(())
    }
}
