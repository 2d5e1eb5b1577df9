//! Analyses the graph of a snapshot: what is reachable, what dominates what, which cycles and holders there are.

pub(crate) mod chain;
pub(crate) mod components;
pub(crate) mod cycles;
mod dominators;
pub(crate) mod holders;
pub(crate) mod paths;
pub(crate) mod reach;
pub(crate) mod retained;
pub(crate) mod sites;
pub(crate) mod tails;
mod unowned;

#[cfg(test)]
mod oracle;

use std::cmp::Reverse;

use deadweight_capture::Cause;
use deadweight_capture::read::{HeapFiles, ProcessId};
use rustc_hash::FxHashMap;

use crate::Error;
use crate::analyse::cycles::GarbageComponent;
use crate::analyse::dominators::{VirtualNodes, dominators};
use crate::analyse::reach::{Reach, Reachability, reach};
use crate::analyse::retained::{DominatorTree, own};
use crate::answer::{Amount, GarbageType, SnapshotAnswer, TypeAmount, Unowned};
use crate::graph::{COLLECTED, Graph, Inside};
use crate::read::{Built, Keep, Places, build};

/// Longest list of types.
const MOST_TYPES: usize = 50;

/// Analyses one heap snapshot. The answer for a snapshot that was not written to its end lists no garbage, because the
/// reference that keeps an object alive may be missing.
///
/// # Errors
/// If it has no object or cannot be read at all, a newer deadweight wrote it, or it is too large.
pub fn analyse_heap(files: &HeapFiles) -> Result<SnapshotAnswer, Error> {
    analyse_within(files, u64::MAX)
}

/// As [`analyse_heap`], in no more than about `most` bytes of memory.
///
/// # Errors
/// See [`analyse_heap`]; [`Error::NoRoom`] if it would need more, estimated from the number of objects and references.
pub fn analyse_within(files: &HeapFiles, most: u64) -> Result<SnapshotAnswer, Error> {
    Ok(Heap::read(files, Keep::Nothing, most)?.answer())
}

/// A snapshot's graph with its analysis, ready for questions.
#[derive(Debug)]
pub struct Heap {
    pub(crate) process: ProcessId,
    pub(crate) number: u32,
    nanos: u64,
    cause: Cause,
    label: String,
    complete: bool,
    pause_nanos: Option<u64>,
    warnings: Vec<String>,
    pub(crate) graph: Graph,
    pub(crate) reach: Reach,
    pub(crate) tree: DominatorTree,
    /// The place in the tree of the virtual node above everything live.
    pub(crate) live: u32,
    pub(crate) garbage: Vec<GarbageComponent>,
    pub(crate) hidden: Vec<GarbageComponent>,
    unreferenced: Vec<u32>,
    unowned: Vec<Unowned>,
    pub(crate) places: Places,
}

impl Heap {
    /// Reads a snapshot in order to ask for more than [`analyse_heap`] answers.
    ///
    /// # Errors
    /// See [`analyse_heap`].
    pub fn open(files: &HeapFiles) -> Result<Heap, Error> {
        Heap::read(files, Keep::Places, u64::MAX)
    }

    /// Whether the snapshot was written to its end and nothing in it is damaged.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Everything that is in it.
    pub fn all(&self) -> Amount {
        all(&self.graph)
    }

