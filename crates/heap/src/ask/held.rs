//! The objects of a type: how many there are, on which paths they are held, and where their memory is.
//!
//! Paths are merged: two objects are reached in the same way if types and edges from the root are the same, apart from
//! indices and from keys of large dictionaries. The way to a node is the way to the node before it and one more step,
//! so each distinct way gets a number, and every node is numbered at most once.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::analyse::Heap;
use crate::analyse::chain;
use crate::analyse::holders::is_namespace;
use crate::analyse::paths::{Labels, Paths};
use crate::analyse::retained::outermost;
use crate::analyse::sites;
use crate::analyse::tails::Tails;
use crate::answer::Amount;
use crate::answer::asked::{HeldPath, Referrer, TypeAnswer, TypeCensus};
use crate::graph::label::{Kind, Label};
use crate::graph::{Graph, NO_TYPE};

/// In dictionaries with more entries a key is treated like an index, unless they hold the program's names.
const LARGE_DICT: usize = 64;
/// Objects whose branches are followed at most.
const MOST_LOOKED_AT: usize = 10_000;
const TAILS: usize = 6;
const NOT_YET: u32 = u32::MAX;

impl Heap {
    /// The objects of each type; the type that retains most comes first.
    pub fn types(&self) -> Vec<TypeCensus> {
        let of_owner = |(dict, owner): (u32, u32)| Some((self.tree.place(dict)?, self.graph.types[owner as usize]));
        let parts = self.dicts_beside().into_iter().filter_map(of_owner).collect();
        let retained = self.tree.retained_by_type(&self.graph, &parts);
        let mut rows: Vec<TypeCensus> = retained
            .iter()
            .enumerate()
            .map(|(kind, split)| TypeCensus {
                type_name: self.graph.names.type_name(kind as u32).to_owned(),
                retained: Amount {
                    objects: 0,
                    python_bytes: split.python,
                    native_bytes: split.native,
                },
                ..TypeCensus::default()
            })
            .collect();
        for node in 0..self.graph.objects {
            if let Some(row) = rows.get_mut(self.graph.types[node] as usize) {
                self.count(row, node as u32);
            }
        }
        rows.retain(|row| row.retained.objects > 0);
        rows.sort_by(|a, b| {
            let order = (b.retained.bytes(), b.bytes).cmp(&(a.retained.bytes(), a.bytes));
            order.then_with(|| a.type_name.cmp(&b.type_name))
        });
        rows
    }

    fn count(&self, row: &mut TypeCensus, node: u32) {
        use crate::answer::asked::Standing::{Garbage, Uncollectable};
        row.retained.objects += 1;
        row.bytes = row.bytes.saturating_add(self.graph.sizes[node as usize]);
        row.unreachable += u64::from(matches!(self.standing(node), Garbage | Uncollectable));
    }

    /// Everything about the objects of a type, each list with at most `most` entries.
    ///
    /// # Errors
    /// If there is no such type: similar names.
    pub fn type_named(&self, name: &str, most: usize) -> Result<TypeAnswer, Vec<String>> {
        let kinds = self.types_named(name)?;
        let (graph, tree) = (&self.graph, &self.tree);
        let is_one = |node: u32| kinds.contains(&graph.types[node as usize]);
        let nodes: Vec<u32> = (0..graph.objects as u32).filter(|&node| is_one(node)).collect();
        let mut census = TypeCensus::default();
        nodes.iter().for_each(|&node| self.count(&mut census, node));
        let retained = self.retained_apart(&nodes);
        retained.iter().for_each(|part| add(&mut census.retained, *part));
        let mut heaviest = nodes.clone();
        let dicts = self.dicts_beside();
        let with_dict: FxHashMap<u32, u32> = dicts.iter().map(|(&dict, &owner)| (owner, dict)).collect();
        let whole = |node: u32| {
            let mut sum = self.retained(node);
            if let Some(&dict) = with_dict.get(&node) {
                add(&mut sum, self.retained(dict));
            }
            sum
        };
        heaviest.sort_by_cached_key(|&node| (Reverse(whole(node).bytes()), node));
        let paths = self.paths();
        let ways = Ways::new(graph, &paths, &nodes).number(graph, &paths);
        let (paths_found, more_paths) = self.ways_to(&paths, &ways, (&nodes, &retained), most);
        let mut tails = Tails::default();
        for &node in heaviest.iter().take(MOST_LOOKED_AT) {
            tails.add(graph, tree, (node, None), is_one_of(graph, &kinds));
            if let Some(&dict) = with_dict.get(&node) {
                tails.add(graph, tree, (dict, Some(node)), is_one_of(graph, &kinds));
            }
        }
        heaviest.truncate(most);
        let heads = nodes
            .iter()
            .filter_map(|&node| tree.place(node))
            .map(|place| (place, 0));
        let nearest = tree.nearest(heads);
        Ok(TypeAnswer {
            type_names: kinds
                .iter()
                .map(|&kind| graph.names.type_name(kind).to_owned())
                .collect(),
            census,
            heaviest: heaviest
                .iter()
                .map(|&node| {
                    let mut located = self.located(&paths, node);
                    located.object.retained = whole(node);
                    located
                })
                .collect(),
            paths: paths_found,
            more_paths,
            referrers: self.referrers(&kinds, most),
            tails: tails.heaviest(TAILS),
            stacks: sites::by_group(graph, tree, &nearest).remove(&0).unwrap_or_default(),
        })
    }

