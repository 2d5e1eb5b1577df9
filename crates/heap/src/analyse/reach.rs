//! What is reachable, and what the collector would free.
//!
//! The collector subtracts from each tracked object's reference count the references that other tracked objects report.
//! Objects whose count stays above 0 are referenced from outside; they and what they lead to are alive, the others are
//! garbage. Freeing garbage lowers the counts of what it refers to, and objects whose count reaches 0 are freed with it.
//!
//! A snapshot knows more references than the collector: those that `tp_traverse` does not report, and words in objects and
//! blocks. If these explain the rest of the count, and nothing that is alive by itself leads to the object, it is
//! *uncollectable*: the program cannot reach it, and the collector will never free it.

use crate::graph::{COLLECTED, Counts, Graph, IMMORTAL, TRACKED, UNEXPLAINED};

/// Whether a node is reachable, and from where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub(crate) enum Reachability {
    /// Not decided yet.
    #[default]
    Unknown = 0,
    /// Reachable from a root, or from an object with references that nothing in the snapshot explains.
    Live = 1,
    /// Only native memory without an owner leads to it, or it is such memory.
    Unowned = 2,
    /// The collector would free it.
    Garbage = 3,
    /// Unreachable, and the collector would not free it.
    Uncollectable = 4,
    /// Only until all nodes are decided: garbage, unless something that stays leads to it.
    Doomed = 5,
}

/// The reachability of each node, and where that of live and of unowned nodes begins.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub reachability: Vec<Reachability>,
    /// Roots, then immortal objects and objects with unexplained references.
    pub live_roots: Vec<u32>,
    /// Native memory without an owner.
    pub unowned_roots: Vec<u32>,
}

/// Decides the reachability of all nodes, and marks objects with unexplained references in the graph. The reference counts
/// are not valid afterwards.
pub(crate) fn reach(graph: &mut Graph, counts: &mut Counts) -> Reach {
    for node in 0..graph.objects {
        if graph.flags[node] & IMMORTAL == 0 && counts.references[node] > counts.known[node] {
            graph.flags[node] |= UNEXPLAINED;
        }
    }
    let alive = collect(graph, counts);
    for (flags, alive) in graph.flags.iter_mut().zip(&alive) {
        if *flags & TRACKED != 0 && !alive {
            *flags |= COLLECTED;
        }
    }
    drop(alive);
    let graph: &Graph = graph;
    let mut walk = Walk {
        graph,
        reachability: vec![Reachability::Unknown; graph.len()],
        stack: Vec::new(),
    };
    walk.free(&mut counts.references);
    let mut live_roots: Vec<u32> = graph.root_nodes().collect();
    let alive_by_itself = |node: &u32| graph.has(*node, IMMORTAL | UNEXPLAINED);
    live_roots.extend((0..graph.objects as u32).filter(alive_by_itself));
    live_roots.retain(|&node| {
        !matches!(
            walk.reachability[node as usize],
            Reachability::Garbage | Reachability::Doomed
        )
    });
    for &node in &live_roots {
        walk.from(node, Reachability::Live);
    }
    let natives = graph.root_nodes().end..graph.len() as u32;
    let mut unowned_roots: Vec<u32> = natives
        .clone()
        .filter(|&node| counts.known[node as usize] == 0)
        .collect();
    for &node in &unowned_roots {
        walk.from(node, Reachability::Unowned);
    }
    for node in 0..graph.objects as u32 {
        if walk.reachability[node as usize] == Reachability::Unknown {
            walk.from(node, Reachability::Uncollectable);
        }
    }
    for state in walk
        .reachability
        .iter_mut()
        .filter(|state| **state == Reachability::Doomed)
    {
        *state = Reachability::Garbage;
    }
    // All objects are decided now: what garbage leads to and is still undecided is native memory.
    for node in 0..graph.objects as u32 {
        if walk.reachability[node as usize] == Reachability::Garbage {
            walk.beyond(node, Reachability::Garbage);
        }
    }
    // Native memory in cycles that nothing leads to.
    for node in natives {
        if walk.from(node, Reachability::Unowned) {
            unowned_roots.push(node);
        }
    }
    Reach {
        reachability: walk.reachability,
        live_roots,
        unowned_roots,
    }
}

/// Which tracked objects the collector would find alive.
fn collect(graph: &Graph, counts: &Counts) -> Vec<bool> {
    let mut alive = vec![false; graph.objects];
    let mut stack: Vec<u32> = Vec::new();
    for node in 0..graph.objects {
        // More reported references than the count means damage: such an object is taken to be alive.
        let outside = counts.references[node] != counts.counted[node];
        if graph.flags[node] & TRACKED == 0 || alive[node] || !(outside || graph.flags[node] & IMMORTAL != 0) {
            continue;
        }
        alive[node] = true;
        stack.push(node as u32);
        while let Some(from) = stack.pop() {
            for (to, label) in graph.edges(from) {
                let at = to as usize;
                if label.counted() && at < alive.len() && !alive[at] && graph.flags[at] & TRACKED != 0 {
                    alive[at] = true;
                    stack.push(to);
                }
            }
        }
    }
    alive
}

struct Walk<'a> {
    graph: &'a Graph,
    reachability: Vec<Reachability>,
    stack: Vec<u32>,
}

impl Walk<'_> {
    /// Marks the objects that the collector would free as garbage, and as doomed whatever has no reference left then.
    fn free(&mut self, references: &mut [u32]) {
        let graph = self.graph;
        for node in 0..graph.objects as u32 {
            if graph.has(node, COLLECTED) {
                self.reachability[node as usize] = Reachability::Garbage;
                self.stack.push(node);
            }
        }
        while let Some(from) = self.stack.pop() {
            for &to in graph.targets(from) {
                let at = to as usize;
                if self.reachability[at] != Reachability::Unknown || graph.flags[at] & IMMORTAL != 0 {
                    continue;
                }
                references[at] = references[at].saturating_sub(1);
                if references[at] == 0 {
                    self.reachability[at] = Reachability::Doomed;
                    self.stack.push(to);
                }
            }
        }
    }

    /// Marks the node, and everything undecided that it leads to; `false` if the node was decided already. A doomed node is
    /// saved by live and by uncollectable ones.
    fn from(&mut self, node: u32, state: Reachability) -> bool {
        let free = Self::takes(self.reachability[node as usize], state);
        if free {
            self.reachability[node as usize] = state;
            self.beyond(node, state);
        }
        free
    }

    #[inline]
    fn takes(from: Reachability, state: Reachability) -> bool {
        from == Reachability::Unknown
            || from == Reachability::Doomed && matches!(state, Reachability::Live | Reachability::Uncollectable)
    }

    /// As `from`, without the node itself.
    fn beyond(&mut self, node: u32, state: Reachability) {
        self.stack.push(node);
        while let Some(from) = self.stack.pop() {
            for &to in self.graph.targets(from) {
                let place = &mut self.reachability[to as usize];
                if Self::takes(*place, state) {
                    *place = state;
                    self.stack.push(to);
                }
            }
        }
    }
}
