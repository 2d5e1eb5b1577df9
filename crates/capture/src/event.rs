//! The events of a capture: what a writer puts in and a reader yields.

use crate::{Addr, CodeId, LineTableKind, StackId, StringId, TypeId};

/// Which door a block came through. Python's object and mem domains are the two that `PyMem_SetAllocator` hooks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Allocator {
    /// `malloc`, `calloc`, `realloc`, `reallocarray` of the C library.
    Malloc = 0,
    /// `posix_memalign`, `aligned_alloc`, `memalign`, `valloc`, `pvalloc`.
    Aligned = 1,
    /// `PyObject_Malloc` and its family: Python objects.
    PyObject = 2,
    /// `PyMem_Malloc` and its family: buffers of Python objects (list items, dict keys).
    PyMem = 3,
}

impl Allocator {
    /// The allocator with this number on the wire.
    pub fn from_wire(number: u8) -> Option<Allocator> {
        [
            Allocator::Malloc,
            Allocator::Aligned,
            Allocator::PyObject,
            Allocator::PyMem,
        ]
        .get(usize::from(number))
        .copied()
    }

    /// Whether the block belongs to Python (object or mem domain) rather than to native code.
    pub fn is_python(self) -> bool {
        matches!(self, Allocator::PyObject | Allocator::PyMem)
    }
}

/// What a mapping is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum MapKind {
    /// Anonymous memory, private or shared: counts as heap.
    Anonymous = 0,
    /// A file's pages: never heap.
    File = 1,
    /// Address space only (`PROT_NONE` or `MAP_NORESERVE`): never heap.
    Reserved = 2,
    /// One of pymalloc's arenas: the objects in it count, not the arena.
    Arena = 3,
}

impl MapKind {
    /// The kind with this number on the wire.
    pub fn from_wire(number: u8) -> Option<MapKind> {
        [MapKind::Anonymous, MapKind::File, MapKind::Reserved, MapKind::Arena]
            .get(usize::from(number))
            .copied()
    }
}

/// What a node of the stack tree stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Frame {
    /// A Python frame: the code object, and the byte offset of the running instruction (-1: not started).
    Python {
        /// The code object.
        code: CodeId,
        /// Byte offset in its bytecode.
        offset: i32,
    },
    /// A thread without any Python state, by its name. Always the only frame of its stack.
    NativeThread {
        /// The thread's name.
        name: StringId,
    },
    /// Memory of the interpreter before the first Python line could be read.
    StartUp,
    /// A thread with Python state and no running frame (the interpreter's own work).
    Interpreter,
    /// The outer frames of this stack were too many, or there was no memory to note them.
    Truncated,
    /// Python stacks are off in this process; the note in the process's [`Event::Note`] says why.
    StacksOff,
}

/// Sums over one stack, written when a long run's finished events are folded.
///
/// Blocks are counted in thousandths, because in a sampled run a block that was recorded stands for a broken number
/// of blocks, and sums of rounded numbers would depend on where a run was folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackTotals {
    /// The stack.
    pub stack: StackId,
    /// Bytes of all blocks ever made here (estimated in a sampled run).
    pub allocated_bytes: u64,
    /// Thousandths of the number of those blocks (estimated in a sampled run).
    pub allocated_milliblocks: u64,
    /// Variance of `allocated_bytes`, in bytes squared (0 in an exact run).
    pub allocated_variance: u64,
    /// Bytes live at the peak of the whole tree so far.
    pub peak_bytes: u64,
    /// Thousandths of the number of blocks live at the peak of the whole tree so far.
    pub peak_milliblocks: u64,
    /// Variance of `peak_bytes`, in bytes squared.
    pub peak_variance: u64,
}