    /// The attribute dictionaries that are members of a garbage component, with their owners: no member of a component
    /// dominates another one, so an owner does not retain its own attribute dictionary there.
    pub(crate) fn dicts_beside(&self) -> FxHashMap<u32, u32> {
        let mut dicts = FxHashMap::default();
        for component in self.garbage.iter().chain(&self.hidden) {
            for &owner in &component.members {
                for (to, label) in self.graph.edges(owner) {
                    if chain::is_dict_edge(&self.graph.names, label) && component.members.binary_search(&to).is_ok() {
                        dicts.insert(to, owner);
                    }
                }
            }
        }
        dicts
    }

    /// What each of the nodes retains; 0 for a node that another one of them retains. `nodes` must be sorted.
    fn retained_apart(&self, nodes: &[u32]) -> Vec<Amount> {
        let mut heads: Vec<(u32, usize)> = nodes.iter().copied().zip(0..).collect();
        for (dict, owner) in self.dicts_beside() {
            heads.extend(nodes.binary_search(&owner).ok().map(|at| (dict, at)));
        }
        let only: Vec<u32> = heads.iter().map(|(node, _)| *node).collect();
        let mut sums = vec![Amount::default(); nodes.len()];
        for (&(node, at), outer) in heads.iter().zip(outermost(&self.tree, &only)) {
            if outer {
                add(&mut sums[at], self.retained(node));
            }
        }
        sums
    }

    /// The ways to the nodes, each with what its nodes retain, the heaviest first; and how many are left out.
    fn ways_to(
        &self,
        paths: &Paths,
        ways: &Ways,
        (nodes, retained): (&[u32], &[Amount]),
        most: usize,
    ) -> (Vec<HeldPath>, usize) {
        let mut sums: FxHashMap<u32, (Amount, u32, u64)> = FxHashMap::default();
        for (&node, &part) in nodes.iter().zip(retained) {
            let (sum, sample, largest) = sums.entry(ways.of(node)).or_insert((Amount::default(), node, 0));
            sum.objects += 1;
            add(sum, part);
            if part.bytes() > *largest {
                (*sample, *largest) = (node, part.bytes());
            }
        }
        let mut order: Vec<(Amount, u32)> = sums.into_values().map(|(sum, sample, _)| (sum, sample)).collect();
        order.sort_by_key(|(sum, sample)| (Reverse(sum.bytes()), Reverse(sum.objects), *sample));
        let left_out = order.len().saturating_sub(most);
        let held = |(amount, sample): (Amount, u32)| {
            let links = paths.to(&self.graph, sample);
            let many = |at: usize| {
                let (from, label) = links[at];
                amount.objects > 1 && ways.is_place(from, label)
            };
            HeldPath {
                rooted: links.first().is_some_and(|&(node, _)| self.graph.root(node).is_some()),
                path: chain::merged_steps(&self.graph, &links, many),
                standing: self.standing(sample),
                amount,
            }
        };
        (order.into_iter().take(most).map(held).collect(), left_out)
    }

