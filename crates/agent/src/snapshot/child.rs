//! The child of a snapshot: walks every object of the heap and writes the graph down.
//!
//! It has one thread, no handlers, no files, and the program's memory as it was. It may fault: what it reads belongs to
//! extension modules too. A fault loses one object ([`arch::guarded_call`]), a hang ends by an alarm, and a crash costs
//! a snapshot.
//!
//! Every object is written with its named edges (read by layout) and with what its type's `tp_traverse` visits. An
//! edge that both know appears once, named and counted; one that only `tp_traverse` knows has no name; one that only
//! the layout knows is not counted, as the collector does not count it.

mod labels;
mod native;

use core::ffi::{c_int, c_void};

use deadweight_capture::{Addr, EdgeLabel, HeapObject, RootKind, StringId, TypeId};
use deadweight_cpython::heap::types::flags;
use deadweight_cpython::heap::{
    self, Context, Edge, Interpreters, Kind, Known, NameRef, TypeFacts, lists, names, refcount, size, threads,
    variables,
};
use deadweight_cpython::{Layout, is_plausible};

use super::parts::{Parts, Stopped};
use super::{Destination, numbered};
use crate::arch;
use crate::list::List;
use crate::os;
use crate::python::OwnMemory;
use crate::recorder::LiveBlock;
use crate::table::{NoMemory, Table};

/// Objects that a snapshot may have.
const MAX_OBJECTS: u64 = 1 << 28;
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
    /// Its number.
    pub number: u32,
    /// When the program stopped for it, nanoseconds of `CLOCK_MONOTONIC`.
    pub began: u64,
}

/// Writes the snapshot and ends the process.
pub fn run(job: &Job<'_>) -> ! {
    let pause = os::now_nanos().saturating_sub(job.began);
    let written = Walker::begin(job).and_then(|mut walker| {
        walker.write(job, pause)?;
        walker.parts.finish();
        Ok(())
    });
    os::exit_group(i32::from(written.is_err()))
}

/// The handler of SIGSEGV and SIGBUS in the child.
pub extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: `context` is a signal handler's third argument.
    if !unsafe { arch::resume_after_fault(context) } {
        os::exit_group(2);
    }
}

#[derive(Clone, Copy)]
struct Seen {
    /// Visits by the current object's `tp_traverse` that no named edge has claimed yet.
    pending: u32,
    tracked: bool,
}

#[derive(Clone, Copy)]
struct KnownType {
    facts: TypeFacts,
    id: TypeId,
}

#[derive(Clone, Copy)]
struct Block {
    addr: u64,
    size: u64,
    /// Bytes from its start that are searched for addresses.
    searched: u64,
}

struct Walker<'a> {
    ctx: Context<'a, OwnMemory>,
    parts: Parts,
    seen: Table<u64, Seen>,
    queue: List<u64>,
    targets: List<u64>,
    types: Table<u64, KnownType>,
    next_type: u32,
    names: Table<u64, StringId>,
    next_name: u32,
    /// Live native blocks by address.
    blocks: List<Block>,
    objects: u64,
    failed: u64,
}

impl From<NoMemory> for Stopped {
    fn from(_: NoMemory) -> Stopped {
        Stopped
    }
}

/// What `tp_traverse` calls for each reference; `list` is a `List<u64>`.
unsafe extern "C" fn visit(object: *mut c_void, list: *mut c_void) -> c_int {
    // SAFETY: `targets_of` passes a list that nothing else uses during the call.
    let list = unsafe { &mut *list.cast::<List<u64>>() };
    i32::from(list.push(object as u64).is_err())
}

/// Calls [`Walker::object`] behind the guard against faults.
unsafe extern "C" fn write_object(walker: *mut Walker<'_>, object: u64, _: usize) -> c_int {
    // SAFETY: `drain` passes itself and touches nothing of it during the call.
    let walker = unsafe { &mut *walker };
    i32::from(walker.object(object).is_err())
}

