//! One object of an open snapshot: what it is, what refers to it, and what it refers to.

use std::cmp::Reverse;

use crate::analyse::Heap;
use crate::analyse::chain;
use crate::analyse::cycles;
use crate::analyse::paths::Paths;
use crate::analyse::reach::Reachability;
use crate::analyse::sites;
use crate::analyse::tails::Tails;
use crate::answer::Amount;
use crate::answer::asked::{Located, Neighbour, Object, ObjectAnswer, Standing};
use crate::graph::NATIVE;

/// There is nothing at the address that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoObject {
    /// The objects before and after the address.
    pub near: Vec<Object>,
}

/// Longest list of branches.
const TAILS: usize = 6;

impl Heap {
    /// Everything about the object that begins at an address, or else about the known block that begins there. Each
    /// list has at most `most` entries.
    ///
    /// # Errors
    /// If there is none.
    pub fn object_at(&self, address: u64, most: usize) -> Result<ObjectAnswer, NoObject> {
        match self.node_at(address) {
            Some(node) => Ok(self.about(node, most)),
            None => Err(NoObject {
                near: self
                    .places
                    .objects
                    .near(address)
                    .map(|node| self.object(node))
                    .collect(),
            }),
        }
    }

    /// The object that has this number in the file that [`Heap::write_heapsnapshot`] writes: `@number` in DevTools.
    pub fn object_numbered(&self, number: u64, most: usize) -> Option<ObjectAnswer> {
        let node = u32::try_from(crate::ask::heapsnapshot::node_of(number)?).ok()?;
        ((node as usize) < self.graph.len()).then(|| self.about(node, most))
    }

    fn node_at(&self, address: u64) -> Option<u32> {
        let object = self.places.objects.find(address);
        object.or_else(|| {
            let block = self.places.blocks.iter().find(|(_, start)| *start == address);
            block.map(|(node, _)| *node)
        })
    }

    fn about(&self, node: u32, most: usize) -> ObjectAnswer {
        let paths = self.paths();
        let (graph, tree) = (&self.graph, &self.tree);
        let place = tree.place(node);
        let neighbour = |from: u32, to: u32, label, shown: u32| Neighbour {
            edge: chain::edge(&graph.names, label),
            object: self.object(shown),
            only_way: match (tree.place(from), tree.place(to)) {
                (Some(from), Some(to)) => tree.idom[to as usize] == from,
                _ => false,
            },
        };
        let (mut referrers, mut referrer_count) = (Vec::new(), 0);
        for from in 0..graph.len() as u32 {
            for (_, label) in graph.edges(from).filter(|(to, _)| *to == node) {
                referrer_count += 1;
                if referrers.len() < most {
                    referrers.push(neighbour(from, node, label, from));
                }
            }
        }
        let mut references: Vec<Neighbour> = Vec::new();
        let mut order: Vec<(u32, crate::graph::label::Label)> = graph.edges(node).collect();
        let reference_count = order.len() as u64;
        order.sort_by_key(|&(to, label)| (Reverse(self.retained(to).bytes()), to, label));
        for (to, label) in order.into_iter().take(most) {
            references.push(neighbour(node, to, label, to));
        }
        let mut tails = Tails::default();
        tails.add(graph, tree, (node, None), |_| false);
        let stacks = place.map(|place| {
            let nearest = tree.nearest([(place, 0)].into_iter());
            sites::by_group(graph, tree, &nearest).remove(&0).unwrap_or_default()
        });
        ObjectAnswer {
            located: self.located(&paths, node),
            referrers,
            referrer_count,
            references,
            reference_count,
            tails: tails.heaviest(TAILS),
            stacks: stacks.unwrap_or_default(),
        }
    }

    /// Paths to everything: from the roots to what is live, and from garbage components to what they keep alive.
    pub(crate) fn paths(&self) -> Paths {
        let (graph, tree) = (&self.graph, &self.tree);
        let mut paths = Paths::new(graph, &self.reach);
        for component in self.garbage.iter().chain(&self.hidden) {
            let start = cycles::principal(graph, tree, &component.members);
            paths.search(graph, &self.reach, &[start]);
        }
        for &node in &self.reach.unowned_roots {
            paths.search(graph, &self.reach, &[node]);
        }
        paths
    }

    pub(crate) fn located(&self, paths: &Paths, node: u32) -> Located {
        let links = paths.to(&self.graph, node);
        Located {
            object: self.object(node),
            rooted: links.first().is_some_and(|&(node, _)| self.graph.root(node).is_some()),
            path: chain::steps(&self.graph, &links),
        }
    }

    pub(crate) fn object(&self, node: u32) -> Object {
        Object {
            address: self.address(node),
            type_name: chain::node_name(&self.graph, node),
            standing: self.standing(node),
            bytes: self.graph.sizes.get(node as usize).copied().unwrap_or(0),
            retained: self.retained(node),
        }
    }

    pub(crate) fn address(&self, node: u32) -> Option<u64> {
        if self.graph.flags.get(node as usize)? & NATIVE == 0 {
            return self.places.objects.address(node);
        }
        let at = self.places.blocks.partition_point(|(other, _)| *other < node);
        let (found, address) = self.places.blocks.get(at)?;
        (*found == node).then_some(*address)
    }

    pub(crate) fn retained(&self, node: u32) -> Amount {
        let retained = self.tree.place(node).map(|place| self.tree.retained[place as usize]);
        let retained = retained.unwrap_or_default();
        Amount {
            objects: 0,
            python_bytes: retained.python,
            native_bytes: retained.native,
        }
    }

    pub(crate) fn standing(&self, node: u32) -> Standing {
        match self.reach.reachability.get(node as usize) {
            Some(Reachability::Garbage | Reachability::Doomed) => Standing::Garbage,
            Some(Reachability::Uncollectable) => Standing::Uncollectable,
            Some(Reachability::Unowned) => Standing::Unowned,
            Some(Reachability::Live | Reachability::Unknown) | None => Standing::Live,
        }
    }
}
