//! Immediate dominators with Semi-NCA (Georgiadis 2005), without recursion.
//!
//! A node dominates another if every path from the root to the other goes through it: without it, the other would be
//! freed. A reference from garbage keeps nothing alive, so edges between nodes of different reachability do not count.
//! The nodes of each reachability are below virtual nodes of their own, and these below one root.

use crate::analyse::reach::Reachability;
use crate::graph::Graph;

/// Stands for a node that is not in the tree.
pub(crate) const NOT_THERE: u32 = u32::MAX;

/// Nodes that stand for no memory. Their numbers follow those of the graph's nodes; the first one is the root.
#[derive(Debug)]
pub(crate) struct VirtualNodes {
    /// The children of each virtual node: virtual nodes or nodes of the graph.
    children: Vec<Vec<u32>>,
    first: u32,
}

impl VirtualNodes {
    /// One virtual node, the root, for a graph of `nodes` nodes.
    pub fn new(nodes: usize) -> VirtualNodes {
        VirtualNodes {
            children: vec![Vec::new()],
            first: nodes as u32,
        }
    }

    /// Number of the root.
    pub fn root(&self) -> u32 {
        self.first
    }

    /// Adds a virtual node under another one and returns its number.
    pub fn add(&mut self, under: u32, children: Vec<u32>) -> u32 {
        let node = self.first + self.children.len() as u32;
        self.children.push(children);
        self.children[(under - self.first) as usize].push(node);
        node
    }

    fn children(&self, node: u32) -> Option<&[u32]> {
        node.checked_sub(self.first)
            .map(|at| self.children[at as usize].as_slice())
    }
}

/// Immediate dominators. Nodes are numbered in the order of a depth-first search: a dominator has a smaller number than
/// what it dominates, and the root has 0.
#[derive(Debug)]
pub(crate) struct Dominators {
    /// The graph's (or the virtual) node of each number.
    pub order: Vec<u32>,
    /// The number of each node, virtual ones included.
    pub numbers: Vec<u32>,
    /// The number of each number's immediate dominator; the root's own is 0.
    pub idom: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Info {
    /// The parent in the search tree; paths are compressed.
    ancestor: u32,
    semi: u32,
    label: u32,
}

struct Searched {
    order: Vec<u32>,
    numbers: Vec<u32>,
    parents: Vec<u32>,
}

/// The dominators of everything that can be reached from the virtual nodes.
pub(crate) fn dominators(graph: &Graph, reachability: &[Reachability], over: &VirtualNodes) -> Dominators {
    let Searched {
        order,
        numbers,
        parents,
    } = search(graph, reachability, over);
    let (starts, sources) = predecessors(graph, reachability, over, &order, &numbers);
    let mut infos: Vec<Info> = (0..order.len() as u32)
        .map(|number| Info {
            ancestor: parents[number as usize],
            semi: number,
            label: number,
        })
        .collect();
    let mut idom = parents;
    let mut path = Vec::new();
    for number in (1..order.len() as u32).rev() {
        let mut semi = idom[number as usize];
        let row = starts[number as usize] as usize..starts[number as usize + 1] as usize;
        for &source in &sources[row] {
            let best = lowest(&mut infos, source, number + 1, &mut path);
            semi = semi.min(infos[best as usize].semi);
        }
        infos[number as usize].semi = semi;
    }
    drop((starts, sources));
    for number in 1..order.len() {
        let semi = infos[number].semi;
        let mut dominator = idom[number];
        while dominator > semi {
            dominator = idom[dominator as usize];
        }
        idom[number] = dominator;
    }
    Dominators { order, numbers, idom }
}

/// The number with the lowest semidominator on the path from `number` upwards, as long as numbers are at least `linked`.
fn lowest(infos: &mut [Info], number: u32, linked: u32, path: &mut Vec<u32>) -> u32 {
    if infos[number as usize].ancestor < linked {
        return infos[number as usize].label;
    }
    let mut at = number;
    while infos[at as usize].ancestor >= linked {
        path.push(at);
        at = infos[at as usize].ancestor;
    }
    let mut above = infos[at as usize];
    let mut above_semi = infos[above.label as usize].semi;
    while let Some(at) = path.pop() {
        let own_label = infos[at as usize].label;
        let own_semi = infos[own_label as usize].semi;
        let info = &mut infos[at as usize];
        info.ancestor = above.ancestor;
        if above_semi < own_semi {
            info.label = above.label;
        } else {
            above_semi = own_semi;
        }
        above = *info;
    }
    infos[number as usize].label
}

/// Numbers everything that can be reached, depth first.
fn search(graph: &Graph, reachability: &[Reachability], over: &VirtualNodes) -> Searched {
    let total = graph.len() + over.children.len();
    let mut numbers = vec![NOT_THERE; total];
    let mut order = Vec::with_capacity(total);
    let mut parents = Vec::with_capacity(total);
    numbers[over.root() as usize] = 0;
    order.push(over.root());
    parents.push(0);
    let mut path: Vec<(u32, u32)> = vec![(0, 0)];
    while let Some((number, edge)) = path.last_mut() {
        let node = order[*number as usize];
        let row = over.children(node).unwrap_or_else(|| graph.targets(node));
        let Some(&to) = row.get(*edge as usize) else {
            path.pop();
            continue;
        };
        *edge += 1;
        if numbers[to as usize] != NOT_THERE || crosses(reachability, node, to) {
            continue;
        }
        let next = order.len() as u32;
        numbers[to as usize] = next;
        parents.push(*number);
        order.push(to);
        path.push((next, 0));
    }
    Searched {
        order,
        numbers,
        parents,
    }
}

/// Whether an edge connects nodes of different reachability. Virtual nodes have none.
#[inline]
fn crosses(reachability: &[Reachability], from: u32, to: u32) -> bool {
    match (reachability.get(from as usize), reachability.get(to as usize)) {
        (Some(from), Some(to)) => from != to,
        _ => false,
    }
}

/// The predecessors of each number, in compressed sparse rows.
fn predecessors(
    graph: &Graph,
    reachability: &[Reachability],
    over: &VirtualNodes,
    order: &[u32],
    numbers: &[u32],
) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; order.len() + 1];
    let row = |node: u32| over.children(node).unwrap_or_else(|| graph.targets(node));
    for &node in order {
        for &to in row(node) {
            if !crosses(reachability, node, to) {
                starts[numbers[to as usize] as usize + 1] += 1;
            }
        }
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut sources = vec![0u32; starts.last().copied().unwrap_or(0) as usize];
    // Filled from the end of each row; afterwards each start is that of the row again.
    let mut ends: Vec<u32> = starts[1..].to_vec();
    for (number, &node) in order.iter().enumerate().rev() {
        for &to in row(node) {
            if !crosses(reachability, node, to) {
                let end = &mut ends[numbers[to as usize] as usize];
                *end -= 1;
                sources[*end as usize] = number as u32;
            }
        }
    }
    (starts, sources)
}
