//! Slow and obvious answers, to hold the fast ones against on random graphs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::analyse::components;
use crate::analyse::dominators::{VirtualNodes, dominators};
use crate::analyse::reach::{Reachability, reach};
use crate::analyse::retained::{DominatorTree, outermost};
use crate::graph::label::{Kind, Label};
use crate::graph::{Counts, Graph, IMMORTAL, NATIVE, NO_TYPE, TRACKED};

/// Nodes without a type, all of them objects, with these edges; sizes are powers of two, so sums tell who is in.
fn graph(nodes: usize, edges: &[(u32, u32, bool)], flags: &[u8]) -> Graph {
    let mut edges = edges.to_vec();
    edges.sort_by_key(|edge| edge.0);
    let mut graph = Graph {
        objects: nodes,
        types: vec![NO_TYPE; nodes],
        sizes: (0..nodes).map(|node| 1 << node).collect(),
        flags: flags.to_vec(),
        starts: vec![0],
        ..Graph::default()
    };
    for node in 0..nodes as u32 {
        for edge in edges.iter().filter(|edge| edge.0 == node) {
            graph.targets.push(edge.1);
            graph.labels.push(Label::new(Kind::Index, 0, edge.2));
        }
        graph.starts.push(graph.targets.len() as u32);
    }
    graph
}

fn arb_edges(nodes: usize, most: usize) -> impl Strategy<Value = Vec<(u32, u32, bool)>> {
    let node = 0..nodes as u32;
    prop::collection::vec((node.clone(), node, prop::bool::weighted(0.8)), 0..most)
}

/// Everything that can be reached from `from` without passing through `without`.
fn closure(graph: &Graph, from: &[u32], without: Option<u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut next: Vec<u32> = from.to_vec();
    while let Some(node) = next.pop() {
        if Some(node) != without && found.insert(node) {
            next.extend(graph.targets(node));
        }
    }
    found
}

fn sum(graph: &Graph, nodes: impl IntoIterator<Item = u32>) -> u64 {
    nodes.into_iter().map(|node| graph.sizes[node as usize]).sum()
}

