//! The child of a snapshot: walks every object of the heap and writes the graph down.
//!
//! It has one thread, no handlers, no files, and the program's memory as it was. It may fault: what it reads belongs to
//! extension modules too. A fault loses one object ([`crate::arch::guarded_call`]), a hang ends by an alarm, and a crash costs
//! a snapshot.
//!
//! Every object is written with its named edges (read by layout) and with what its type's `tp_traverse` visits. An
//! edge that both know appears once, named and counted; one that only `tp_traverse` knows has no name; one that only
//! the layout knows is not counted, as the collector does not count it.

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

/// Objects that a snapshot may have.
const MAX_OBJECTS: u64 = 1 << 28;
/// Objects that wait to be written; further ones are found again in [`Reached`].
const MAX_QUEUE: usize = 1 << 16;
/// Names that are kept; edges under further ones are written `[…]`.
const MAX_NAMES: u32 = 200_000;
/// Longest name, in bytes.
const NAME_BYTES: usize = 512;
/// Bytes of an object's body that are searched for addresses.
const MAX_BODY: u64 = 16 << 10;
/// Native blocks of at least this size are looked into before they are searched.
const LARGE_BLOCK: u64 = 256 << 10;
/// So many bytes of them.
const SAMPLE_BYTES: u64 = 16 << 10;
const PAGE: u64 = 4096;
/// Bytes of native blocks that are searched for addresses, in all.
const MAX_SEARCHED: u64 = 4 << 30;

/// What the child needs to know.
pub struct Job<'a> {
    /// Why it is taken.
    pub cause: Cause,
    /// What the program calls it.
    pub label: &'a [u8],
    /// Numbers of the snapshots that are kept in any case, rising.
    pub wanted: &'a [u32],
    /// Offsets of this interpreter.
    pub layout: &'static Layout,
    /// Addresses of its types.
    pub known: &'a Known,
    /// Where its state is.
    pub interpreters: &'a Interpreters,
    /// Recorded blocks that are live.
    pub live: &'a Table<u64, LiveBlock>,
    /// Where the snapshot goes.
    pub destination: Destination,
    /// The memory limit.
    pub limit: Limit<'a>,
    /// Its number, and what was so when the program stopped for it.
    pub begun: Begun,
}

/// Writes the snapshot and ends the process.
// Not inlined: what it writes to on the stack must lie below the job.
#[inline(never)]
pub fn run(job: &Job<'_>) -> ! {
    let pause = os::now_nanos().saturating_sub(job.begun.began);
    let stem = parts::numbered(job.destination.stem, job.begun.number);
    let written = write(job, stem, pause);
    match written {
        Ok(()) if job.cause.is_wanted() => {}
        Ok(()) => parts::remove_older(job.destination.stem, job.begun.number, job.wanted),
        // Half a graph answers no question.
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
        // First: removing files takes long, and each page that the program changes meanwhile would be copied.
        // SAFETY: the walk is over.
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
    /// Objects to be written.
    queue: List<u64>,
    /// Whether the queue was full: some are only in `reached`.
    overflowed: bool,
    /// What `tp_traverse` of the current object visited.
    targets: List<u64>,
    /// Where these are many: how often each is among them, less the named edges that have claimed it.
    visits: Table<u64, u32>,
    types: Table<u64, KnownType>,
    next_type: u32,
    names: Table<u64, StringId>,
    next_name: u32,
    /// Live native blocks by address.
    blocks: List<Block>,
    /// Blocks that were not recorded and may lead to them, and which of these were followed.
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
        // Objects that only native memory refers to.
        self.drain()?;
        let (objects, failed) = (self.objects, self.failed);
        self.parts.put(|writer| writer.heap_end(objects, failed, pause))
    }

    /// Writes all objects that the collector tracks, in the order in which they were made.
    fn tracked_objects(&mut self, gc: u64) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        let ctx = self.ctx;
        lists::tracked(ctx.mem, self.ctx.layout, gc, MAX_OBJECTS, |object| {
            outcome = self.guarded_object(object).and_then(|()| self.drain_queue());
            // At once: the budget is used up.
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
