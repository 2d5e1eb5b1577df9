//! Shortest paths from the roots, along references that a person can read if possible.
//!
//! What a module holds gets its path from the module even if a variable of a running function is nearer: at the next
//! snapshot another function may be running, and the same holder would have another path. So frames start at a greater
//! distance than modules, and inner frames at a greater distance than outer ones.

use std::collections::VecDeque;

use deadweight_capture::RootKind;

use crate::analyse::chain::Link;
use crate::analyse::reach::Reach;
use crate::graph::Graph;
use crate::graph::label::{Kind, Label};

const NOBODY: u32 = u32::MAX;
/// Distance of the outermost frame, in references; a module's dictionary has 0.
const FRAME_DISTANCE: u32 = 8;
/// Distance that the innermost frame has at most in addition.
const MOST_DEPTH: u32 = 8;

/// For each node the one before it on its path.
#[derive(Debug)]
pub(crate) struct Paths {
    before: Vec<u32>,
}

impl Paths {
    /// Searches breadth first from the named roots. Edges without a name, and those through which everything is reachable,
    /// wait until there are no others; objects that are alive for unknown reasons come last.
    pub fn new(graph: &Graph, reach: &Reach) -> Paths {
        let mut paths = Paths {
            before: vec![NOBODY; graph.len()],
        };
        let named = graph.roots.len();
        // Each object that is alive for unknown reasons starts a search of its own.
        let (roots, others) = reach.live_roots.split_at(named.min(reach.live_roots.len()));
        paths.search_from(graph, reach, &distances(graph, roots));
        for &root in others {
            paths.search(graph, reach, &[root]);
        }
        paths
    }

    /// Adds the paths from these nodes, which are on no path yet, to what they reach of the same reachability.
    pub fn search(&mut self, graph: &Graph, reach: &Reach, from: &[u32]) {
        let from: Vec<(u32, u32)> = from.iter().map(|&root| (0, root)).collect();
        self.search_from(graph, reach, &from);
    }

    /// As `search`, from nodes with start distances, in rising order.
    fn search_from(&mut self, graph: &Graph, reach: &Reach, from: &[(u32, u32)]) {
        let mut waiting = from.iter().copied().peekable();
        let (mut queue, mut later) = (VecDeque::new(), VecDeque::new());
        for &(_, root) in from {
            if self.before[root as usize] == NOBODY {
                self.before[root as usize] = root;
            }
        }
        loop {
            let next = queue.front().map_or(u32::MAX, |&(distance, _)| distance);
            if let Some((distance, root)) = waiting.next_if(|&(distance, _)| distance < next) {
                // At equal distances, the root goes first.
                if self.before[root as usize] == root {
                    queue.push_front((distance, root));
                }
            } else if let Some((distance, from)) = queue.pop_front() {
                for (to, label) in graph.edges(from) {
                    let crosses = reach.reachability[to as usize] != reach.reachability[from as usize];
                    if crosses || self.before[to as usize] != NOBODY {
                        continue;
                    }
                    if is_detour(graph, from, label) {
                        later.push_back((from, to));
                    } else {
                        self.before[to as usize] = from;
                        queue.push_back((distance + 1, to));
                    }
                }
            } else if let Some((from, to)) = later.pop_front() {
                if self.before[to as usize] == NOBODY {
                    self.before[to as usize] = from;
                    queue.push_back((0, to));
                }
            } else {
                break;
            }
        }
    }

    /// The node before this one on its path; `None` where the path begins, and for nodes without a path.
    pub fn before(&self, node: u32) -> Option<u32> {
        let before = *self.before.get(node as usize)?;
        (before != NOBODY && before != node).then_some(before)
    }

    /// The links from a root to the node, which is not among them.
    pub fn to(&self, graph: &Graph, node: u32) -> Vec<Link> {
        let mut links = Vec::new();
        let mut at = node;
        while let Some(&before) = self
            .before
            .get(at as usize)
            .filter(|&&before| before != NOBODY && before != at)
        {
            links.push((before, best_label(graph, before, at)));
            at = before;
        }
        links.reverse();
        links
    }
}

/// For each node the most readable label of the last edge of its path, found in one pass over all edges.
#[derive(Debug)]
pub(crate) struct Labels(Vec<Label>);

impl Labels {
    pub fn new(graph: &Graph, paths: &Paths) -> Labels {
        let mut labels = vec![None; graph.len()];
        for from in 0..graph.len() as u32 {
            for (to, label) in graph.edges(from) {
                let best: &mut Option<Label> = &mut labels[to as usize];
                let rank = |label: Label| (is_detour(graph, from, label), label.kind());
                if paths.before[to as usize] == from && to != from && best.is_none_or(|best| rank(label) < rank(best)) {
                    *best = Some(label);
                }
            }
        }
        Labels(labels.into_iter().map(Option::unwrap_or_default).collect())
    }

    pub fn of(&self, node: u32) -> Label {
        self.0.get(node as usize).copied().unwrap_or_default()
    }
}

/// The named roots with their start distances, the nearest first. A snapshot lists the frames of each thread from the
/// innermost one, the main thread last.
fn distances(graph: &Graph, roots: &[u32]) -> Vec<(u32, u32)> {
    let is_frame = |&node: &u32| graph.root(node).is_some_and(|root| root.kind == RootKind::Frame);
    let (frames, others): (Vec<u32>, Vec<u32>) = roots.iter().copied().partition(is_frame);
    let depths = (0..=MOST_DEPTH).chain(std::iter::repeat(MOST_DEPTH));
    let frames = depths.zip(frames.into_iter().rev());
    let others = others.into_iter().map(|node| (0, node));
    others
        .chain(frames.map(|(depth, node)| (FRAME_DISTANCE + depth, node)))
        .collect()
}

fn is_detour(graph: &Graph, from: u32, label: Label) -> bool {
    match label.kind() {
        // The interpreter's dictionaries have only this edge.
        Kind::Unnamed if graph.root(from).is_some_and(|root| root.kind == RootKind::Interpreter) => false,
        Kind::Type | Kind::Unnamed | Kind::Word => true,
        Kind::Attribute => label.name().is_some_and(|name| graph.names.is_detour(name)),
        _ => false,
    }
}

/// The most readable of the edges from one node to another.
pub(crate) fn best_label(graph: &Graph, from: u32, to: u32) -> Label {
    let between = graph.edges(from).filter(|edge| edge.0 == to).map(|edge| edge.1);
    between
        .min_by_key(|label| (is_detour(graph, from, *label), label.kind()))
        .unwrap_or_default()
}
