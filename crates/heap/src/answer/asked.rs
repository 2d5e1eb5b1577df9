//! What an open snapshot answers when it is asked for one thing: plain data, like [`crate::answer`].

use crate::answer::{Amount, CycleGroup, StackBytes, Step};

/// Who has an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// The program can reach it.
    Live,
    /// The collector would free it.
    Garbage,
    /// Nobody can reach it, and the collector would not free it.
    Uncollectable,
    /// Only native memory without an owner leads to it, or it is such memory.
    Unowned,
}

/// The objects of one type, or of all types that were asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeCensus {
    /// The type.
    pub type_name: String,
    /// Bytes of the objects themselves.
    pub bytes: u64,
    /// How many there are, and what would go with all of them.
    pub retained: Amount,
    /// How many of them are unreachable.
    pub unreachable: u64,
}

/// One object or block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Where it is; `None` if it is a root or memory whose place is not known.
    pub address: Option<u64>,
    /// Its type with its module, or what it is.
    pub type_name: String,
    /// Who has it.
    pub standing: Standing,
    /// Its own bytes.
    pub bytes: u64,
    /// What would go with it, itself included. The number of objects is not counted.
    pub retained: Amount,
}

/// An object and the way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// The object.
    pub object: Object,
    /// From a root to the object, which is not among the steps; of unreachable objects from the cycle that keeps
    /// them.
    pub path: Vec<Step>,
    /// Whether the path begins at a root that has a name.
    pub rooted: bool,
}

/// Objects that are reached in the same way: the same types and edges from the root, places in sequences aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldPath {
    /// The way to the heaviest of them; `[…]` where several places are meant.
    pub path: Vec<Step>,
    /// Whether it begins at a root that has a name.
    pub rooted: bool,
    /// Who has them.
    pub standing: Standing,
    /// How many, and what they retain together.
    pub amount: Amount,
}

/// References to objects of one type from one kind of place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referrer {
    /// Type of what refers to them.
    pub type_name: String,
    /// By which edge.
    pub edge: String,
    /// How many references.
    pub references: u64,
}

/// What hangs off some objects: the memory that only they hold, where most of it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tail {
    /// From one of the objects to it, as source: `._mgr.blocks[0].values`.
    pub edge: String,
    /// Its type.
    pub type_name: String,
    /// How many of them, and what they retain.
    pub amount: Amount,
}

/// What is asked of one or several types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeAnswer {
    /// The types' names; several if the one that was asked for is the end of all of them.
    pub type_names: Vec<String>,
    /// All objects together.
    pub census: TypeCensus,
    /// The heaviest objects.
    pub heaviest: Vec<Located>,
    /// The ways to the objects, the heaviest first.
    pub paths: Vec<HeldPath>,
    /// How many ways are left out.
    pub more_paths: usize,
    /// Who refers to them directly, the most frequent first.
    pub referrers: Vec<Referrer>,
    /// Where their memory is.
    pub tails: Vec<Tail>,
    /// Where it was allocated, as far as it is known.
    pub stacks: Vec<StackBytes>,
}

/// One reference from or to an object that was asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// The edge.
    pub edge: String,
    /// What is at its other end.
    pub object: Object,
    /// Whether the edge's target would go with the edge's source.
    pub only_way: bool,
}

/// What is asked of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectAnswer {
    /// The object and the way to it.
    pub located: Located,
    /// What refers to it: the first ones.
    pub referrers: Vec<Neighbour>,
    /// How many references to it there are.
    pub referrer_count: u64,
    /// What it refers to, the heaviest first.
    pub references: Vec<Neighbour>,
    /// How many references it has.
    pub reference_count: u64,
    /// Where the memory that only it holds is.
    pub tails: Vec<Tail>,
    /// Where it was allocated, as far as it is known.
    pub stacks: Vec<StackBytes>,
}

/// What the objects at one step of a cycle hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CyclePart {
    /// What would go with the objects at this step alone, over all instances.
    pub retained: Amount,
    /// Where most of that is.
    pub tails: Vec<Tail>,
}

/// A group of cycles with its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CycleAnswer {
    /// The group.
    pub group: CycleGroup,
    /// Whether the collector would free it.
    pub freeable: bool,
    /// Objects of the group that the collector tracks: it counts these, not bytes.
    pub tracked: u64,
    /// One for each step of the group's cycle; empty if the cycle is too long to be shown whole.
    pub parts: Vec<CyclePart>,
    /// What is held by objects that are in the same knot as the cycle, but not on it.
    pub beside: Amount,
    /// The heaviest instances: the object that the cycle begins at, and what the instance retains.
    pub instances: Vec<(Option<u64>, Amount)>,
    /// Addresses of the group's known blocks, rising.
    pub blocks: Vec<u64>,
}
