//! Where the memory is that some objects retain: the heavy branches of the dominator tree below them, merged if the path to
//! them reads the same.
//!
//! A branch is followed as long as one child retains most of what its parent does, so that a data frame's megabytes are
//! shown at `._mgr.blocks[0].values` and not at the manager. It ends at an object: native blocks count for the object.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::analyse::chain::{self, Link};
use crate::analyse::paths::best_label;
use crate::analyse::retained::{DominatorTree, Split, own};
use crate::answer::Amount;
use crate::answer::asked::Tail;
use crate::graph::label::Kind;
use crate::graph::names::short_type;
use crate::graph::{Graph, NATIVE};

/// Branches of one object that are followed at most.
const MOST_BRANCHES: usize = 40;
/// Branches of less than this part of what an object retains are not followed: 1/200, or 0.5 %.
const SMALLEST_PART: u64 = 200;
/// Edges that are visited in search of an indirect path.
const MOST_EDGES: usize = 4000;
/// Longest branch, in steps.
const MOST_STEPS: usize = 24;

/// Sums up the branches of objects.
#[derive(Default)]
pub(crate) struct Tails {
    sums: FxHashMap<String, Tail>,
}

impl Tails {
    /// Adds what the node retains. If it is an attribute dictionary, its owner is given with it. `skips` says which
    /// nodes are left out.
    pub fn add(
        &mut self,
        graph: &Graph,
        tree: &DominatorTree,
        (node, owner): (u32, Option<u32>),
        skips: impl Fn(u32) -> bool,
    ) {
        let Some(place) = tree.place(node) else { return };
        let whole = tree.retained[place as usize].total();
        let mut branches: Vec<u32> = tree.children(place).to_vec();
        branches.retain(|&child| {
            let child_node = tree.order[child as usize];
            // Native memory to which the object itself refers counts as its own.
            let is_own = graph
                .flags
                .get(child_node as usize)
                .is_none_or(|flags| flags & NATIVE != 0)
                && graph.targets(node).contains(&child_node);
            !skips(child_node) && !is_own && tree.retained[child as usize].total() > whole / SMALLEST_PART
        });
        branches.sort_by_key(|&child| (Reverse(tree.retained[child as usize].total()), child));
        branches.truncate(MOST_BRANCHES);
        for child in branches {
            self.branch(graph, tree, (place, owner), child);
        }
    }

    fn branch(&mut self, graph: &Graph, tree: &DominatorTree, (from, owner): (u32, Option<u32>), child: u32) {
        let node = |place: u32| tree.order[place as usize];
        let to_dict = owner.map(|owner| (owner, best_label(graph, owner, node(from))));
        let mut links: Option<Vec<Link>> = Some(to_dict.into_iter().collect());
        let (mut at, mut next, mut steps) = (from, Some(child), 0);
        while let Some(to) = next.filter(|_| steps < MOST_STEPS) {
            links = links.zip(way(graph, node(at), node(to))).map(|(mut links, more)| {
                links.extend(more);
                links
            });
            (at, steps) = (to, steps + 1);
            next = heavy_child(graph, tree, at);
        }
        let retained = tree.retained[at as usize];
        let mut end = node(at);
        // What an attribute dictionary or a native block retains counts for the object that owns it.
        if let Some(links) = &mut links
            && links.len() > 1
            && let Some((owner, _)) =
                links.pop_if(|(_, label)| graph.has(end, NATIVE) || chain::is_dict_edge(&graph.names, *label))
        {
            end = owner;
        }
        let type_name = chain::node_name(graph, end);
        let (edge, kind) = match links {
            Some(links) => chain::expression(graph, &links),
            None => (" … ".to_owned(), String::new()),
        };
        let key = format!("{}\u{1f}{kind}", short_type(&type_name));
        let tail = self.sums.entry(key).or_insert_with(|| Tail {
            edge,
            type_name,
            amount: Amount::default(),
        });
        tail.amount.objects += 1;
        tail.amount.python_bytes = tail.amount.python_bytes.saturating_add(retained.python);
        tail.amount.native_bytes = tail.amount.native_bytes.saturating_add(retained.native);
    }

    /// The heaviest tails.
    pub fn heaviest(self, most: usize) -> Vec<Tail> {
        let mut tails: Vec<Tail> = self.sums.into_values().collect();
        tails.sort_by(|a, b| {
            let order = b.amount.bytes().cmp(&a.amount.bytes());
            order.then_with(|| (&a.edge, &a.type_name).cmp(&(&b.edge, &b.type_name)))
        });
        tails.truncate(most);
        tails
    }
}

/// The child that retains at least 70 % of a place, if the place itself has less than half.
fn heavy_child(graph: &Graph, tree: &DominatorTree, place: u32) -> Option<u32> {
    let whole = tree.retained[place as usize].total();
    let mut alone: Split = own(graph, tree.order[place as usize]);
    let mut largest: Option<(u64, u32)> = None;
    for &child in tree.children(place) {
        let retained = tree.retained[child as usize];
        let node = tree.order[child as usize];
        if graph.flags.get(node as usize).is_some_and(|flags| flags & NATIVE != 0) {
            alone.add(retained);
        } else if largest.is_none_or(|(bytes, _)| retained.total() > bytes) {
            largest = Some((retained.total(), child));
        }
    }
    let (bytes, child) = largest?;
    (alone.total() < whole / 2 && bytes / 7 >= whole / 10).then_some(child)
}

/// A short path from one node to another. It need not be a single edge: a dominator is only on all paths.
fn way(graph: &Graph, from: u32, to: u32) -> Option<Vec<Link>> {
    if graph.targets(from).contains(&to) {
        return Some(vec![(from, best_label(graph, from, to))]);
    }
    let mut before: FxHashMap<u32, u32> = FxHashMap::default();
    let mut queue = std::collections::VecDeque::from([from]);
    let mut edges_left = MOST_EDGES;
    while let Some(at) = queue.pop_front() {
        for (next, label) in graph.edges(at) {
            edges_left = edges_left.checked_sub(1)?;
            if label.kind() == Kind::Type || next == from || before.contains_key(&next) {
                continue;
            }
            before.insert(next, at);
            if next == to {
                let mut links = Vec::new();
                let mut node = to;
                while node != from {
                    let above = *before.get(&node)?;
                    links.push((above, best_label(graph, above, node)));
                    node = above;
                }
                links.reverse();
                return Some(links);
            }
            queue.push_back(next);
        }
    }
    None
}
