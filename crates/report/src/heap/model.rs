//! What a view of a heap snapshot may know: plain data in its final order. Serialized, it is `deadweight.heap/1`:
//! sizes are bytes, times are seconds, a missing fact is null, and only what was asked for is there.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Link, Site};

/// The value of [`HeapReport::schema`].
pub const SCHEMA: &str = "deadweight.heap/1";

/// What was asked of a heap snapshot.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct HeapReport {
    /// Name and version of the contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// Its objects by type, those that retain most first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<TypeRow>>,
    /// Who holds what is reachable; none is inside of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<HolderRow>>,
    /// Unreachable objects by the cycle that keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<Vec<CycleRow>>,
    /// The objects of one type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_view: Option<TypeView>,
    /// One object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectView>,
    /// What could not be read, and why: one sentence each.
    pub warnings: Vec<String>,
    /// The folder that the run was started in; paths below it are shown without it.
    #[serde(skip)]
    pub cwd: Option<String>,
    /// Whether a type was asked for because of who holds its objects.
    #[serde(skip)]
    pub holders_first: bool,
    /// Lines of advice that the text prints last.
    #[serde(skip)]
    pub next_steps: Vec<String>,
}

/// The snapshot.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct SnapshotRow {
    /// Whose heap it is.
    pub pid: u32,
    /// Its number in its process.
    pub number: u32,
    /// The numbers of all snapshots of the process.
    pub numbers: Vec<u32>,
    /// Other processes with snapshots.
    pub other_pids: Vec<u32>,
    /// When it was taken, since the start of the run.
    pub seconds: Option<f64>,
    /// When the heaps of all processes together were at their highest.
    pub peak_seconds: Option<f64>,
    /// Whether it was written to its end.
    pub complete: bool,
    /// How long the program stood still for it.
    pub pause_seconds: Option<f64>,
    /// Everything in it.
    pub all: Memory,
    /// What the collector would free.
    pub garbage: Memory,
    /// What nobody can reach, and the collector would not free.
    pub uncollectable: Memory,
}

/// An amount of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, JsonSchema, Serialize)]
pub struct Memory {
    /// Python objects; 0 where they are not counted.
    pub objects: u64,
    /// All bytes.
    pub bytes: u64,
    /// Those of Python's allocators.
    pub python_bytes: u64,
    /// Those of native blocks.
    pub native_bytes: u64,
}

impl From<deadweight_heap::Amount> for Memory {
    fn from(amount: deadweight_heap::Amount) -> Memory {
        Memory {
            objects: amount.objects,
            bytes: amount.bytes(),
            python_bytes: amount.python_bytes,
            native_bytes: amount.native_bytes,
        }
    }
}

/// One step of a chain of references.
pub type Step = Link;

/// The objects of one type.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct TypeRow {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many.
    pub count: u64,
    /// How many of them are unreachable.
    pub unreachable: u64,
    /// Bytes of the objects themselves.
    pub shallow_bytes: u64,
    /// What would go with all of them.
    pub retained: Memory,
}

/// Something that holds much memory.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct HolderRow {
    /// As the program would write it.
    pub expression: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// From the root to it.
    pub path: Vec<Step>,
    /// What would go with it.
    pub retained: Memory,
    /// The type of its elements, if it is a container of many.
    pub element_type: Option<String>,
    /// How many elements.
    pub elements: Option<u64>,
    /// Where the memory was allocated, by the user's own lines.
    pub user_sites: Vec<Site>,
}

/// Where memory is that hangs off something.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct TailRow {
    /// Which step of a cycle it hangs off; 0 for a type or an object.
    pub step: usize,
    /// The way there, as source.
    pub edge: String,
    /// The type of what is there.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many and how much.
    pub retained: Memory,
}

/// An instance of a cycle.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct Instance {
    /// The address of the object that the cycle begins at, as `0x…`.
    pub address: Option<String>,
    /// What the instance retains.
    pub bytes: u64,
}

