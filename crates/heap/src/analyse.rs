//! From a snapshot's files to its answer.

use std::cmp::Reverse;

use deadweight_capture::read::HeapFiles;

use crate::answer::{Amount, CycleGroup, SnapshotAnswer, TypeAmount};
use crate::build::{Built, build};
use crate::cycles::{self, Island};
use crate::dominators::{Virtual, dominators};
use crate::graph::Graph;
use crate::reach::{Reach, Realm, reach};
use crate::retained::{Tree, own};
use crate::{Error, components, holders, unowned};

/// So many types are listed.
const MOST_TYPES: usize = 50;

/// Analyses one heap snapshot. Of one that was not written to its end it answers what is sound: then there is no
/// garbage in the answer, because the reference that keeps an object alive may be among what is missing.
///
/// # Errors
/// If there is no object in it, nothing of it can be read, a newer deadweight wrote it, or it is too large.
pub fn analyse_heap(files: &HeapFiles) -> Result<SnapshotAnswer, Error> {
    let Built {
        mut graph,
        mut counts,
        nanos,
        end,
        mut warnings,
    } = build(files)?;
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
    let without_finder = unowned::without_finder(&graph, &counts);
    drop(counts);
    let unowned_list = unowned::unowned(&graph, &reach.realms);
    let (garbage, hidden) = match complete {
        true => (
            amount(&graph, &reach, Realm::Garbage),
            amount(&graph, &reach, Realm::Hidden),
        ),
        false => (Amount::default(), Amount::default()),
    };
    let planted = plant(&graph, &reach);
    let tree = Tree::new(&graph, dominators(&graph, &reach.realms, &planted.over));
    let place = |node: u32| tree.place(node).unwrap_or(0);
    let groups = |islands: Vec<(u32, Vec<u32>)>| -> Vec<CycleGroup> {
        let islands: Vec<Island> = islands
            .into_iter()
            .map(|(node, members)| Island {
                place: place(node),
                members,
            })
            .collect();
        match complete {
            true => cycles::groups(&graph, &tree, &islands),
            false => Vec::new(),
        }
    };
    Ok(SnapshotAnswer {
        process: files.process,
        number: files.number,
        nanos,
        complete,
        pause_nanos: end.map(|end| end.pause_nanos),
        all: all(&graph),
        garbage,
        hidden,
        cycles: groups(planted.garbage),
        uncollectable: groups(planted.hidden),
        unexplained: unowned::unexplained(&graph, &tree, &without_finder),
        holders: holders::holders(&graph, &tree, &reach, place(planted.live)),
        unowned: unowned_list,
        types: types(&graph, &tree),
        warnings,
    })
}

/// The virtual nodes of a graph: live, unowned, and one for each island of garbage and of hidden memory.
struct Planted {
    over: Virtual,
    live: u32,
    garbage: Vec<(u32, Vec<u32>)>,
    hidden: Vec<(u32, Vec<u32>)>,
}

fn plant(graph: &Graph, reach: &Reach) -> Planted {
    let mut over = Virtual::new(graph.len());
    let root = over.root();
    let live = over.add(root, reach.live_roots.clone());
    over.add(root, reach.unowned_roots.clone());
    let mut islands = |realm: Realm| {
        let top = over.add(root, Vec::new());
        let sources = components::sources(graph, &reach.realms, realm);
        let planted = sources
            .into_iter()
            .map(|members| (over.add(top, members.clone()), members));
        planted.collect::<Vec<_>>()
    };
    let garbage = islands(Realm::Garbage);
    let hidden = islands(Realm::Hidden);
    Planted {
        over,
        live,
        garbage,
        hidden,
    }
}

fn all(graph: &Graph) -> Amount {
    let mut sum = Amount {
        objects: graph.objects as u64,
        ..Amount::default()
    };
    for node in 0..graph.len() as u32 {
        let split = own(graph, node);
        sum.python_bytes = sum.python_bytes.saturating_add(split.python);
        sum.native_bytes = sum.native_bytes.saturating_add(split.native);
    }
    sum
}

fn amount(graph: &Graph, reach: &Reach, realm: Realm) -> Amount {
    let mut sum = Amount::default();
    for (node, _) in reach.realms.iter().enumerate().filter(|(_, of)| **of == realm) {
        let split = own(graph, node as u32);
        sum.objects += u64::from(node < graph.objects);
        sum.python_bytes = sum.python_bytes.saturating_add(split.python);
        sum.native_bytes = sum.native_bytes.saturating_add(split.native);
    }
    sum
}

fn types(graph: &Graph, tree: &Tree) -> Vec<TypeAmount> {
    let retained = tree.retained_by_type(graph, 0);
    let mut sums = vec![(0u64, 0u64); retained.len()];
    for (kind, size) in graph.types.iter().zip(&graph.sizes).take(graph.objects) {
        if let Some(sum) = sums.get_mut(*kind as usize) {
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(*size);
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
