//! Typed handles: an address of one kind cannot be used where another is meant.

/// An address in the recorded process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Addr(pub u64);

/// A string of one process; ids begin at 1, and 0 is the empty string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StringId(pub u32);

impl StringId {
    /// The empty string.
    pub const EMPTY: StringId = StringId(0);
}

/// A code object of one process. A code object that is freed and another born at its address have two ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CodeId(pub u32);

/// A node of one process's stack tree: a frame and, through its parent, all its callers. A parent is always
/// defined before its children, and its id is the smaller one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StackId(pub u32);

impl StackId {
    /// The empty stack, root of the tree.
    pub const NONE: StackId = StackId(0);
}

/// A type of objects in one heap snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TypeId(pub u32);