    /// What refers to objects of these types.
    fn referrers(&self, kinds: &[u32], most: usize) -> Vec<Referrer> {
        let graph = &self.graph;
        let is_one = is_one_of(graph, kinds);
        let leads_there = |node: u32| graph.targets(node).iter().any(|&to| is_one(to));
        // An attribute dictionary stands for its owner.
        let mut owners: FxHashMap<u32, u32> = FxHashMap::default();
        for from in 0..graph.len() as u32 {
            for (to, label) in graph.edges(from) {
                if chain::is_dict_edge(&graph.names, label) && leads_there(to) {
                    owners.insert(to, from);
                }
            }
        }
        let mut sums: FxHashMap<(String, String), u64> = FxHashMap::default();
        let mut keys: FxHashMap<(u32, Label, u32), u64> = FxHashMap::default();
        let mut large = LargeDicts::default();
        for from in 0..graph.len() as u32 {
            for (_, label) in graph.edges(from).filter(|&(to, _)| is_one(to)) {
                let owner = owners.get(&from).copied();
                let label = match large.is_place(graph, from, label) && owner.is_none() {
                    true => Label::new(label.kind(), u32::MAX, false),
                    false => Label::new(label.kind(), label.number().unwrap_or(u32::MAX), false),
                };
                let holder = owner.unwrap_or(from);
                let kind = graph.types[holder as usize];
                // What has no type goes by its own name.
                let kind = if kind == NO_TYPE { NO_TYPE - holder } else { kind };
                *keys.entry((kind, label, u32::from(owner.is_some()))).or_default() += 1;
            }
        }
        for ((kind, label, owned), count) in keys {
            let type_name = match (kind as usize) < graph.names.type_count() {
                true => graph.names.type_name(kind).to_owned(),
                false => chain::node_name(graph, NO_TYPE - kind),
            };
            let edge = match (label.kind(), label.number()) {
                (Kind::Index | Kind::Item | Kind::Key, None) => "[…]".to_owned(),
                (Kind::Key, Some(number)) if owned == 1 => {
                    chain::edge(&graph.names, Label::new(Kind::Attribute, number, false))
                }
                _ => chain::edge(&graph.names, label),
            };
            *sums.entry((type_name, edge)).or_default() += count;
        }
        let mut list: Vec<Referrer> = sums
            .into_iter()
            .map(|((type_name, edge), references)| Referrer {
                type_name,
                edge,
                references,
            })
            .collect();
        list.sort_by(|a, b| {
            let order = b.references.cmp(&a.references);
            order.then_with(|| (&a.type_name, &a.edge).cmp(&(&b.type_name, &b.edge)))
        });
        list.truncate(most);
        list
    }
}

fn is_one_of<'a>(graph: &'a Graph, kinds: &'a [u32]) -> impl Fn(u32) -> bool + Copy + 'a {
    move |node| graph.types.get(node as usize).is_some_and(|kind| kinds.contains(kind))
}

fn add(sum: &mut Amount, more: Amount) {
    sum.python_bytes = sum.python_bytes.saturating_add(more.python_bytes);
    sum.native_bytes = sum.native_bytes.saturating_add(more.native_bytes);
}

/// Which dictionaries are large and hold elements.
#[derive(Debug, Default)]
struct LargeDicts(FxHashMap<u32, bool>);

impl LargeDicts {
    /// Whether an edge's name is only an index, or a key treated like one.
    fn is_place(&mut self, graph: &Graph, from: u32, label: Label) -> bool {
        match label.kind() {
            Kind::Index | Kind::Item => true,
            Kind::Key => *self
                .0
                .entry(from)
                .or_insert_with(|| graph.row(from).len() > LARGE_DICT && !is_namespace(graph, from)),
            _ => false,
        }
    }

    fn known(&self, from: u32, label: Label) -> bool {
        match label.kind() {
            Kind::Index | Kind::Item => true,
            Kind::Key => self.0.get(&from).copied().unwrap_or(false),
            _ => false,
        }
    }
}

/// The number of the way to each node.
#[derive(Debug)]
struct Ways {
    numbers: Vec<u32>,
    dicts: LargeDicts,
    labels: Labels,
    wanted: Vec<u32>,
}

impl Ways {
    fn new(graph: &Graph, paths: &Paths, wanted: &[u32]) -> Ways {
        Ways {
            numbers: vec![NOT_YET; graph.len()],
            dicts: LargeDicts::default(),
            labels: Labels::new(graph, paths),
            wanted: wanted.to_vec(),
        }
    }

    fn number(mut self, graph: &Graph, paths: &Paths) -> Ways {
        let mut known: FxHashMap<(u32, u32, Label), u32> = FxHashMap::default();
        let mut climbed = Vec::new();
        for node in std::mem::take(&mut self.wanted) {
            let mut at = node;
            while self.numbers[at as usize] == NOT_YET {
                climbed.push(at);
                match paths.before(at) {
                    Some(before) => at = before,
                    None => break,
                }
            }
            while let Some(at) = climbed.pop() {
                let kind = graph.types[at as usize];
                // Roots have no type: each is distinct.
                let kind = if kind == NO_TYPE { NO_TYPE - at } else { kind };
                let (above, label) = match paths.before(at) {
                    Some(before) => {
                        let label = self.labels.of(at);
                        let place = self.dicts.is_place(graph, before, label);
                        let number = if place {
                            u32::MAX
                        } else {
                            label.number().unwrap_or(u32::MAX)
                        };
                        let number = match label.kind() {
                            Kind::Unnamed | Kind::Word => u32::MAX,
                            _ => number,
                        };
                        (self.numbers[before as usize], Label::new(label.kind(), number, false))
                    }
                    None => (NOT_YET, Label::default()),
                };
                let next = known.len() as u32;
                self.numbers[at as usize] = *known.entry((above, kind, label)).or_insert(next);
            }
        }
        self
    }

    fn of(&self, node: u32) -> u32 {
        self.numbers[node as usize]
    }

    fn is_place(&self, from: u32, label: Label) -> bool {
        self.dicts.known(from, label)
    }
}
