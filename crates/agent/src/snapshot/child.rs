//! The child of a snapshot: walks every object of the heap and writes the graph down.
//!
//! It has one thread, no handlers, no files, and the program's memory as it was. It may fault: what it reads belongs to
//! extension modules too. A fault loses one object ([`arch::guarded_call`]), a hang ends by an alarm, and a crash costs
//! a snapshot.
//!
//! Every object is written with its named edges (read by layout) and with what its type's `tp_traverse` visits. An
//! edge that both know appears once, named and counted; one that only `tp_traverse` knows has no name; one that only
//! the layout knows is not counted, as the collector does not count it.

use core::ffi::{c_int, c_void};

use deadweight_capture::{Addr, Allocator, EdgeLabel, HeapObject, RootKind, StringId, TypeId};
use deadweight_cpython::heap::types::flags;
use deadweight_cpython::heap::{
    self, Context, Edge, Interpreters, Kind, Known, Label, NameRef, TypeFacts, lists, names, refcount, size, threads,
    variables,
};
use deadweight_cpython::{Layout, Memory, is_plausible, unicode};

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
            references: count
                .filter(|count| !count.immortal)
                .map_or(0, |count| u64::from(count.count)),
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
            let end = bytes.map_or(0, |size| u64::from(size.body)).min(MAX_BODY);
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

    // ---- names ----

    fn label(&mut self, label: Label) -> Result<EdgeLabel, Stopped> {
        Ok(match label {
            Label::Attribute(name) => EdgeLabel::Attribute(self.name(name)?),
            Label::Key(name) => EdgeLabel::Key(self.name(NameRef::Str(name))?),
            Label::Item(key) => EdgeLabel::Item(self.key(key)?),
            Label::Index(index) => EdgeLabel::Index(index),
            Label::Member => EdgeLabel::Member,
            Label::Local(name) => EdgeLabel::Local(self.name(NameRef::Str(name))?),
            Label::Stack(index) => EdgeLabel::Unnamed(index),
            Label::MemberName(name) => EdgeLabel::Attribute(self.static_name(name)?),
            Label::Type => EdgeLabel::Type,
            Label::Weak => EdgeLabel::Weak,
        })
    }

    fn name(&mut self, name: NameRef) -> Result<StringId, Stopped> {
        let (NameRef::Str(address) | NameRef::CString(address)) = name;
        if let Some(known) = self.names.get(address) {
            return Ok(known);
        }
        let mut text = [0; NAME_BYTES];
        let length = match name {
            NameRef::Str(address) => {
                unicode::utf8(self.ctx.mem, self.ctx.layout, address, &mut text).map_or(0, |text| text.len)
            }
            NameRef::CString(address) => names::c_string(self.ctx.mem, address, &mut text).unwrap_or(0),
        };
        self.define_name_of(address, text.get(..length).unwrap_or_default())
    }

    fn static_name(&mut self, name: &'static str) -> Result<StringId, Stopped> {
        let address = name.as_ptr() as u64;
        match self.names.get(address) {
            Some(known) => Ok(known),
            None => self.define_name_of(address, name.as_bytes()),
        }
    }

    /// A key of a dict that is no string: small ints are shown, anything else by its type.
    fn key(&mut self, key: u64) -> Result<StringId, Stopped> {
        if let Some(known) = self.names.get(key) {
            return Ok(known);
        }
        let mut text = [0; NAME_BYTES];
        let length = match self.ctx.type_of(key) {
            Some(type_addr) => {
                let length = names::type_name(self.ctx, type_addr, text.get_mut(1..NAME_BYTES - 1).unwrap_or_default());
                if let Some(first) = text.first_mut() {
                    *first = b'<';
                }
                if let Some(last) = text.get_mut(length + 1) {
                    *last = b'>';
                }
                length + 2
            }
            None => 0,
        };
        self.define_name_of(key, text.get(..length).unwrap_or_default())
    }

    fn define_name_of(&mut self, address: u64, text: &[u8]) -> Result<StringId, Stopped> {
        if self.next_name > MAX_NAMES {
            return Ok(StringId::EMPTY);
        }
        let id = self.define_name(text)?;
        self.names.insert(address, id)?;
        Ok(id)
    }

    fn define_name(&mut self, text: &[u8]) -> Result<StringId, Stopped> {
        let id = StringId(self.next_name);
        self.next_name += 1;
        self.parts.put(|writer| writer.string(id, text))?;
        Ok(id)
    }

    // ---- native memory ----

    fn list_blocks(&mut self, live: &Table<u64, LiveBlock>) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        live.each(|addr, block| {
            if outcome.is_ok() && !block.door.is_python() {
                outcome = self.blocks.push(Block { addr, size: block.size });
            }
        });
        outcome?;
        self.blocks.as_mut_slice().sort_unstable_by_key(|block| block.addr);
        Ok(())
    }

    /// Writes the live blocks, and the addresses found in native ones.
    fn native_blocks(&mut self, live: &Table<u64, LiveBlock>) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        let mut searched = 0;
        live.each(|addr, block| {
            if outcome.is_ok() {
                outcome = self.native_block(addr, block, &mut searched);
            }
        });
        outcome
    }

    fn native_block(&mut self, addr: u64, block: LiveBlock, searched: &mut u64) -> Result<(), Stopped> {
        self.parts.put(|writer| {
            if !writer.has_room() {
                return Err(deadweight_capture::write::Full);
            }
            writer.alloc(Addr(addr), block.size, block.stack, block.door);
            Ok(())
        })?;
        if matches!(block.door, Allocator::Malloc | Allocator::Aligned) && *searched < MAX_SEARCHED {
            *searched += block.size;
            self.guarded_words(addr, block.size)?;
        }
        Ok(())
    }

    fn guarded_words(&mut self, addr: u64, size: u64) -> Result<(), Stopped> {
        unsafe extern "C" fn write_words(walker: *mut Walker<'_>, addr: u64, size: u64) -> c_int {
            // SAFETY: the caller below passes itself and touches nothing of it during the call.
            i32::from(unsafe { &mut *walker }.words(addr, 0, size, None).is_err())
        }
        let place = &raw mut *self as usize;
        // SAFETY: `write_words` has these parameters.
        match unsafe { arch::guarded_call(write_words as *const () as usize, place, addr as usize, size as usize) } {
            Some(1) => Err(Stopped),
            _ => Ok(()),
        }
    }

    /// Writes the words between two offsets of `start` that are addresses of native blocks, or of objects which are
    /// not among the targets just visited. `owner` is the object whose body it is.
    fn words(&mut self, start: u64, from: u64, to: u64, owner: Option<u64>) -> Result<(), Stopped> {
        let mut offset = from;
        while offset + 8 <= to {
            let word = self.ctx.mem.u64(start + offset).unwrap_or(0);
            if word > 0xffff && word < 1 << 47 && Some(word) != owner && self.leads_somewhere(word, owner.is_some())? {
                self.parts.put(|writer| writer.heap_word(Addr(word), offset as u32))?;
            }
            offset += 8;
        }
        Ok(())
    }

    fn leads_somewhere(&mut self, word: u64, in_object: bool) -> Result<bool, Stopped> {
        if self.is_in_block(word) {
            return Ok(true);
        }
        if !is_plausible(word) {
            return Ok(false);
        }
        if self.seen.get(word).is_some() {
            let reported = in_object && self.targets.as_slice().iter().take(64).any(|&target| target == word);
            return Ok(!reported);
        }
        // An object that only hidden references hold: its type is one that was met, and its count is sane.
        if !in_object {
            return Ok(false);
        }
        let known = head_of(word).is_some_and(|type_addr| self.types.get(type_addr).is_some());
        let sane = refcount::read(self.ctx.mem, self.ctx.layout, word)
            .is_some_and(|count| !count.immortal && (1..1 << 24).contains(&count.count));
        if known && sane {
            self.meet(word)?;
        }
        Ok(known && sane)
    }

    /// Whether a native block begins here or has this address in it.
    fn is_in_block(&self, address: u64) -> bool {
        let blocks = self.blocks.as_slice();
        let after = blocks.partition_point(|block| block.addr <= address);
        after
            .checked_sub(1)
            .and_then(|index| blocks.get(index))
            .is_some_and(|block| address - block.addr < block.size.max(1))
    }
}

/// The type pointer of what may be an object at `address`; `None` if that cannot be read.
fn head_of(address: u64) -> Option<u64> {
    unsafe extern "C" fn load(address: *const u64, place: *mut u64, _: usize) -> c_int {
        // SAFETY: if the address is not mapped, the guard takes over; `place` is the local below.
        unsafe { place.write(address.add(1).read()) };
        0
    }
    let mut head = 0u64;
    let place = &raw mut head as usize;
    // SAFETY: `load` has these parameters.
    unsafe { arch::guarded_call(load as *const () as usize, address as usize, place, 0) }.map(|_| head)
}
