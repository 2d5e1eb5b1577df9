//! The events of a capture: what a writer puts in and a reader yields.

mod block;
mod heap;
mod region;
mod stack;

pub use block::{Allocator, MapKind};
pub use heap::{Cause, EdgeLabel, HeapObject, RootKind};
pub use region::RegionAmount;
pub use stack::{Frame, StackTotals};

use crate::{Addr, CodeId, LineTableKind, StackId, StringId, TypeId};

/// One event of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The current time on `CLOCK_MONOTONIC`. Events have the time of the last clock.
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
        /// Whether it was forked by a recorded process (and not started by `exec`).
        forked: bool,
        /// The command line, each argument ended by a NUL byte; it may be truncated.
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
    /// A block was allocated.
    Alloc {
        /// Where.
        addr: Addr,
        /// Bytes that were requested.
        size: u64,
        /// The stack that requested it.
        stack: StackId,
        /// The allocator domain.
        allocator: Allocator,
    },
    /// The block at this address was freed. An address that is not live belongs to a block that was not recorded.
    Free {
        /// Where it was.
        addr: Addr,
    },
    /// A range was mapped, replacing whatever was mapped there.
    Map {
        /// Where.
        addr: Addr,
        /// Bytes.
        len: u64,
        /// What is mapped.
        kind: MapKind,
        /// The stack that requested it.
        stack: StackId,
    },
    /// A range was unmapped; it may split mappings.
    Unmap {
        /// Where.
        addr: Addr,
        /// Bytes.
        len: u64,
    },
    /// `mremap`: the old range is unmapped, and the new one has the old one's kind.
    Remap {
        /// Where it was.
        old: Addr,
        /// How long it was, in bytes.
        old_len: u64,
        /// Where it is.
        new: Addr,
        /// How long it is, in bytes.
        new_len: u64,
        /// The stack that requested it.
        stack: StackId,
    },
    /// A number of events could not be written.
    Lost {
        /// How many.
        events: u64,
    },
    /// Something that the report must say about this process, as one sentence.
    Note {
        /// UTF-8 text.
        text: &'a [u8],
    },
    /// The process ended in an orderly way (exit handlers ran) or replaced itself by `exec`.
    End {
        /// Highest resident memory of the process according to the kernel, in bytes.
        max_rss_bytes: u64,
    },
    /// Python is shutting down in this process: `Py_FinalizeEx` destroys modules and objects.
    PythonEnds {
        /// When this was seen, on `CLOCK_MONOTONIC`.
        nanos: u64,
        /// Whether it is done: what is live now, Python did not free.
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
    /// Folded: the highest heap of the whole tree so far (the sum of the three), and when. Written for each process
    /// with the same values.
    TreePeak {
        /// Bytes in blocks of Python's object and mem domains.
        python_bytes: u64,
        /// Bytes in blocks of the C library's malloc family.
        native_bytes: u64,
        /// Bytes in anonymous mappings.
        mapped_bytes: u64,
        /// On `CLOCK_MONOTONIC`.
        nanos: u64,
        /// Whether the tree is at that peak when the fold is written: then what is live is what was live at the peak.
        now: bool,
    },
    /// Folded: reading continues in this segment of the process, at the chunk and byte given.
    Position {
        /// Segment number.
        segment: u32,
        /// Byte offset of the chunk in the segment.
        chunk: u64,
        /// Bytes of that chunk's payload that are folded already.
        consumed: u32,
    },
    /// Folded: what was live from one stack at the end of the process. Only for processes that have ended; for others
    /// the fold has the live blocks themselves.
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
    /// Folded: more about the process's folded events.
    Folded {
        /// The first time in them, nanoseconds on `CLOCK_MONOTONIC`.
        first_nanos: u64,
        /// The last time in them.
        last_nanos: u64,
        /// Number of blocks that were allocated at an address that was still live.
        unseen_frees: u64,
        /// Whether the process has ended: its blocks no longer count.
        gone: bool,
        /// Whether the last chunk was never sealed.
        tail_open: bool,
    },
    /// Folded: more about the blocks of one stack.
    Sizes {
        /// The stack.
        stack: StackId,
        /// The largest block or mapping ever allocated, in bytes.
        largest_bytes: u64,
        /// Native bytes that were live at the end of the process; 0 while it runs.
        native_bytes: u64,
    },
    /// Folded: the beginning of the samples of what was live over time.
    History {
        /// The process's first event, nanoseconds on `CLOCK_MONOTONIC`.
        origin_nanos: u64,
        /// Interval of the samples; the first one is one interval after the origin.
        width_nanos: u64,
    },
    /// Folded: the next sample.
    Sample {
        /// Bytes that were live in the process (estimated in a sampled run).
        bytes: u64,
    },
    /// Folded: what the process had allocated by the last sample.
    Allocated {
        /// Bytes, freed since or not (estimated in a sampled run).
        bytes: u64,
    },
    /// Folded: what was live from one stack at the time of the last sample.
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
    /// A snapshot of the heap was taken at this point of the process's events. Its files have this number, and what is
    /// live here is what was live in it.
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
    /// From here on, the process's allocations, frees and mappings belong to this region.
    Region {
        /// Number of the entering; 0 for outside of all regions.
        number: u32,
    },
    /// Folded: sums over all regions of one name that were left; [`Event::RegionAmount`]s follow.
    RegionTotals {
        /// 0 for the program's own regions, n for the n-th function that is treated as one.
        track: u32,
        /// What it is called.
        name: StringId,
        /// Number of entries.
        entries: u64,
        /// Number of entries that were not left when the process ended.
        unfinished: u64,
        /// Time that all of them together took.
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
        /// Of a function: the outermost code of the stack on which it was found.
        code: CodeId,
        /// Whether it was entered inside another one of the same name, whose amounts include its own.
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
    /// Heap: defines a type.
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
        /// Its target: an object that was or will be written. A target that never appears is not an object.
        to: Addr,
        /// How the program would write the reference.
        label: EdgeLabel,
        /// Whether `tp_traverse` reports it: then the collector counts it as an internal reference.
        counted: bool,
    },
    /// Heap: a root. The edges that follow, up to the next object or root, begin at it.
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
    /// Heap: a native block that was not recorded but leads to others. The words that follow are its own.
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
        /// How long the program was paused for it, nanoseconds.
        pause_nanos: u64,
    },
    /// Heap: why the snapshot was taken.
    HeapCause {
        /// What caused it.
        cause: Cause,
        /// The label that the program gave it: UTF-8 text, usually empty.
        label: &'a [u8],
    },
}