const NODES: usize = 14;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 600 }))]

    #[test]
    fn a_node_retains_what_is_unreachable_without_it(
        edges in arb_edges(NODES, 40),
        roots in prop::collection::vec(0..NODES as u32, 1..4),
    ) {
        let graph = graph(NODES, &edges, &[0; NODES]);
        let mut over = VirtualNodes::new(graph.len());
        over.add(over.root(), roots.clone());
        let tree = DominatorTree::new(&graph, dominators(&graph, &[Reachability::Live; NODES], &over));
        let all = closure(&graph, &roots, None);
        for node in 0..NODES as u32 {
            match tree.place(node) {
                None => prop_assert!(!all.contains(&node)),
                Some(place) => {
                    let rest = closure(&graph, &roots, Some(node));
                    let lost = sum(&graph, all.difference(&rest).copied());
                    prop_assert_eq!(tree.retained[place as usize].total(), lost, "node {}", node);
                }
            }
        }
    }

    #[test]
    fn an_outer_object_has_none_of_its_kind_above_it(
        edges in arb_edges(NODES, 40),
        roots in prop::collection::vec(0..NODES as u32, 1..4),
        chosen in prop::collection::btree_set(0..NODES as u32, 1..NODES),
    ) {
        let graph = graph(NODES, &edges, &[0; NODES]);
        let mut over = VirtualNodes::new(graph.len());
        over.add(over.root(), roots.clone());
        let tree = DominatorTree::new(&graph, dominators(&graph, &[Reachability::Live; NODES], &over));
        let chosen: Vec<u32> = chosen.into_iter().collect();
        let all = closure(&graph, &roots, None);
        // Another one is above it if it cannot be reached without that one.
        let expected: Vec<bool> = chosen.iter().map(|&node| all.contains(&node) && chosen.iter().all(|&other| {
            other == node || !all.contains(&other) || closure(&graph, &roots, Some(other)).contains(&node)
        })).collect();
        prop_assert_eq!(outermost(&tree, &chosen), expected);
    }

    #[test]
    fn nodes_of_different_reachability_do_not_disturb_each_other(
        edges in arb_edges(NODES, 40),
        split in prop::collection::vec(any::<bool>(), NODES),
    ) {
        let reachability: Vec<Reachability> = split.iter().map(|live| if *live { Reachability::Live } else { Reachability::Garbage }).collect();
        let inner: Vec<_> = edges.iter().copied().filter(|edge| split[edge.0 as usize] == split[edge.1 as usize]).collect();
        let whole = graph(NODES, &edges, &[0; NODES]);
        let parted = graph(NODES, &inner, &[0; NODES]);
        let tree = |graph: &Graph| {
            let mut over = VirtualNodes::new(graph.len());
            let firsts = |live: bool| (0..NODES as u32).filter(|&node| split[node as usize] == live).take(3).collect::<Vec<_>>();
            over.add(over.root(), firsts(true));
            over.add(over.root(), firsts(false));
            DominatorTree::new(graph, dominators(graph, &reachability, &over))
        };
        prop_assert_eq!(tree(&whole).retained, tree(&parted).retained);
    }

    #[test]
    fn sources_are_the_components_that_nothing_leads_to(edges in arb_edges(NODES, 30), absent in 0..NODES) {
        let graph = graph(NODES, &edges, &[0; NODES]);
        let mut reachability = [Reachability::Garbage; NODES];
        reachability[absent] = Reachability::Live;
        let inside = |node: u32| node as usize != absent;
        let leads = |from: u32, to: u32| from == to || closure(&graph, &[from], Some(absent as u32)).contains(&to);
        let mut expected: Vec<Vec<u32>> = Vec::new();
        for node in (0..NODES as u32).filter(|&node| inside(node)) {
            let same: Vec<u32> = (0..NODES as u32).filter(|&other| inside(other) && leads(node, other) && leads(other, node)).collect();
            let led_to = (0..NODES as u32).any(|other| inside(other) && leads(other, node) && !same.contains(&other));
            if !led_to && !expected.contains(&same) {
                expected.push(same);
            }
        }
        prop_assert_eq!(components::sources(&graph, &reachability, Reachability::Garbage), expected);
    }

    #[test]
    fn garbage_is_what_the_collector_frees(
        edges in arb_edges(NODES, 30),
        outside in prop::collection::vec(prop::sample::select(vec![0u32, 0, 0, 0, 1, 2]), NODES),
        flags in prop::collection::vec(prop::sample::select(vec![0u8, TRACKED, TRACKED, TRACKED, TRACKED | IMMORTAL]), NODES),
    ) {
        let mut graph = graph(NODES, &edges, &flags);
        let is = |node: u32, flag: u8| flags[node as usize] & flag != 0;
        let into = |node: u32, counted: bool| {
            let edges = edges.iter().filter(|edge| edge.1 == node && (!counted || edge.2 && is(edge.0, TRACKED)));
            edges.count() as u32
        };
        let references: Vec<u32> = (0..NODES as u32).map(|node| into(node, false) + outside[node as usize]).collect();
        let mut counts = Counts {
            references: references.clone(),
            counted: (0..NODES as u32).map(|node| into(node, true)).collect(),
            known: (0..NODES as u32).map(|node| into(node, false)).collect(),
        };
        let found = reach(&mut graph, &mut counts);

        // Over and over: what has a reference from outside of the doomed ones is not doomed.
        let mut doomed: BTreeSet<u32> = (0..NODES as u32).filter(|&node| is(node, TRACKED) && !is(node, IMMORTAL)).collect();
        loop {
            let inner = |node: u32| edges.iter().filter(|edge| edge.1 == node && edge.2 && doomed.contains(&edge.0)).count() as u32;
            let saved: Vec<u32> = doomed.iter().copied().filter(|&node| references[node as usize] > inner(node)).collect();
            if saved.is_empty() {
                break;
            }
            saved.iter().for_each(|node| { doomed.remove(node); });
        }
        // Then reference counting: what only dead objects refer to dies.
        let mut dead = doomed;
        loop {
            let left = |node: u32| {
                let lost = edges.iter().filter(|edge| edge.1 == node && dead.contains(&edge.0)).count() as u32;
                references[node as usize] - lost
            };
            let dying: Vec<u32> = (0..NODES as u32)
                .filter(|&node| !dead.contains(&node) && !is(node, IMMORTAL) && left(node) == 0)
                .filter(|&node| edges.iter().any(|edge| edge.1 == node && dead.contains(&edge.0)))
                .collect();
            if dying.is_empty() {
                break;
            }
            dead.extend(dying);
        }
        let garbage: BTreeSet<u32> = (0..NODES as u32).filter(|&node| found.reachability[node as usize] == Reachability::Garbage).collect();
        prop_assert_eq!(&garbage, &dead);

        // What is left is alive if something outside of the snapshot refers to it, or leads to it.
        let by_itself: Vec<u32> = (0..NODES as u32).filter(|node| !dead.contains(node) && (is(*node, IMMORTAL) || outside[*node as usize] > 0)).collect();
        let live = closure(&graph, &by_itself, None);
        for node in (0..NODES as u32).filter(|node| !dead.contains(node)) {
            let expected = if live.contains(&node) { Reachability::Live } else { Reachability::Uncollectable };
            prop_assert_eq!(found.reachability[node as usize], expected, "node {}", node);
        }
    }
}