/// One event of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It is now this late on `CLOCK_MONOTONIC`, in nanoseconds. Events take the time of the last clock.
    Clock {
        /// Nanoseconds.
        nanos: u64,
    },
    /// The process: written once, before any other event of it.
    Process {
        /// Its parent's id.
        parent: u32,
        /// `Py_Version` (0x030b07f0 is 3.11.7), or 0 if there is no Python in it.
        python: u32,
        /// Whether it came out of a `fork` of a recorded process (and not of an `exec`).
        forked: bool,
        /// The command line, arguments ended by NUL bytes, perhaps cut off.
        argv: &'a [u8],
    },
    /// Defines a string (UTF-8; if not, it is shown with replacement characters).
    String {
        /// Its id.
        id: StringId,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// Defines a code object.
    Code {
        /// Its id.
        id: CodeId,
        /// `co_filename`.
        file: StringId,
        /// `co_qualname`, or `co_name` before Python 3.11.
        name: StringId,
        /// `co_firstlineno`.
        first_line: u32,
        /// How `line_table` is encoded.
        kind: LineTableKind,
        /// `co_linetable` or `co_lnotab`; empty if it was too large to keep.
        line_table: &'a [u8],
    },
    /// Defines a node of the stack tree.
    Stack {
        /// Its id.
        id: StackId,
        /// The caller's node.
        parent: StackId,
        /// What it stands for.
        frame: Frame,
    },
    /// A block was born.
    Alloc {
        /// Where.
        addr: Addr,
        /// Bytes that were asked for.
        size: u64,
        /// By whom.
        stack: StackId,
        /// Through which door.
        allocator: Allocator,
    },
    /// The block at this address is gone. An address that is not live belongs to a block that was not recorded.
    Free {
        /// Where it was.
        addr: Addr,
    },
    /// A mapping was made; it replaces whatever was mapped in its range.
    Map {
        /// Where.
        addr: Addr,
        /// Bytes.
        len: u64,
        /// What is mapped.
        kind: MapKind,
        /// By whom.
        stack: StackId,
    },
    /// A range was unmapped; it may cut through mappings.
    Unmap {
        /// Where.
        addr: Addr,
        /// Bytes.
        len: u64,
    },
    /// `mremap`: the old range is gone, the new one has the old one's kind.
    Remap {
        /// Where it was.
        old: Addr,
        /// How long it was, in bytes.
        old_len: u64,
        /// Where it is.
        new: Addr,
        /// How long it is, in bytes.
        new_len: u64,
        /// Who asked.
        stack: StackId,
    },
    /// So many events could not be written.
    Lost {
        /// How many.
        events: u64,
    },
    /// Something the report must say about this process, as one sentence.
    Note {
        /// UTF-8 text.
        text: &'a [u8],
    },
    /// The process ended in an orderly way (exit handlers ran) or replaced itself by `exec`.
    End {
        /// Highest resident memory of the process, in bytes, as the kernel has it.
        max_rss_bytes: u64,
    },
    /// Python ends in this process: `Py_FinalizeEx` takes modules and objects apart.
    PythonEnds {
        /// When this was seen, on `CLOCK_MONOTONIC`.
        nanos: u64,
        /// Whether it is over: what is live now, Python did not free.
        over: bool,
    },
    /// Folded: sums over one stack.
    Totals(StackTotals),
    /// Folded: this process's own highest heap so far, and when.
    ProcessPeak {
        /// Bytes (estimated in a sampled run).
        bytes: u64,
        /// Thousandths of the number of blocks.
        milliblocks: u64,
        /// Variance of `bytes`, in bytes squared.
        variance: u64,
        /// On `CLOCK_MONOTONIC`.
        nanos: u64,
    },
    /// Folded: the highest heap of the whole tree so far (the sum of the three), and when. Written for each process,
    /// the same everywhere.
    TreePeak {
        /// Bytes in blocks of Python's object and mem domains.
        python_bytes: u64,
        /// Bytes in blocks of the C library's malloc family.
        native_bytes: u64,
        /// Bytes in anonymous mappings.
        mapped_bytes: u64,
        /// On `CLOCK_MONOTONIC`.
        nanos: u64,
        /// Whether the tree is at that peak at the moment of folding: then what is live is what was live at it.
        now: bool,
    },
    /// Folded: reading goes on in this segment of the process, at the chunk and byte given.
    Position {
        /// Segment number.
        segment: u32,
        /// Byte offset of the chunk in the segment.
        chunk: u64,
        /// Bytes of that chunk's payload that are folded already.
        consumed: u32,
    },
    /// Folded: what was live from one stack when the process was gone. Only written for such processes; of others
    /// the live blocks themselves are in the fold.
    Left {
        /// The stack.
        stack: StackId,
        /// Bytes (estimated in a sampled run).
        bytes: u64,
        /// Thousandths of the number of blocks.
        milliblocks: u64,
        /// Variance of `bytes`, in bytes squared.
        variance: u64,
    },
    /// Folded: what else is known of the process's folded events.
    Folded {
        /// The first time in them, nanoseconds on `CLOCK_MONOTONIC`.
        first_nanos: u64,
        /// The last time in them.
        last_nanos: u64,
        /// How many blocks were born at an address that was still live.
        unseen_frees: u64,
        /// Whether the process is gone: its blocks no longer count.
        gone: bool,
        /// Whether the last chunk was never sealed.
        tail_open: bool,
    },
    /// Folded: what else is known of the blocks of one stack.
    Sizes {
        /// The stack.
        stack: StackId,
        /// The largest block or mapping ever allocated, in bytes.
        largest_bytes: u64,
        /// Native bytes that were live when the process was gone; 0 while it is not.
        native_bytes: u64,
    },
    /// Folded: the beginning of the samples of what was live over time.
    History {
        /// The process's first event, nanoseconds on `CLOCK_MONOTONIC`.
        origin_nanos: u64,
        /// Distance of two samples; the first is one distance after the origin.
        width_nanos: u64,
    },
    /// Folded: the next sample.
    Sample {
        /// Bytes that were live in the process (estimated in a sampled run).
        bytes: u64,
    },
    /// Folded: what the process had allocated until the last sample.
    Allocated {
        /// Bytes, freed since or not (estimated in a sampled run).
        bytes: u64,
    },
    /// Folded: what one stack had live at the time of the last sample.
    Level {
        /// The stack.
        stack: StackId,
        /// Bytes (estimated in a sampled run).
        bytes: u64,
    },
    /// Folded: something that could not be read before the fold, as one sentence.
    Warning {
        /// UTF-8 text.
        text: &'a [u8],
    },
    /// At this point of the process's events a snapshot of its heap was taken: its files have this number, and
    /// what is live here is what was live in it.
    Snapshot {
        /// Number of the snapshot in this incarnation, from 0.
        number: u32,
    },
    /// The program entered a region (`deadweight.region`).
    RegionEnter {
        /// Number of this entering in the process, from 1.
        number: u32,
        /// The region around it in its thread or task, 0 if there is none; smaller than `number`.
        outer: u32,
        /// What the program calls it.
        name: StringId,
    },
    /// The program left a region.
    RegionLeave {
        /// Which entering ends.
        number: u32,
    },
    /// What the process allocates, frees and maps from here on, it does inside this region.
    Region {
        /// Number of the entering; 0 for outside of all regions.
        number: u32,
    },
    /// Folded: sums over all enterings of one name that ended; [`Event::RegionAmount`]s follow.
    RegionTotals {
        /// 0 for the program's own regions, n for the n-th function that is treated as one.
        track: u32,
        /// What it is called.
        name: StringId,
        /// How often it was entered.
        entries: u64,
        /// How many of these were not left when the process ended.
        unfinished: u64,
        /// How long all of them together took.
        nanos: u64,
    },
    /// Folded: a region that was not left yet; [`Event::RegionAmount`]s follow.
    RegionOpen {
        /// As in [`Event::RegionTotals`].
        track: u32,
        /// Number of the entering.
        number: u32,
        /// The region around it.
        outer: u32,
        /// What it is called.
        name: StringId,
        /// When it was entered, nanoseconds on `CLOCK_MONOTONIC`.
        entered_nanos: u64,
        /// Of a function: the outermost code of the stack that it was met on.
        code: CodeId,
        /// Whether it was entered inside another one of the same name, which has its amounts already.
        repeated: bool,
    },
    /// Folded: an amount of the last [`Event::RegionTotals`] or [`Event::RegionOpen`].
    RegionAmount {
        /// Which one.
        kind: RegionAmount,
        /// Bytes (estimated in a sampled run).
        bytes: u64,
        /// Thousandths of the number of blocks.
        milliblocks: u64,
        /// Variance of `bytes`, in bytes squared.
        variance: u64,
    },
    /// Folded: when a region was active.
    RegionSpan {
        /// As in [`Event::RegionTotals`].
        track: u32,
        /// What it is called.
        name: StringId,
        /// Entered, nanoseconds on `CLOCK_MONOTONIC`.
        first_nanos: u64,
        /// Left.
        last_nanos: u64,
    },
    /// Folded: a live block or mapping was allocated inside a region.
    RegionOwner {
        /// Where it begins.
        addr: Addr,
        /// As in [`Event::RegionTotals`].
        track: u32,
        /// Number of the innermost entering.
        number: u32,
        /// Whether it is a mapping.
        mapping: bool,
    },
    /// Folded: a region that was left inside one that is open.
    RegionLeft {
        /// As in [`Event::RegionTotals`].
        track: u32,
        /// Number of its entering.
        number: u32,
        /// The region around it.
        outer: u32,
    },
    /// Heap: defines a type of objects.
    HeapType {
        /// Its id.
        id: TypeId,
        /// Qualified name with its module (`pandas.core.frame.DataFrame`; plain for built-in types).
        name: StringId,
    },
    /// Heap: an object. The edges that follow, up to the next object, begin at it.
    HeapObject(HeapObject),
    /// Heap: a reference of the object before it, or of the root before it.
    HeapEdge {
        /// Where it leads: an object, known now or later. A target that never appears is no object.
        to: Addr,
        /// How the program would write it.
        label: EdgeLabel,
        /// Whether `tp_traverse` reports it: then the collector counts it as an internal reference.
        counted: bool,
    },
    /// Heap: something that is alive by itself. The edges that follow, up to the next object or root, begin at it.
    HeapRoot {
        /// What it is.
        kind: RootKind,
        /// Its name: the function of a frame, the name of an interpreter's dictionary.
        name: StringId,
    },
    /// Heap: a word in the body of the object, root or block ([`Event::Alloc`], [`Event::HeapChunk`]) before it that may be
    /// the address of native memory, or of an object that no edge names.
    HeapWord {
        /// The word.
        to: Addr,
        /// Byte offset in the body.
        offset: u32,
    },
    /// Heap: a native block that was not recorded, and by way of which others are reached. The words that follow are its own.
    HeapChunk {
        /// Where it begins.
        addr: Addr,
        /// Its length in bytes.
        size: u64,
    },
    /// Heap: the snapshot is complete.
    HeapEnd {
        /// Objects written.
        objects: u64,
        /// Objects that could not be read, and are missing or have no edges.
        failed: u64,
        /// How long the program stood still for it, nanoseconds.
        pause_nanos: u64,
    },
    /// Heap: why the snapshot was taken.
    HeapCause {
        /// Who wanted it.
        cause: Cause,
        /// What the program calls it: UTF-8 text, mostly empty.
        label: &'a [u8],
    },
}

