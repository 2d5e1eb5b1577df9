//! What the analysis of a snapshot answers: plain data, nothing rounded, ready for any view.

pub mod asked;

use deadweight_capture::read::ProcessId;
use deadweight_capture::{Allocator, Cause, StackId};

/// An amount of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Python objects.
    pub objects: u64,
    /// Bytes of the objects and of their buffers from Python's allocators.
    pub python_bytes: u64,
    /// Bytes of native blocks; in a sampled run the small ones are estimated.
    pub native_bytes: u64,
}

impl Amount {
    /// Both kinds of bytes.
    pub fn bytes(&self) -> u64 {
        self.python_bytes.saturating_add(self.native_bytes)
    }
}

/// Bytes that were allocated by one stack of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackBytes {
    /// The stack.
    pub stack: StackId,
    /// Bytes; in a sampled run estimated.
    pub bytes: u64,
}

/// One step of a chain of references.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Step {
    /// The object's type with its module, or what it is if it is no object: `frame main`, `sys.modules`,
    /// `<native memory>`.
    pub type_name: String,
    /// How the program would write the reference that leads to the next step: `.attr`, `['key']`, `[3]`,
    /// `.__closure__[0]`, `<local name>`. Empty at the end of a chain that leads no further.
    pub edge: String,
}

/// Unreachable objects that the same kind of cycle keeps alive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CycleGroup {
    /// The same for the same cycle in every snapshot and run: a hash of the types and edges around it.
    pub fingerprint: u64,
    /// The type of the object on the cycle that holds most, if possible none of Python's own.
    pub type_name: String,
    /// How many such cycles.
    pub instances: u64,
    /// Everything that is only alive because of them, the cycles themselves included.
    pub amount: Amount,
    /// The shortest cycle through that object in the heaviest instance; the last step leads back to the first.
    pub cycle: Vec<Step>,
    /// Where that memory was allocated, as far as it is known: the heaviest stack first.
    pub stacks: Vec<StackBytes>,
}

/// An object that holds much memory, reachable from a root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Names the same holder in every snapshot of a process: root, edges and types, without places in sequences.
    pub key: String,
    /// From the root to the holder, whose edge leads to its elements (empty if it has none).
    pub path: Vec<Step>,
    /// Whether the path begins at a root that has a name; otherwise at an object that something unknown refers to.
    pub rooted: bool,
    /// The holder's type.
    pub type_name: String,
    /// What would go with it.
    pub amount: Amount,
    /// The elements that hold most of it: their type, how many, and what they hold together.
    pub elements: Option<Elements>,
    /// Where the memory was allocated, as far as it is known: the heaviest stack first.
    pub stacks: Vec<StackBytes>,
}

/// Similar objects that only one container holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elements {
    /// Their type.
    pub type_name: String,
    /// How many.
    pub count: u64,
    /// What they retain.
    pub bytes: u64,
}

/// Objects that have references, but nothing in the snapshot refers to them: references that native code holds, or
/// that it has lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unexplained {
    /// Their type.
    pub type_name: String,
    /// Where they were made, if it is known.
    pub stack: Option<StackId>,
    /// How many, and what they retain.
    pub amount: Amount,
    /// From such an object to an object of native code that it alone has, as most of them do, and in which the collector
    /// sees no references: what that native code keeps may be the reference. Empty if there is none.
    pub suspect: Vec<Step>,
}

/// Blocks that no Python object leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unowned {
    /// Where they were allocated.
    pub stack: StackId,
    /// Their allocator domain. Blocks of `PyObject` may be objects to which nothing refers; all of the C library's
    /// functions are `Malloc` here.
    pub allocator: Allocator,
    /// Known blocks; in a sampled run there are more.
    pub blocks: u64,
    /// Bytes; in a sampled run estimated.
    pub bytes: u64,
}

/// Objects of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeAmount {
    /// The type.
    pub type_name: String,
    /// How many.
    pub objects: u64,
    /// Bytes of the objects themselves.
    pub bytes: u64,
    /// Bytes that would go with all of them.
    pub retained_bytes: u64,
}

/// Garbage of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GarbageType {
    /// The type.
    pub type_name: String,
    /// How many of them `gc.collect()` would find unreachable. Their sum over all types is what it would return.
    pub collected: u64,
    /// How many there are, with those that go because only garbage refers to them.
    pub objects: u64,
    /// Bytes of the objects themselves.
    pub bytes: u64,
}

/// What one snapshot answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotAnswer {
    /// Whose heap it is.
    pub process: ProcessId,
    /// Number of the snapshot in its incarnation.
    pub number: u32,
    /// Why it was taken.
    pub cause: Cause,
    /// What the program calls it; empty if it gave no name.
    pub label: String,
    /// When it was taken, nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
    /// Whether it was written to its end.
    pub complete: bool,
    /// How long the program stood still for it.
    pub pause_nanos: Option<u64>,
    /// Everything in it.
    pub all: Amount,
    /// What the collector would free.
    pub garbage: Amount,
    /// The garbage by type, the most numerous first.
    pub garbage_types: Vec<GarbageType>,
    /// What nobody can reach, and the collector would not free.
    pub hidden: Amount,
    /// The garbage by cycle, the heaviest first.
    pub cycles: Vec<CycleGroup>,
    /// The hidden memory by cycle, the heaviest first.
    pub uncollectable: Vec<CycleGroup>,
    /// Objects whose references nothing explains, the heaviest first.
    pub unexplained: Vec<Unexplained>,
    /// Who holds what is reachable, the heaviest first; none is inside of another.
    pub holders: Vec<Holder>,
    /// Blocks without an owner, by stack, the heaviest first.
    pub unowned: Vec<Unowned>,
    /// The types that retain most, the heaviest first.
    pub types: Vec<TypeAmount>,
    /// Sentences about what could not be read.
    pub warnings: Vec<String>,
}