impl<'a> Walker<'a> {
    fn begin(job: &Job<'a>) -> Result<Walker<'a>, Stopped> {
        let parts = Parts::begin(numbered(job.destination.stem, job.number), job.destination.info)?;
        Ok(Walker {
            ctx: Context {
                mem: &OwnMemory,
                layout: job.layout,
                known: job.known,
            },
            parts,
            seen: Table::new(),
            queue: List::new(),
            targets: List::new(),
            types: Table::new(),
            next_type: 1,
            names: Table::new(),
            next_name: 1,
            blocks: List::new(),
            objects: 0,
            failed: 0,
        })
    }

    fn write(&mut self, job: &Job<'a>, pause: u64) -> Result<(), Stopped> {
        self.list_blocks(job.live)?;
        self.let_go_of_data();
        let mut outcome = Ok(());
        let interpreters = job.interpreters;
        let main = interpreters.main(self.ctx.mem).ok_or(Stopped)?;
        lists::tracked(self.ctx.mem, job.layout, interpreters.gc(main), MAX_OBJECTS, |object| {
            if outcome.is_ok() {
                outcome = self.seen.insert(
                    object,
                    Seen {
                        pending: 0,
                        tracked: true,
                    },
                );
                outcome = outcome.and_then(|()| self.queue.push(object));
            }
        });
        outcome?;
        self.interpreter_roots(interpreters, main)?;
        self.frame_roots(interpreters, main)?;
        self.drain()?;
        self.native_blocks(job.live)?;
        // Objects that only native memory refers to.
        self.drain()?;
        let (objects, failed) = (self.objects, self.failed);
        self.parts.put(|writer| writer.heap_end(objects, failed, pause))
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

    // ---- objects ----

    fn drain(&mut self) -> Result<(), Stopped> {
        while let Some(object) = self.queue.pop() {
            let place = &raw mut *self as usize;
            // SAFETY: `write_object` has these parameters; after a fault only that one object is incomplete.
            match unsafe { arch::guarded_call(write_object as *const () as usize, place, object as usize, 0) } {
                Some(0) => {}
                Some(_) => return Err(Stopped),
                None => self.failed += 1,
            }
        }
        Ok(())
    }

    /// Notes an object: it will be written, if it is not yet.
    #[inline]
    fn meet(&mut self, object: u64) -> Result<(), Stopped> {
        if is_plausible(object) && self.seen.get(object).is_none() {
            self.seen.insert(
                object,
                Seen {
                    pending: 0,
                    tracked: false,
                },
            )?;
            self.queue.push(object)?;
        }
        Ok(())
    }

    fn object(&mut self, object: u64) -> Result<(), Stopped> {
        let ctx = self.ctx;
        let Some(type_addr) = ctx.type_of(object) else {
            return Ok(());
        };
        let Some(KnownType { facts, id }) = self.known_type(type_addr)? else {
            return Ok(());
        };
        let tracked = self.seen.get(object).is_some_and(|seen| seen.tracked);
        let bytes = size::shallow(ctx, &facts, object);
        let count = refcount::read(ctx.mem, ctx.layout, object);
        let record = HeapObject {
            addr: Addr(object),
            type_id: id,
            size: bytes.map_or(0, |size| size.total()),
            references: count.filter(|count| !count.immortal).map_or(0, |count| count.count),
            tracked,
            prefix: size::prefix(ctx, &facts, object) as u32,
        };
        self.parts.put(|writer| writer.heap_object(&record))?;
        self.objects += 1;
        if facts.is_leaf() {
            return Ok(());
        }
        self.visit_targets(&facts, object)?;
        let mut outcome = Ok(());
        heap::edges::named(ctx, &facts, object, &mut |edge| {
            if outcome.is_ok() {
                outcome = self.named_edge(edge);
            }
        });
        outcome?;
        self.unnamed_edges()?;
        if matches!(facts.kind, Kind::Other | Kind::Instance) {
            let end = bytes.map_or(0, |size| size.body).min(MAX_BODY);
            self.words(object, 16, end, Some(object))?;
        }
        Ok(())
    }

    /// Has `tp_traverse` list the object's references, and marks each as pending.
    fn visit_targets(&mut self, facts: &TypeFacts, object: u64) -> Result<(), Stopped> {
        self.targets.clear();
        let has_header = facts.has_header(self.ctx, object).unwrap_or_else(|| {
            // SAFETY: `tp_is_gc` takes the object; it only reads.
            let answer = unsafe { arch::guarded_call(facts.is_gc as usize, object as usize, 0, 0) };
            answer == Some(1)
        });
        if has_header && facts.has(flags::HAVE_GC) && facts.traverse != 0 {
            let list = &raw mut self.targets as usize;
            let visit = visit as *const () as usize;
            // SAFETY: `tp_traverse` takes object, visit function and its argument; by its contract it only visits.
            unsafe { arch::guarded_call(facts.traverse as usize, object as usize, visit, list) };
        }
        for index in 0.. {
            let Some(target) = self.targets.get(index) else { break };
            self.meet(target)?;
            self.add_pending(target, 1);
        }
        Ok(())
    }

    /// Adds to an object's pending visits; returns what they were.
    #[inline]
    fn add_pending(&mut self, object: u64, by: i32) -> u32 {
        let Some(seen) = self.seen.get_mut(object) else {
            return 0;
        };
        let before = seen.pending;
        seen.pending = before.saturating_add_signed(by);
        before
    }

    #[inline]
    fn named_edge(&mut self, edge: Edge) -> Result<(), Stopped> {
        let label = self.label(edge.label)?;
        if label == EdgeLabel::Weak {
            return self.edge(edge.to, label, false);
        }
        self.meet(edge.to)?;
        let counted = self.add_pending(edge.to, -1) > 0;
        self.edge(edge.to, label, counted)
    }

    fn unnamed_edges(&mut self) -> Result<(), Stopped> {
        for index in 0.. {
            let Some(target) = self.targets.get(index) else { break };
            if self.add_pending(target, -1) > 0 {
                self.edge(target, EdgeLabel::Unnamed(index as u32), true)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn edge(&mut self, to: u64, label: EdgeLabel, counted: bool) -> Result<(), Stopped> {
        self.parts.put(|writer| writer.heap_edge(Addr(to), label, counted))
    }

    fn known_type(&mut self, address: u64) -> Result<Option<KnownType>, Stopped> {
        if let Some(known) = self.types.get(address) {
            return Ok(Some(known));
        }
        let Some(facts) = TypeFacts::read(self.ctx, address) else {
            return Ok(None);
        };
        let mut text = [0; NAME_BYTES];
        let length = names::type_name(self.ctx, address, &mut text);
        let name = self.define_name(text.get(..length).unwrap_or_default())?;
        let id = TypeId(self.next_type);
        self.next_type += 1;
        self.parts.put(|writer| writer.heap_type(id, name))?;
        let known = KnownType { facts, id };
        self.types.insert(address, known)?;
        self.meet(address)?;
        Ok(Some(known))
    }
}