    fn read(files: &HeapFiles, keep: Keep, most: u64) -> Result<Heap, Error> {
        let Built {
            mut graph,
            mut counts,
            nanos,
            cause,
            label,
            end,
            mut warnings,
            places,
        } = build(files, keep, most)?;
        let complete = end.is_some() && warnings.is_empty();
        let name = format!("heap snapshot {} of pid {}", files.number, files.process.pid);
        for warning in &mut warnings {
            *warning = format!("{name}: {warning}");
        }
        if end.is_none() {
            warnings.push(format!("{name} was not written to its end: its figures are too low"));
        }
        if let Some(end) = end.filter(|end| end.failed > 0) {
            warnings.push(format!("{name}: {} objects could not be read", end.failed));
        }
        let reach = reach(&mut graph, &mut counts);
        let unreferenced = unowned::unreferenced(&graph, &counts);
        drop(counts);
        let unowned = unowned::unowned(&graph, &reach.reachability);
        let roots = virtual_roots(&graph, &reach);
        let tree = DominatorTree::new(&graph, dominators(&graph, &reach.reachability, &roots.over));
        let place = |node: u32| tree.place(node).unwrap_or(0);
        let components = |components: Vec<(u32, Vec<u32>)>| -> Vec<GarbageComponent> {
            let of = |(node, members)| GarbageComponent {
                place: place(node),
                members,
            };
            match complete {
                true => components.into_iter().map(of).collect(),
                false => Vec::new(),
            }
        };
        Ok(Heap {
            process: files.process,
            number: files.number,
            nanos,
            cause,
            label,
            complete,
            pause_nanos: end.map(|end| end.pause_nanos),
            warnings,
            live: place(roots.live),
            garbage: components(roots.garbage),
            hidden: components(roots.hidden),
            graph,
            reach,
            tree,
            unreferenced,
            unowned,
            places: places.unwrap_or_default(),
        })
    }

    /// What [`analyse_heap`] answers.
    pub fn answer(&self) -> SnapshotAnswer {
        let Heap { graph, reach, tree, .. } = self;
        let unreachable = |state| match self.complete {
            true => amount(graph, reach, state),
            false => Amount::default(),
        };
        SnapshotAnswer {
            process: self.process,
            number: self.number,
            nanos: self.nanos,
            cause: self.cause,
            label: self.label.clone(),
            complete: self.complete,
            pause_nanos: self.pause_nanos,
            all: all(graph),
            garbage: unreachable(Reachability::Garbage),
            garbage_types: match self.complete {
                true => garbage_types(graph, reach),
                false => Vec::new(),
            },
            hidden: unreachable(Reachability::Uncollectable),
            cycles: cycles::groups(graph, tree, &self.garbage),
            uncollectable: cycles::groups(graph, tree, &self.hidden),
            unexplained: unowned::unexplained(graph, tree, &self.unreferenced),
            holders: holders::holders(graph, tree, reach, self.live),
            unowned: self.unowned.clone(),
            types: types(graph, tree),
            warnings: self.warnings.clone(),
        }
    }
}

/// The virtual roots above a graph: one for what is live, one for unowned memory, and one for each component of garbage and
/// of uncollectable objects.
struct VirtualRoots {
    over: VirtualNodes,
    live: u32,
    garbage: Vec<(u32, Vec<u32>)>,
    hidden: Vec<(u32, Vec<u32>)>,
}

fn virtual_roots(graph: &Graph, reach: &Reach) -> VirtualRoots {
    let mut over = VirtualNodes::new(graph.len());
    let root = over.root();
    let live = over.add(root, reach.live_roots.clone());
    over.add(root, reach.unowned_roots.clone());
    let mut components = |state: Reachability| {
        let top = over.add(root, Vec::new());
        let sources = components::sources(graph, &reach.reachability, state);
        let roots = sources
            .into_iter()
            .map(|members| (over.add(top, members.clone()), members));
        roots.collect::<Vec<_>>()
    };
    let garbage = components(Reachability::Garbage);
    let hidden = components(Reachability::Uncollectable);
    VirtualRoots {
        over,
        live,
        garbage,
        hidden,
    }
}

fn all(graph: &Graph) -> Amount {
    let mut sum = Amount {
        objects: graph.objects as u64 + graph.folded().map(|(_, count)| count).sum::<u64>(),
        ..Amount::default()
    };
    for node in 0..graph.len() as u32 {
        let split = own(graph, node);
        sum.python_bytes = sum.python_bytes.saturating_add(split.python);
        sum.native_bytes = sum.native_bytes.saturating_add(split.native);
    }
    sum
}

