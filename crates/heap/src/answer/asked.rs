//! What an open snapshot answers when it is asked about one type or object: plain data, like [`crate::answer`].

use crate::answer::{Amount, CycleGroup, StackBytes, Step};

/// Whether the program can still reach an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// The program can reach it.
    Live,
    /// The collector would free it.
    Garbage,
    /// The program cannot reach it, and the collector would not free it.
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
    /// How many there are, and what would be freed with all of them.
    pub retained: Amount,
    /// How many of them are unreachable.
    pub unreachable: u64,
}

/// One object or block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its address; `None` if it is a root, or its address is not known.
    pub address: Option<u64>,
    /// Its type with its module, or what it is.
    pub type_name: String,
    /// Whether the program can still reach it.
    pub standing: Standing,
    /// Its own bytes.
    pub bytes: u64,
    /// What would be freed with it, itself included; without a number of objects.
    pub retained: Amount,
}

/// An object and the path to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// The object.
    pub object: Object,
    /// From a root to the object, which is not among the steps; for an unreachable object, from the cycle that keeps it
    /// alive.
    pub path: Vec<Step>,
    /// Whether the path begins at a root that has a name.
    pub rooted: bool,
}

/// Objects that are reached in the same way: by the same types and edges from the root, apart from indices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldPath {
    /// The path to the heaviest of them; `[…]` where indices differ.
    pub path: Vec<Step>,
    /// Whether it begins at a root that has a name.
    pub rooted: bool,
    /// Whether the program can still reach them.
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

/// A heavy branch below some objects: where most of the memory is that only they hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tail {
    /// The path from such an object to it, as Python code: `._mgr.blocks[0].values`.
    pub edge: String,
    /// Its type.
    pub type_name: String,
    /// How many of them, and what they retain.
    pub amount: Amount,
}

/// What is asked of one or several types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeAnswer {
    /// The names of the types; several if all of them end with the name that was asked for.
    pub type_names: Vec<String>,
    /// All objects together.
    pub census: TypeCensus,
    /// The heaviest objects.
    pub heaviest: Vec<Located>,
    /// The paths to the objects, the heaviest first.
    pub paths: Vec<HeldPath>,
    /// How many paths are left out.
    pub more_paths: usize,
    /// What refers to them directly, the most frequent first.
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
    /// Whether freeing the edge's source would free its target.
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
    /// What would be freed with the objects at this step alone, over all instances.
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
    /// What is held by members of the same components that are not on the cycle itself.
    pub beside: Amount,
    /// The heaviest instances: the object that the cycle begins at, and what the instance retains.
    pub instances: Vec<(Option<u64>, Amount)>,
    /// Addresses of the group's known blocks, sorted.
    pub blocks: Vec<u64>,
}
