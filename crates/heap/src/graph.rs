//! The object graph in compressed rows: the edges of a node are one run of two arrays.
//!
//! Nodes have dense numbers: first the objects in the order of their addresses, then the roots, then the blocks that
//! are no object's own memory, then *relays*: addresses that an object and native blocks both hold, without any
//! block known there.

pub(crate) mod label;
pub(crate) mod names;

use deadweight_capture::{RootKind, StackId, StringId};
use rustc_hash::FxHashMap;

use crate::graph::label::Label;
use crate::graph::names::Names;

/// The collector tracks the object.
pub(crate) const TRACKED: u8 = 1;
/// The object is immortal.
pub(crate) const IMMORTAL: u8 = 2;
/// More references than the snapshot explains.
pub(crate) const UNEXPLAINED: u8 = 4;
/// A native block, or a relay.
pub(crate) const NATIVE: u8 = 8;
/// A root.
pub(crate) const ROOT: u8 = 16;
/// A block of Python's own doors (object or mem) that is no object.
pub(crate) const PYTHON_BLOCK: u8 = 32;

/// Such a block came through the door for objects.
pub(crate) const OBJECT_DOMAIN: u8 = 64;

/// `gc.collect()` would find the object unreachable and count it.
pub(crate) const COLLECTED: u8 = 128;

/// The type number of nodes that are no objects.
pub(crate) const NO_TYPE: u32 = u32::MAX;

/// A known block and the node whose memory it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mark {
    pub node: u32,
    pub stack: StackId,
    /// What the block stands for.
    pub bytes: u64,
    /// It is the memory of an object that is counted in the node.
    pub folded: bool,
}

/// A root of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    pub kind: RootKind,
    pub name: StringId,
}

/// Objects of one type that are counted in another one: only it has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Inside {
    pub node: u32,
    pub type_number: u32,
    pub count: u32,
    /// In the size of the node.
    pub bytes: u64,
}

/// Reference counts and what explains them; needed to find what is reachable, and then no more.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// An object's own count, cut off at the largest number; what leads to any other node.
    pub references: Vec<u32>,
    /// References to an object that the collector subtracts: counted edges of tracked objects.
    pub counted: Vec<u32>,
    /// Everything that leads to a node, roots and scanned words included. A block that an object has does not count
    /// for that object: what it says of its owner is no reference.
    pub known: Vec<u32>,
}

/// A snapshot's graph.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub names: Names,
    /// Number of objects: the nodes before the roots.
    pub objects: usize,
    pub roots: Vec<Root>,
    pub types: Vec<u32>,
    pub sizes: Vec<u64>,
    pub flags: Vec<u8>,
    /// Where each node's edges begin; one more than there are nodes.
    pub starts: Vec<u32>,
    pub targets: Vec<u32>,
    pub labels: Vec<Label>,
    /// Known blocks, by node.
    pub marks: Vec<Mark>,
    /// Nodes that stand for several objects of their type, and for how many; their size is that of all.
    pub many: FxHashMap<u32, u32>,
    /// Objects without a node.
    pub inside: Vec<Inside>,
}

impl Graph {
    /// Number of nodes.
    #[inline]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// The places of a node's edges in `targets` and `labels`.
    #[inline]
    pub fn row(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    /// Where a node's edges lead.
    #[inline]
    pub fn targets(&self, node: u32) -> &[u32] {
        &self.targets[self.row(node)]
    }

    /// A node's edges.
    pub fn edges(&self, node: u32) -> impl Iterator<Item = (u32, Label)> + '_ {
        let row = self.row(node);
        let labels = &self.labels[row.clone()];
        self.targets[row].iter().copied().zip(labels.iter().copied())
    }

    #[inline]
    pub fn has(&self, node: u32, flag: u8) -> bool {
        self.flags[node as usize] & flag != 0
    }

    /// How many objects of its type an object's node stands for.
    #[inline]
    pub fn count(&self, node: u32) -> u64 {
        self.many.get(&node).map_or(1, |&count| u64::from(count))
    }

    /// Objects that are no nodes, by the node in whose size they are, and how many.
    pub fn folded(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let many = self.many.iter().map(|(&node, &count)| (node, u64::from(count) - 1));
        many.chain(self.inside.iter().map(|part| (part.node, u64::from(part.count))))
    }

    /// The name of a node's type, or what it is.
    pub fn type_name(&self, node: u32) -> &str {
        match self.types.get(node as usize) {
            Some(&NO_TYPE) | None => crate::graph::names::NATIVE,
            Some(&number) => self.names.type_name(number),
        }
    }

    /// The root that a node stands for.
    pub fn root(&self, node: u32) -> Option<Root> {
        let at = (node as usize).checked_sub(self.objects)?;
        self.roots.get(at).copied()
    }

    /// Numbers of the roots' nodes.
    pub fn root_nodes(&self) -> std::ops::Range<u32> {
        self.objects as u32..(self.objects + self.roots.len()) as u32
    }
}
