//! Memory that nothing in the snapshot holds: blocks without an owner, and objects without a finder.

use std::cmp::Reverse;

use deadweight_capture::{Allocator, StackId};
use rustc_hash::FxHashMap;

use crate::answer::{Amount, Unexplained, Unowned};
use crate::graph::{Counts, Graph, IMMORTAL, Mark, NATIVE, OBJECT_DOOR, PYTHON_BLOCK, UNEXPLAINED};
use crate::reach::Realm;
use crate::retained::Tree;

/// Each list has at most so many entries.
const MOST: usize = 200;
/// Smaller amounts are not listed.
const SMALLEST: u64 = 64 << 10;

/// Objects that the interpreter itself refers to from places that no snapshot shows.
const INTERPRETERS_OWN: [&str; 8] = [
    "type",
    "module",
    "code",
    "frame",
    "generator",
    "coroutine",
    "async_generator",
    "builtin_function_or_method",
];

/// Blocks that no object leads to, by stack.
pub(crate) fn unowned(graph: &Graph, realms: &[Realm]) -> Vec<Unowned> {
    let mut sums: FxHashMap<(StackId, Allocator), (u64, u64)> = FxHashMap::default();
    for mark in &graph.marks {
        let node = mark.node as usize;
        if realms[node] == Realm::Unowned && graph.flags[node] & NATIVE != 0 {
            let allocator = match graph.flags[node] & (PYTHON_BLOCK | OBJECT_DOOR) {
                0 => Allocator::Malloc,
                PYTHON_BLOCK => Allocator::PyMem,
                _ => Allocator::PyObject,
            };
            let sum = sums.entry((mark.stack, allocator)).or_default();
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(mark.bytes);
        }
    }
    let mut list: Vec<Unowned> = sums
        .into_iter()
        .map(|((stack, allocator), (blocks, bytes))| Unowned {
            stack,
            allocator,
            blocks,
            bytes,
        })
        .filter(|part| part.bytes >= SMALLEST)
        .collect();
    list.sort_by_key(|part| (Reverse(part.bytes), part.stack, part.allocator));
    list.truncate(MOST);
    list
}

/// Objects with references of which the snapshot shows none.
pub(crate) fn without_finder(graph: &Graph, counts: &Counts) -> Vec<u32> {
    (0..graph.objects as u32)
        .filter(|&node| {
            let at = node as usize;
            graph.flags[at] & (UNEXPLAINED | IMMORTAL) == UNEXPLAINED
                && counts.known[at] == 0
                && !INTERPRETERS_OWN.contains(&graph.type_name(node))
        })
        .collect()
}

/// The same by type and stack, with what they retain.
pub(crate) fn unexplained(graph: &Graph, tree: &Tree, nodes: &[u32]) -> Vec<Unexplained> {
    let stack_of = |node: u32| {
        let at = graph.marks.partition_point(|mark: &Mark| mark.node < node);
        let of_node = graph.marks.iter().skip(at).take_while(|mark| mark.node == node);
        of_node.filter(|mark| !mark.folded).map(|mark| mark.stack).next()
    };
    let mut sums: FxHashMap<(u32, Option<StackId>), Amount> = FxHashMap::default();
    for &node in nodes {
        let Some(place) = tree.place(node) else { continue };
        let retained = tree.retained[place as usize];
        let sum = sums.entry((graph.types[node as usize], stack_of(node))).or_default();
        sum.objects += 1;
        sum.python_bytes = sum.python_bytes.saturating_add(retained.python);
        sum.native_bytes = sum.native_bytes.saturating_add(retained.native);
    }
    let mut list: Vec<((u32, Option<StackId>), Amount)> = sums.into_iter().collect();
    list.retain(|(_, amount)| amount.bytes() >= SMALLEST);
    list.sort_by_key(|(key, amount)| (Reverse(amount.bytes()), *key));
    list.truncate(MOST);
    list.into_iter()
        .map(|((kind, stack), amount)| Unexplained {
            type_name: graph.names.type_name(kind).to_owned(),
            stack,
            amount,
        })
        .collect()
}