fn amount(graph: &Graph, reach: &Reach, state: Reachability) -> Amount {
    let mut sum = Amount::default();
    for (node, _) in reach.reachability.iter().enumerate().filter(|(_, of)| **of == state) {
        let split = own(graph, node as u32);
        sum.objects += u64::from(node < graph.objects);
        sum.python_bytes = sum.python_bytes.saturating_add(split.python);
        sum.native_bytes = sum.native_bytes.saturating_add(split.native);
    }
    let folded = graph
        .folded()
        .filter(|(node, _)| reach.reachability[*node as usize] == state);
    sum.objects += folded.map(|(_, count)| count).sum::<u64>();
    sum
}

fn garbage_types(graph: &Graph, reach: &Reach) -> Vec<GarbageType> {
    let mut types: FxHashMap<&str, GarbageType> = FxHashMap::default();
    let garbage = (0..graph.objects as u32).filter(|&node| reach.reachability[node as usize] == Reachability::Garbage);
    let new = |name: &str| GarbageType {
        type_name: name.to_owned(),
        collected: 0,
        objects: 0,
        bytes: 0,
    };
    for node in garbage {
        let name = graph.type_name(node);
        let of = types.entry(name).or_insert_with(|| new(name));
        of.collected += u64::from(graph.has(node, COLLECTED));
        of.objects += graph.count(node);
        of.bytes = of.bytes.saturating_add(graph.sizes[node as usize]);
    }
    let is_garbage = |part: &&Inside| reach.reachability[part.node as usize] == Reachability::Garbage;
    for part in graph.inside.iter().filter(is_garbage) {
        if let Some(owner) = types.get_mut(graph.type_name(part.node)) {
            owner.bytes = owner.bytes.saturating_sub(part.bytes);
        }
        let name = graph.names.type_name(part.type_number);
        let of = types.entry(name).or_insert_with(|| new(name));
        of.objects += u64::from(part.count);
        of.bytes = of.bytes.saturating_add(part.bytes);
    }
    let mut types: Vec<GarbageType> = types.into_values().collect();
    types.sort_by(|a, b| (b.objects, &a.type_name).cmp(&(a.objects, &b.type_name)));
    types
}

fn types(graph: &Graph, tree: &DominatorTree) -> Vec<TypeAmount> {
    let retained = tree.retained_by_type(graph, &FxHashMap::default());
    let mut retained: Vec<u64> = retained.iter().map(|sum| sum.total()).collect();
    let mut sums = vec![(0u64, 0u64); retained.len()];
    for (node, (kind, size)) in graph.types.iter().zip(&graph.sizes).take(graph.objects).enumerate() {
        if let Some(sum) = sums.get_mut(*kind as usize) {
            sum.0 += graph.count(node as u32);
            sum.1 = sum.1.saturating_add(*size);
        }
    }
    for part in &graph.inside {
        let owner = graph
            .types
            .get(part.node as usize)
            .and_then(|&kind| sums.get_mut(kind as usize));
        if let Some(owner) = owner {
            owner.1 = owner.1.saturating_sub(part.bytes);
        }
        let kind = part.type_number as usize;
        if let (Some(sum), Some(retained)) = (sums.get_mut(kind), retained.get_mut(kind)) {
            sum.0 += u64::from(part.count);
            sum.1 = sum.1.saturating_add(part.bytes);
            *retained = retained.saturating_add(part.bytes);
        }
    }
    let mut order: Vec<usize> = (0..sums.len()).filter(|&kind| sums[kind].0 > 0).collect();
    order.sort_by_key(|&kind| (Reverse(retained[kind]), Reverse(sums[kind].1), kind));
    order.truncate(MOST_TYPES);
    let answer = |kind: usize| TypeAmount {
        type_name: graph.names.type_name(kind as u32).to_owned(),
        objects: sums[kind].0,
        bytes: sums[kind].1,
        retained_bytes: retained[kind],
    };
    order.into_iter().map(answer).collect()
}
