//! Heap snapshots: their causes, objects, edges and roots.

use crate::ids::{Addr, StringId, TypeId};

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

    /// Whether this snapshot was requested explicitly: such snapshots are always kept.
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
    /// Whether the garbage collector tracks it.
    pub tracked: bool,
    /// Bytes before `addr` that belong to it (header of the collector, managed dict): its block begins there.
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
    /// Not a reference: the cell that it leads to is this variable of the function at which the edge begins.
    Closure(StringId),
    /// The type of an object.
    Type,
    /// `tp_traverse` reports it, but it has no name; its position in the order of visits.
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
