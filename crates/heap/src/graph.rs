//! The object graph in compressed sparse rows: the edges of a node are one contiguous range of two arrays.
//!
//! Nodes have dense numbers: first the objects in the order of their addresses, then the roots, then the blocks that are
//! not an object's own memory, then the *relays*: addresses at which no block is known, but which both an object and native
//! blocks hold.

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
/// Its reference count is higher than the references in the snapshot explain.
pub(crate) const UNEXPLAINED: u8 = 4;
/// A native block, or a relay.
pub(crate) const NATIVE: u8 = 8;
/// A root.
pub(crate) const ROOT: u8 = 16;
/// A block of Python's object or mem domain that is not an object.
pub(crate) const PYTHON_BLOCK: u8 = 32;

/// Such a block is of the object domain.
pub(crate) const OBJECT_DOMAIN: u8 = 64;

/// `gc.collect()` would find the object unreachable and count it.
pub(crate) const COLLECTED: u8 = 128;

/// The type number of nodes that are not objects.
pub(crate) const NO_TYPE: u32 = u32::MAX;

/// A known block and the node whose memory it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mark {
    pub node: u32,
    pub stack: StackId,
    /// Bytes that the block stands for.
    pub bytes: u64,
    /// It is the memory of an object without a node, whose size is counted in this node.
    pub folded: bool,
}

/// A root of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    pub kind: RootKind,
    pub name: StringId,
}

/// Objects of one type whose sizes are counted in another object, the only one that refers to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Inside {
    pub node: u32,
    pub type_number: u32,
    pub count: u32,
    /// Their bytes, which are part of the node's size.
    pub bytes: u64,
}

/// Reference counts and what explains them. Needed only until it is known what is reachable.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Of an object its reference count, at most 2^32 - 1; of any other node the number of references to it.
    pub references: Vec<u32>,
    /// References to an object that the collector subtracts: those that `tp_traverse` of tracked objects reports.
    pub counted: Vec<u32>,
    /// All references to a node, those of roots and scanned words included. A word in a block that points back at the
    /// object that owns the block does not count.
    pub known: Vec<u32>,
}

/// A snapshot's graph.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub names: Names,
    /// Number of objects, which are the first nodes.
    pub objects: usize,
    pub roots: Vec<Root>,
    pub types: Vec<u32>,
    pub sizes: Vec<u64>,
    pub flags: Vec<u8>,
    /// Where each node's edges begin, and at the end the number of all edges.
    pub starts: Vec<u32>,
    pub targets: Vec<u32>,
    pub labels: Vec<Label>,
    /// Known blocks, by node.
    pub marks: Vec<Mark>,
    /// Nodes that stand for several objects of their type, and for how many. Their size is the sum.
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

    /// The range of a node's edges in `targets` and `labels`.
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

    /// The number of objects without a node of their own, by the node whose size includes them.
    pub fn folded(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let many = self.many.iter().map(|(&node, &count)| (node, u64::from(count) - 1));
        many.chain(self.inside.iter().map(|part| (part.node, u64::from(part.count))))
    }

    /// The name of a node's type; of native memory `<native memory>`.
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