/// What an amount of a folded region is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RegionAmount {
    /// The most that was live at once of what it allocated.
    Peak = 0,
    /// The process's heap at its highest meanwhile.
    HeapPeak = 1,
    /// What it allocated and was live when it was left.
    Kept = 2,
    /// What it freed of what had been there before.
    Freed = 3,
    /// What it allocated and was freed before it was left.
    Churn = 4,
    /// What it allocated and is live now.
    Live = 5,
}

impl RegionAmount {
    /// The amount with this number on the wire.
    pub fn from_wire(number: u64) -> Option<RegionAmount> {
        use RegionAmount::{Churn, Freed, HeapPeak, Kept, Live, Peak};
        let all = [Peak, HeapPeak, Kept, Freed, Churn, Live];
        all.get(usize::try_from(number).ok()?).copied()
    }
}

/// Why a heap snapshot was taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Cause {
    /// The heap had grown.
    #[default]
    Growth = 0,
    /// `deadweight snapshot` asked for it.
    Asked = 1,
    /// The program called `deadweight.snapshot()`.
    Called = 2,
    /// The program ended.
    End = 3,
}

impl Cause {
    /// The cause with this number on the wire.
    pub fn from_wire(number: u64) -> Option<Cause> {
        match number {
            0 => Some(Cause::Growth),
            1 => Some(Cause::Asked),
            2 => Some(Cause::Called),
            3 => Some(Cause::End),
            _ => None,
        }
    }