/// Unreachable objects that the same kind of cycle keeps.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct CycleRow {
    /// The same in every run, 16 hexadecimal digits.
    pub fingerprint: String,
    /// The type that it is named after.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many such cycles.
    pub instances: u64,
    /// The shortest cycle through the heaviest object; the last step leads back to the first.
    pub cycle: Vec<Step>,
    /// What is only alive because of them.
    pub retained: Memory,
    /// Its share of all memory in the snapshot.
    pub share_of_heap: f64,
    /// What the objects at each step hold alone; empty for a cycle that is too long to be shown whole.
    pub held_by_step: Vec<Memory>,
    /// What is held by objects that are in the same knot, but not on the cycle.
    pub held_beside: Memory,
    /// Where the memory is.
    pub tails: Vec<TailRow>,
    /// Where it was allocated.
    pub sites: Vec<Site>,
    /// The same by the user's own lines.
    pub user_sites: Vec<Site>,
    /// Whether the collector would free it.
    pub freeable_by_gc: bool,
    /// Objects that the collector tracks, which are what it counts.
    pub tracked_objects: u64,
    /// How long before the snapshot the first and the last of its known blocks were allocated: it cannot have
    /// lingered longer.
    pub age_seconds: Option<(f64, f64)>,
    /// The heaviest instances.
    pub heaviest: Vec<Instance>,
    /// What to do.
    pub suggestion: String,
}

/// Objects reached in the same way.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct Held {
    /// From the root, or from the cycle that keeps them; the objects are not among the steps.
    pub path: Vec<Step>,
    /// `live`, `garbage`, `uncollectable` or `unowned`.
    pub standing: &'static str,
    /// How many, and what they retain.
    pub retained: Memory,
}

/// References to objects of a type.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct Reference {
    /// Type of what refers to them.
    #[serde(rename = "type")]
    pub type_name: String,
    /// By which edge.
    pub edge: String,
    /// How many references.
    pub count: u64,
}

/// An object.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct ObjectRow {
    /// Where it is, as `0x…`.
    pub address: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// `live`, `garbage`, `uncollectable` or `unowned`.
    pub standing: &'static str,
    /// Its own bytes.
    pub shallow_bytes: u64,
    /// What would go with it.
    pub retained: Memory,
    /// From the root to it; empty where no path was asked for.
    pub path: Vec<Step>,
}

/// The objects of a type.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct TypeView {
    /// The types that the name stands for.
    pub names: Vec<String>,
    /// All objects together.
    pub census: TypeRow,
    /// The ways to them, the heaviest first.
    pub paths: Vec<Held>,
    /// How many ways are left out.
    pub more_paths: usize,
    /// Who refers to them directly.
    pub referrers: Vec<Reference>,
    /// Where their memory is.
    pub tails: Vec<TailRow>,
    /// The heaviest objects.
    pub heaviest: Vec<ObjectRow>,
    /// Where their memory was allocated, by the user's own lines.
    pub user_sites: Vec<Site>,
}

/// One end of a reference of an object.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct Nearby {
    /// The edge.
    pub edge: String,
    /// What is at its other end.
    #[serde(flatten)]
    pub object: ObjectRow,
    /// Whether the target would go with the source.
    pub only_way: bool,
}

/// One object.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct ObjectView {
    /// The object and the way to it.
    #[serde(flatten)]
    pub object: ObjectRow,
    /// Who refers to it.
    pub referrers: Vec<Nearby>,
    /// How many references to it there are.
    pub referrer_count: u64,
    /// What it refers to, the heaviest first.
    pub references: Vec<Nearby>,
    /// How many references it has.
    pub reference_count: u64,
    /// Where its memory is.
    pub tails: Vec<TailRow>,
    /// Where its memory was allocated, by the user's own lines.
    pub user_sites: Vec<Site>,
}
