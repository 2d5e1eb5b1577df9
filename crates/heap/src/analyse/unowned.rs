//! Memory that nothing in the snapshot refers to: unowned blocks, and unreferenced objects.

use std::cmp::Reverse;
use std::collections::VecDeque;

use deadweight_capture::{Allocator, StackId};
use rustc_hash::FxHashMap;

use crate::analyse::chain::{self, Link};
use crate::analyse::reach::Reachability;
use crate::analyse::retained::DominatorTree;
use crate::answer::{Amount, Step, Unexplained, Unowned};
use crate::graph::label::{Kind, Label};
use crate::graph::{Counts, Graph, IMMORTAL, Mark, NATIVE, OBJECT_DOMAIN, PYTHON_BLOCK, TRACKED, UNEXPLAINED};

/// Longest list.
const MOST: usize = 200;
/// Smaller amounts are not listed, in bytes.
const SMALLEST: u64 = 64 << 10;

/// Objects of each group whose possible referrers are searched for.
const SAMPLES: usize = 16;
/// Longest path of that search, in references.
const LONGEST_WAY: usize = 4;
/// Objects that such a search visits at most.
const MOST_LOOKED_AT: usize = 500;
/// Types of objects that the interpreter refers to from places that are not in a snapshot.
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

/// Blocks that no object leads to, by the stack that allocated them.
pub(crate) fn unowned(graph: &Graph, reachability: &[Reachability]) -> Vec<Unowned> {
    let mut sums: FxHashMap<(StackId, Allocator), (u64, u64)> = FxHashMap::default();
    for mark in &graph.marks {
        let node = mark.node as usize;
        if reachability[node] == Reachability::Unowned && graph.flags[node] & NATIVE != 0 {
            let allocator = match graph.flags[node] & (PYTHON_BLOCK | OBJECT_DOMAIN) {
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

/// Objects with a reference count above 0 to which the snapshot shows no reference.
pub(crate) fn unreferenced(graph: &Graph, counts: &Counts) -> Vec<u32> {
    (0..graph.objects as u32)
        .filter(|&node| {
            let at = node as usize;
            graph.flags[at] & (UNEXPLAINED | IMMORTAL) == UNEXPLAINED
                && counts.known[at] == 0
                && !INTERPRETERS_OWN.contains(&graph.type_name(node))
        })
        .collect()
}

/// Those objects by type and stack, with what they retain.
pub(crate) fn unexplained(graph: &Graph, tree: &DominatorTree, nodes: &[u32]) -> Vec<Unexplained> {
    let stack_of = |node: u32| {
        let at = graph.marks.partition_point(|mark: &Mark| mark.node < node);
        let of_node = graph.marks.iter().skip(at).take_while(|mark| mark.node == node);
        of_node.filter(|mark| !mark.folded).map(|mark| mark.stack).next()
    };
    let mut groups: FxHashMap<(u32, Option<StackId>), (Amount, Vec<u32>)> = FxHashMap::default();
    for &node in nodes {
        let Some(place) = tree.place(node) else { continue };
        let retained = tree.retained[place as usize];
        let (sum, samples) = groups.entry((graph.types[node as usize], stack_of(node))).or_default();
        sum.objects += 1;
        sum.python_bytes = sum.python_bytes.saturating_add(retained.python);
        sum.native_bytes = sum.native_bytes.saturating_add(retained.native);
        if samples.len() < SAMPLES {
            samples.push(node);
        }
    }
    let mut list: Vec<_> = groups.into_iter().collect();
    list.retain(|(_, (amount, _))| amount.bytes() >= SMALLEST);
    list.sort_by_key(|(key, (amount, _))| (Reverse(amount.bytes()), *key));
    list.truncate(MOST);
    list.into_iter()
        .map(|((kind, stack), (amount, samples))| Unexplained {
            type_name: graph.names.type_name(kind).to_owned(),
            stack,
            amount,
            suspect: suspect(graph, tree, &samples),
        })
        .collect()
}

/// The path that most of these objects have to an object of native code, which may be what refers to them.
fn suspect(graph: &Graph, tree: &DominatorTree, nodes: &[u32]) -> Vec<Step> {
    let mut ways: FxHashMap<String, (usize, Vec<Link>)> = FxHashMap::default();
    for links in nodes.iter().filter_map(|&node| way_to_native_code(graph, tree, node)) {
        ways.entry(chain::key(graph, &links)).or_insert((0, links)).0 += 1;
    }
    let most = ways
        .into_iter()
        .max_by_key(|(key, (count, _))| (*count, Reverse(key.clone())));
    most.filter(|(_, (count, _))| *count * 2 > nodes.len())
        .map_or_else(Vec::new, |(_, (_, links))| {
            let mut steps = chain::steps(graph, &links);
            if let Some(last) = steps.last_mut() {
                last.edge.clear();
            }
            steps
        })
}

/// The shortest such path through what only this object holds.
fn way_to_native_code(graph: &Graph, tree: &DominatorTree, node: u32) -> Option<Vec<Link>> {
    let mut ways: VecDeque<Vec<Link>> = VecDeque::from([vec![(node, Label::default())]]);
    let mut looked_at = 0;
    while let Some(way) = ways.pop_front() {
        let &(from, _) = way.last()?;
        let place = tree.place(from)?;
        for (to, label) in graph.edges(from) {
            let is_its_own = tree.place(to).is_some_and(|at| tree.idom[at as usize] == place);
            if !is_its_own || to as usize >= graph.objects || label.kind() == Kind::Type {
                continue;
            }
            looked_at += 1;
            let mut longer = way.clone();
            longer.last_mut()?.1 = label;
            longer.push((to, Label::default()));
            if is_opaque(graph, to) {
                return Some(longer);
            }
            if longer.len() <= LONGEST_WAY && looked_at < MOST_LOOKED_AT {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Whether it is an object of native code that the collector does not track, and that shows no reference to any object.
fn is_opaque(graph: &Graph, node: u32) -> bool {
    graph.flags[node as usize] & TRACKED == 0
        && graph.names.may_hide_references(graph.types[node as usize])
        && graph.targets(node).iter().all(|&to| to as usize >= graph.objects)
}