    /// Whether somebody wanted this snapshot in particular: such are kept.
    pub fn is_wanted(self) -> bool {
        matches!(self, Cause::Asked | Cause::Called)
    }
}

/// An object of a heap snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeapObject {
    /// Where it is.
    pub addr: Addr,
    /// Its type.
    pub type_id: TypeId,
    /// Shallow size in bytes: header, body, and what it owns alone (a list's array, a dict's tables).
    pub size: u64,
    /// Reference count; 0 if the object is immortal.
    pub references: u64,
    /// Whether the cyclic collector tracks it.
    pub tracked: bool,
    /// Bytes before `addr` that belong to it (collector's header, managed dict): where its block begins.
    pub prefix: u32,
}

/// How an edge is written in source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EdgeLabel {
    /// `.name`: an attribute, a slot, or a member that Python code can read (`__self__`, `__globals__`).
    Attribute(StringId),
    /// `['name']`: a value under a `str` key.
    Key(StringId),
    /// `[text]`: a value under another key.
    Item(StringId),
    /// `[number]`: an item of a sequence.
    Index(u32),
    /// A key of a dict, or an element of a set.
    Member,
    /// `<local name>`: of a frame, a generator, a coroutine.
    Local(StringId),
    /// Not a reference: the cell that it leads to is this variable of the function before it.
    Closure(StringId),
    /// The type of an object.
    Type,
    /// `tp_traverse` reports it, and nothing names it; its place in the order of visits.
    Unnamed(u32),
    /// A weak reference: keeps nothing alive.
    Weak,
}

/// What a root of the heap is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RootKind {
    /// A running frame.
    Frame = 0,
    /// A dictionary or list of the interpreter (`sys.modules`, builtins).
    Interpreter = 1,
}

impl RootKind {
    /// The kind with this number on the wire.
    pub fn from_wire(number: u64) -> Option<RootKind> {
        match number {
            0 => Some(RootKind::Frame),
            1 => Some(RootKind::Interpreter),
            _ => None,
        }
    }
}
