//! What the objects at each step of a cycle retain, over all instances of the cycle.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::analyse::Heap;
use crate::analyse::chain::{self, Link};
use crate::analyse::cycles::{self, GarbageComponent};
use crate::analyse::retained::Split;
use crate::analyse::tails::Tails;
use crate::answer::asked::{CycleAnswer, CyclePart};
use crate::answer::{Amount, CycleGroup};
use crate::graph::TRACKED;

const INSTANCES: usize = 10;
const TAILS: usize = 4;
/// Instances whose branches are followed at most.
const MOST_LOOKED_AT: usize = 2000;

/// What the instances of one group have in common.
#[derive(Default)]
struct Gathered {
    instances: Vec<(u32, Split)>,
    parts: Vec<(Split, Tails)>,
    shape: Vec<String>,
    all: Split,
    looked_at: usize,
}

impl Heap {
    /// The cycles of unreachable objects with their parts: first those that the collector would free, then those that
    /// it never will; of each at most `most`, the heaviest first.
    pub fn cycles(&self, most: usize) -> Vec<CycleAnswer> {
        let mut answers = Vec::new();
        for (components, freeable) in [(&self.garbage, true), (&self.hidden, false)] {
            let mut groups = cycles::groups(&self.graph, &self.tree, components);
            groups.truncate(most);
            answers.extend(self.parts_of(groups, components, freeable));
        }
        answers
    }

    fn parts_of(&self, groups: Vec<CycleGroup>, components: &[GarbageComponent], freeable: bool) -> Vec<CycleAnswer> {
        let (graph, tree) = (&self.graph, &self.tree);
        let numbers: FxHashMap<u64, usize> = groups
            .iter()
            .enumerate()
            .map(|(at, group)| (group.fingerprint, at))
            .collect();
        let mut gathered: Vec<Gathered> = groups.iter().map(|_| Gathered::default()).collect();
        let mut heads = Vec::new();
        let mut edges_left = cycles::MOST_EDGES;
        // The heaviest first: the first instance of a group is the one that is shown.
        let mut order: Vec<&GarbageComponent> = components.iter().collect();
        order.sort_by_key(|component| Reverse(tree.retained[component.place as usize].total()));
        for component in order {
            let links = cycles::cycle(graph, tree, &component.members, &mut edges_left);
            let Some(&at) = numbers.get(&chain::fingerprint(graph, &links)) else {
                continue;
            };
            heads.push((component.place, at as u32));
            self.gather(&mut gathered[at], component, &links);
        }
        let nearest = tree.nearest(heads.into_iter());
        let mut tracked = vec![0u64; groups.len()];
        for (place, &group) in nearest.iter().enumerate() {
            let node = tree.order[place] as usize;
            if group != u32::MAX && node < graph.objects && graph.flags[node] & TRACKED != 0 {
                tracked[group as usize] += 1;
            }
        }
        let mut blocks: Vec<Vec<u64>> = vec![Vec::new(); groups.len()];
        for &(node, address) in &self.places.blocks {
            let group = tree.place(node).map(|place| nearest[place as usize]);
            if let Some(list) = group.and_then(|group| blocks.get_mut(group as usize)) {
                list.push(address);
            }
        }
        let all = groups.into_iter().zip(gathered).zip(tracked.into_iter().zip(blocks));
        all.map(|((group, gathered), (tracked, mut blocks))| {
            blocks.sort_unstable();
            let instance = |&(node, split): &(u32, Split)| (self.address(node), amount(split));
            let on_cycle = gathered.parts.iter().fold(Split::default(), |mut sum, (part, _)| {
                sum.add(*part);
                sum
            });
            CycleAnswer {
                freeable,
                tracked,
                beside: amount(Split {
                    python: gathered.all.python.saturating_sub(on_cycle.python),
                    native: gathered.all.native.saturating_sub(on_cycle.native),
                }),
                instances: gathered.instances.iter().take(INSTANCES).map(instance).collect(),
                parts: match group.cycle.len() == gathered.parts.len() {
                    true => gathered.parts.into_iter().map(part).collect(),
                    false => Vec::new(),
                },
                group,
                blocks,
            }
        })
        .collect()
    }

    fn gather(&self, sum: &mut Gathered, component: &GarbageComponent, links: &[Link]) {
        let (graph, tree) = (&self.graph, &self.tree);
        let retained = tree.retained[component.place as usize];
        sum.all.add(retained);
        let steps = chain::parts(graph, links);
        let shape: Vec<String> = steps.iter().map(|(_, part)| part.clone()).collect();
        if sum.parts.is_empty() {
            sum.parts = steps.iter().map(|_| (Split::default(), Tails::default())).collect();
            sum.shape.clone_from(&shape);
        }
        // Another instance may start at another step of the cycle.
        let len = shape.len();
        let turned = |by: usize| (0..len).all(|at| sum.shape.get(at) == shape.get((at + by) % len));
        let Some(by) = (0..len).find(|&by| turned(by)) else {
            return;
        };
        let first = links[steps[by].0.start].0;
        if sum.instances.len() < INSTANCES {
            sum.instances.push((first, retained));
        }
        let look = sum.looked_at < MOST_LOOKED_AT;
        sum.looked_at += 1;
        let inside = |node: u32| component.members.binary_search(&node).is_ok();
        for at in 0..len {
            let (range, _) = &steps[(at + by) % len];
            let (part, tails) = &mut sum.parts[at];
            let mut owner = None;
            for &(node, label) in &links[range.clone()] {
                if let Some(place) = tree.place(node) {
                    part.add(tree.retained[place as usize]);
                    if look {
                        tails.add(graph, tree, (node, owner), inside);
                    }
                }
                owner = chain::is_dict_edge(&graph.names, label).then_some(node);
            }
        }
    }
}

fn part((split, tails): (Split, Tails)) -> CyclePart {
    CyclePart {
        retained: amount(split),
        tails: tails.heaviest(TAILS),
    }
}

fn amount(split: Split) -> Amount {
    Amount {
        objects: 0,
        python_bytes: split.python,
        native_bytes: split.native,
    }
}
