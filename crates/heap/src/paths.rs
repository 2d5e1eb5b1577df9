//! Shortest paths from the roots, along references that a person can read where there are any.

use std::collections::VecDeque;

use deadweight_capture::RootKind;

use crate::chain::Link;
use crate::graph::Graph;
use crate::label::{Kind, Label};
use crate::reach::{Reach, Realm};

const NOBODY: u32 = u32::MAX;

/// For each live node the one before it on its path.
#[derive(Debug)]
pub(crate) struct Paths {
    before: Vec<u32>,
}

impl Paths {
    /// Breadth first from the named roots. Edges without a name, and those that lead everywhere, wait until
    /// everything else is done; objects that are alive for unknown reasons come last.
    pub fn new(graph: &Graph, reach: &Reach) -> Paths {
        let mut paths = Paths {
            before: vec![NOBODY; graph.len()],
        };
        let (mut queue, mut later) = (VecDeque::new(), VecDeque::new());
        for &root in &reach.live_roots {
            if paths.before[root as usize] != NOBODY {
                continue;
            }
            paths.before[root as usize] = root;
            queue.push_back(root);
            // The named roots begin together; what is alive for unknown reasons begins alone.
            if graph.root(root).is_some() && graph.root(root + 1).is_some() {
                continue;
            }
            loop {
                if let Some(from) = queue.pop_front() {
                    for (to, label) in graph.edges(from) {
                        if reach.realms[to as usize] != Realm::Live || paths.before[to as usize] != NOBODY {
                            continue;
                        }
                        if is_detour(graph, from, label) {
                            later.push_back((from, to));
                        } else {
                            paths.before[to as usize] = from;
                            queue.push_back(to);
                        }
                    }
                } else if let Some((from, to)) = later.pop_front() {
                    if paths.before[to as usize] == NOBODY {
                        paths.before[to as usize] = from;
                        queue.push_back(to);
                    }
                } else {
                    break;
                }
            }
        }
        paths
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

fn is_detour(graph: &Graph, from: u32, label: Label) -> bool {
    match label.kind() {
        // The interpreter's dictionaries have no other edge.
        Kind::Unnamed if graph.root(from).is_some_and(|root| root.kind == RootKind::Interpreter) => false,
        Kind::Type | Kind::Unnamed | Kind::Word => true,
        Kind::Attribute => label.name().is_some_and(|name| graph.names.is_detour(name)),
        _ => false,
    }
}

/// The most readable of the edges from one node to another.
fn best_label(graph: &Graph, from: u32, to: u32) -> Label {
    let between = graph.edges(from).filter(|edge| edge.0 == to).map(|edge| edge.1);
    between
        .min_by_key(|label| (is_detour(graph, from, *label), label.kind()))
        .unwrap_or_default()
}
