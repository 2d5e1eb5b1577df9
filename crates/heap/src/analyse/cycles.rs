//! Unreachable memory by the cycle that keeps it alive.
//!
//! Unreachable memory is divided by *garbage component*: a strongly connected component that no other unreachable
//! object refers to, with everything that only it holds. Its *principal* is the member that retains most, if possible
//! one whose type is the program's or a library's; the component is described by the shortest cycle through its
//! principal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::analyse::chain::{self, Link};
use crate::analyse::retained::{DominatorTree, Split};
use crate::analyse::sites;
use crate::answer::{Amount, CycleGroup, StackBytes};
use crate::graph::Graph;
use crate::graph::label::{Kind, Label};
use crate::graph::names::is_builtin;

/// Longest list of groups. The amounts of the others are still part of the total.
const MOST_GROUPS: usize = 100;
/// Edges that are visited at most in search of shortest cycles, over all components.
pub(crate) const MOST_EDGES: usize = 20_000_000;

/// A component that no other unreachable object refers to, and the virtual root above it.
#[derive(Debug)]
pub(crate) struct GarbageComponent {
    /// The place of that virtual root in the tree.
    pub place: u32,
    /// The nodes of the component, sorted.
    pub members: Vec<u32>,
}

#[derive(Debug)]
struct Group {
    instances: u64,
    split: Split,
    objects: u64,
    heaviest: u64,
    links: Vec<Link>,
}

/// Groups garbage components by their cycles.
pub(crate) fn groups(graph: &Graph, tree: &DominatorTree, components: &[GarbageComponent]) -> Vec<CycleGroup> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_cycle: FxHashMap<Vec<(u32, Label)>, u32> = FxHashMap::default();
    let mut of_component = Vec::with_capacity(components.len());
    let mut edges_left = MOST_EDGES;
    for component in components {
        let links = cycle(graph, tree, &component.members, &mut edges_left);
        let shape: Vec<(u32, Label)> = links
            .iter()
            .map(|&(node, label)| (graph.types[node as usize], anywhere(label)))
            .collect();
        let at = *by_cycle.entry(shape).or_insert_with(|| {
            groups.push(Group {
                instances: 0,
                split: Split::default(),
                objects: 0,
                heaviest: 0,
                links: Vec::new(),
            });
            groups.len() as u32 - 1
        });
        of_component.push((component.place, at));
        let group = &mut groups[at as usize];
        let retained = tree.retained[component.place as usize];
        group.instances += 1;
        group.split.add(retained);
        if group.links.is_empty() || retained.total() > group.heaviest {
            group.heaviest = retained.total();
            group.links = links;
        }
    }
    let nearest = tree.nearest(of_component.into_iter());
    for (place, &group) in nearest.iter().enumerate() {
        if group != u32::MAX && (tree.order[place] as usize) < graph.objects {
            groups[group as usize].objects += 1;
        }
    }
    for (node, count) in graph.folded() {
        let group = tree.place(node).and_then(|place| nearest.get(place as usize));
        if let Some(group) = group.and_then(|&group| groups.get_mut(group as usize)) {
            group.objects += count;
        }
    }
    let stacks = sites::by_group(graph, tree, &nearest);
    answers(graph, groups, stacks)
}

/// Merges groups with the same fingerprint: their labels may still differ in numbers.
fn answers(graph: &Graph, groups: Vec<Group>, mut stacks: FxHashMap<u32, Vec<StackBytes>>) -> Vec<CycleGroup> {
    let mut merged: FxHashMap<u64, (CycleGroup, u64)> = FxHashMap::default();
    for (at, group) in groups.into_iter().enumerate() {
        let fingerprint = chain::fingerprint(graph, &group.links);
        let stacks = stacks.remove(&(at as u32)).unwrap_or_default();
        let amount = Amount {
            objects: group.objects,
            python_bytes: group.split.python,
            native_bytes: group.split.native,
        };
        let shown = |group: &Group| {
            let principal = group.links.first().map(|&(node, _)| chain::node_name(graph, node));
            (principal.unwrap_or_default(), chain::steps(graph, &group.links))
        };
        match merged.entry(fingerprint) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                let (type_name, cycle) = shown(&group);
                let answer = CycleGroup {
                    fingerprint,
                    type_name,
                    instances: group.instances,
                    amount,
                    cycle,
                    stacks,
                };
                entry.insert((answer, group.heaviest));
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                let (answer, heaviest) = entry.get_mut();
                if group.heaviest > *heaviest {
                    (answer.type_name, answer.cycle) = shown(&group);
                    *heaviest = group.heaviest;
                }
                answer.instances += group.instances;
                answer.amount.objects += amount.objects;
                answer.amount.python_bytes = answer.amount.python_bytes.saturating_add(amount.python_bytes);
                answer.amount.native_bytes = answer.amount.native_bytes.saturating_add(amount.native_bytes);
                answer.stacks.extend(stacks);
                sites::merge(&mut answer.stacks);
            }
        }
    }
    let mut answers: Vec<CycleGroup> = merged.into_values().map(|(answer, _)| answer).collect();
    answers.sort_by_key(|group| (Reverse(group.amount.bytes()), group.fingerprint));
    answers.truncate(MOST_GROUPS);
    answers
}

