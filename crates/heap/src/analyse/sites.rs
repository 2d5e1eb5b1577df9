//! Which stacks allocated the memory of a group of nodes.

use std::cmp::Reverse;

use deadweight_capture::StackId;
use rustc_hash::FxHashMap;

use crate::analyse::retained::DominatorTree;
use crate::answer::StackBytes;
use crate::graph::Graph;

/// Longest list of stacks.
const MOST_STACKS: usize = 50;

/// Bytes of known blocks by group and stack. `groups` gives the group of each place of the tree.
pub(crate) fn by_group(graph: &Graph, tree: &DominatorTree, groups: &[u32]) -> FxHashMap<u32, Vec<StackBytes>> {
    let mut sums: FxHashMap<(u32, StackId), u64> = FxHashMap::default();
    for mark in &graph.marks {
        let Some(place) = tree.place(mark.node) else { continue };
        let group = groups[place as usize];
        if group != u32::MAX {
            let sum = sums.entry((group, mark.stack)).or_default();
            *sum = sum.saturating_add(mark.bytes);
        }
    }
    let mut lists: FxHashMap<u32, Vec<StackBytes>> = FxHashMap::default();
    for ((group, stack), bytes) in sums {
        lists.entry(group).or_default().push(StackBytes { stack, bytes });
    }
    lists.values_mut().for_each(merge);
    lists
}

/// Sums up by stack, sorts, and truncates.
pub(crate) fn merge(list: &mut Vec<StackBytes>) {
    list.sort_by_key(|part| part.stack);
    list.dedup_by(|later, first| {
        let same = later.stack == first.stack;
        if same {
            first.bytes = first.bytes.saturating_add(later.bytes);
        }
        same
    });
    list.sort_by_key(|part| (Reverse(part.bytes), part.stack));
    list.truncate(MOST_STACKS);
}