#[test]
fn a_list_of_a_million_nodes_is_no_deeper_than_any_other() {
    let nodes = 1_000_000;
    let mut graph = Graph {
        objects: nodes,
        types: vec![NO_TYPE; nodes],
        sizes: vec![1; nodes],
        flags: vec![TRACKED; nodes],
        starts: (0..nodes as u32).chain([nodes as u32 - 1]).collect(),
        targets: (1..nodes as u32).collect(),
        labels: vec![Label::new(Kind::Attribute, 0, true); nodes - 1],
        ..Graph::default()
    };
    let mut counts = Counts {
        references: vec![1; nodes],
        counted: [0].into_iter().chain(vec![1; nodes - 1]).collect(),
        known: [0].into_iter().chain(vec![1; nodes - 1]).collect(),
    };
    let reach = reach(&mut graph, &mut counts);
    assert_eq!(reach.live_roots, [0]);
    let mut over = VirtualNodes::new(nodes);
    over.add(over.root(), reach.live_roots);
    let tree = DominatorTree::new(&graph, dominators(&graph, &reach.reachability, &over));
    assert_eq!(tree.retained[0].total(), nodes as u64);
    assert_eq!(tree.retained[tree.place(nodes as u32 - 1).unwrap() as usize].total(), 1);
    assert_eq!(
        components::sources(&graph, &reach.reachability, Reachability::Live).len(),
        1
    );
}

#[test]
fn native_memory_without_an_owner_is_told_from_that_of_the_dead() {
    // 0 is garbage and has the block 2, which has the block 3; 4 and 5 are blocks that nobody has; 1 is held by 4.
    let edges = [(0, 0, true), (0, 2, false), (2, 3, false), (4, 1, false), (4, 5, false)];
    let mut graph = graph(6, &edges, &[TRACKED, TRACKED, NATIVE, NATIVE, NATIVE, NATIVE]);
    graph.objects = 2;
    let mut counts = Counts {
        references: vec![1, 1, 1, 1, 0, 1],
        counted: vec![1, 0],
        known: vec![1, 1, 1, 1, 0, 1],
    };
    let found = reach(&mut graph, &mut counts);
    use Reachability::{Garbage, Unowned};
    assert_eq!(
        found.reachability,
        [Garbage, Unowned, Garbage, Garbage, Unowned, Unowned]
    );
    assert_eq!(found.unowned_roots, [4]);
}