/// The label without an index.
fn anywhere(label: Label) -> Label {
    match label.kind() {
        Kind::Index | Kind::Unnamed | Kind::Word => Label::new(label.kind(), 0, false),
        kind => Label::new(kind, label.number().unwrap_or(u32::MAX), false),
    }
}

/// The principal of a component.
pub(crate) fn principal(graph: &Graph, tree: &DominatorTree, members: &[u32]) -> u32 {
    let retained = |node: u32| {
        tree.place(node)
            .map_or(0, |place| tree.retained[place as usize].total())
    };
    let score = |node: u32| {
        // What an object's attribute dictionary retains counts for the object.
        let dicts = graph
            .edges(node)
            .filter(|&(to, label)| chain::is_dict_edge(&graph.names, label) && members.binary_search(&to).is_ok());
        dicts.fold(retained(node), |sum, (to, _)| sum.saturating_add(retained(to)))
    };
    let is_own = |node: u32| !is_builtin(graph.type_name(node));
    let best = members
        .iter()
        .copied()
        .max_by_key(|&node| (is_own(node), score(node), Reverse(node)));
    best.unwrap_or(0)
}

/// The cost of an edge: the less readable, the higher.
fn cost(graph: &Graph, label: Label) -> u64 {
    match label.kind() {
        Kind::Attribute if chain::is_dict_edge(&graph.names, label) => 1,
        Kind::Attribute | Kind::Key | Kind::Local => 8,
        Kind::Item => 9,
        Kind::Index | Kind::Member => 10,
        Kind::Unnamed | Kind::Word => 14,
        Kind::Type => 200,
    }
}

/// The shortest cycle through the component's principal: each node with the label of the edge to the next.
pub(crate) fn cycle(graph: &Graph, tree: &DominatorTree, members: &[u32], edges_left: &mut usize) -> Vec<Link> {
    const NEVER: u64 = u64::MAX;
    let start = principal(graph, tree, members);
    let Ok(start_at) = members.binary_search(&start) else {
        return Vec::new();
    };
    let mut costs = vec![NEVER; members.len()];
    let mut from: Vec<(u32, Label)> = vec![(0, Label::default()); members.len()];
    let mut queue = BinaryHeap::new();
    let (mut best, mut end) = (NEVER, None);
    // Ties go to the edge that was visited first, so that instances of the same bug look the same.
    let mut met = 0u64;
    queue.push(Reverse((0u64, met, start_at as u32)));
    while let Some(Reverse((so_far, _, at))) = queue.pop() {
        if so_far >= best || *edges_left == 0 {
            break;
        }
        if so_far > costs[at as usize] {
            continue;
        }
        for (to, label) in graph.edges(members[at as usize]) {
            *edges_left = edges_left.saturating_sub(1);
            let Ok(to) = members.binary_search(&to) else { continue };
            let sum = so_far + cost(graph, label);
            if to == start_at {
                if sum < best {
                    (best, end) = (sum, Some((at, label)));
                }
            } else if sum < costs[to] {
                costs[to] = sum;
                from[to] = (at, label);
                met += 1;
                queue.push(Reverse((sum, met, to as u32)));
            }
        }
    }
    let Some((last, label)) = end else {
        return vec![(start, Label::default())];
    };
    let mut links = vec![(members[last as usize], label)];
    let mut at = last;
    while at as usize != start_at {
        let (before, label) = from[at as usize];
        links.push((members[before as usize], label));
        at = before;
    }
    links.reverse();
    links
}
