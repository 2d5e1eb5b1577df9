//! The dominator tree as a tree: children, and what each node retains.

use rustc_hash::FxHashMap;

use crate::analyse::dominators::{Dominators, NOT_THERE};
use crate::graph::{Graph, NATIVE, NO_TYPE, PYTHON_BLOCK};

/// An amount of memory by allocator, in bytes: Python's, or the C library's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Split {
    pub python: u64,
    pub native: u64,
}

impl Split {
    pub fn total(self) -> u64 {
        self.python.saturating_add(self.native)
    }

    pub fn add(&mut self, other: Split) {
        self.python = self.python.saturating_add(other.python);
        self.native = self.native.saturating_add(other.native);
    }
}

/// The node's own size.
#[inline]
pub(crate) fn own(graph: &Graph, node: u32) -> Split {
    let Some(&flags) = graph.flags.get(node as usize) else {
        return Split::default(); // a virtual node
    };
    let size = graph.sizes[node as usize];
    if flags & NATIVE != 0 && flags & PYTHON_BLOCK == 0 {
        Split {
            python: 0,
            native: size,
        }
    } else {
        Split {
            python: size,
            native: 0,
        }
    }
}

/// The dominator tree with retained sizes. Places are the numbers of [`Dominators`].
#[derive(Debug)]
pub(crate) struct DominatorTree {
    /// The node at each place.
    pub order: Vec<u32>,
    numbers: Vec<u32>,
    pub idom: Vec<u32>,
    /// What would be freed with the node at each place, itself included.
    pub retained: Vec<Split>,
    starts: Vec<u32>,
    children: Vec<u32>,
}

impl DominatorTree {
    pub fn new(graph: &Graph, dominators: Dominators) -> DominatorTree {
        let Dominators { order, numbers, idom } = dominators;
        let mut retained: Vec<Split> = order.iter().map(|&node| own(graph, node)).collect();
        let mut starts = vec![0u32; order.len() + 1];
        for at in (1..order.len()).rev() {
            let sum = retained[at];
            retained[idom[at] as usize].add(sum);
            starts[idom[at] as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut children = vec![0u32; order.len().saturating_sub(1)];
        for at in 1..order.len() {
            let place = &mut next[idom[at] as usize];
            children[*place as usize] = at as u32;
            *place += 1;
        }
        DominatorTree {
            order,
            numbers,
            idom,
            retained,
            starts,
            children,
        }
    }

    /// The place of a node, if it is in the tree.
    pub fn place(&self, node: u32) -> Option<u32> {
        self.numbers
            .get(node as usize)
            .copied()
            .filter(|&number| number != NOT_THERE)
    }

    /// The places of the nodes that a node dominates immediately.
    pub fn children(&self, place: u32) -> &[u32] {
        &self.children[self.starts[place as usize] as usize..self.starts[place as usize + 1] as usize]
    }

    /// For each place of the tree the group of its nearest ancestor among `heads`, itself included; `u32::MAX` if it
    /// has none. `heads` are places and the numbers of their groups.
    pub fn nearest(&self, heads: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
        let mut nearest = vec![u32::MAX; self.order.len()];
        for (place, group) in heads {
            nearest[place as usize] = group;
        }
        for at in 1..self.order.len() {
            if nearest[at] == u32::MAX {
                nearest[at] = nearest[self.idom[at] as usize];
            }
        }
        nearest
    }

    /// What the objects of each type retain together, by the type's number: an object that another one of its type
    /// retains adds nothing. `parts` are places that count for another type as well.
    pub fn retained_by_type(&self, graph: &Graph, parts: &FxHashMap<u32, u32>) -> Vec<Split> {
        let types = graph.names.type_count();
        let (mut open, mut sums) = (vec![0u32; types], vec![Split::default(); types]);
        let mut path = vec![(0, 0u32)];
        while let Some((place, child)) = path.last_mut() {
            let place = *place;
            let kind = graph.types.get(self.order[place as usize] as usize);
            let kinds = [kind.copied(), parts.get(&place).copied()];
            let kinds = kinds.into_iter().flatten().filter(|&kind| kind != NO_TYPE);
            if *child == 0 {
                for kind in kinds.clone() {
                    if open[kind as usize] == 0 {
                        sums[kind as usize].add(self.retained[place as usize]);
                    }
                    open[kind as usize] += 1;
                }
            }
            if let Some(&next) = self.children(place).get(*child as usize) {
                *child += 1;
                path.push((next, 0));
                continue;
            }
            path.pop();
            for kind in kinds {
                open[kind as usize] -= 1;
            }
        }
        sums
    }
}

/// Which of the nodes no other one of them retains.
pub(crate) fn outermost(tree: &DominatorTree, nodes: &[u32]) -> Vec<bool> {
    let mut inside = vec![false; tree.order.len()];
    let mut heads = vec![false; tree.order.len()];
    for place in nodes.iter().filter_map(|&node| tree.place(node)) {
        heads[place as usize] = true;
    }
    for at in 1..tree.order.len() {
        let above = tree.idom[at] as usize;
        inside[at] = inside[above] || heads[above];
    }
    let is_outer = |&node: &u32| tree.place(node).is_some_and(|place| !inside[place as usize]);
    nodes.iter().map(is_outer).collect()
}
