//! Who holds what is reachable: containers with many similar elements, and single large objects.
//!
//! From the top of the dominator tree the search goes down as long as one child has most of what its parent retains
//! (Eclipse MAT calls the end of such a way an accumulation point). There it looks for elements of one type that
//! have most of it together. An object whose memory is mostly its own is a holder too. What is inside of a holder
//! is not searched, so holders never overlap.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::answer::{Amount, Elements, Holder};
use crate::chain;
use crate::graph::{Graph, NATIVE, NO_TYPE};
use crate::label::Kind;
use crate::paths::Paths;
use crate::reach::Reach;
use crate::retained::{Split, Tree, own};
use crate::sites;

/// Smaller holders are not listed.
const SMALLEST: u64 = 256 << 10;
/// Nor are those below one part in this many of all memory.
const SMALLEST_PART: u64 = 100;
/// Nor more than so many.
const MOST_HOLDERS: usize = 100;
/// Fewer similar objects are no elements.
const FEWEST_ELEMENTS: u64 = 4;

/// A holder that was found in the tree.
struct Found {
    place: u32,
    elements: Option<(u32, u64, u64)>,
    /// One of the elements.
    sample: Option<u32>,
}

/// The holders below a place of the tree.
pub(crate) fn holders(graph: &Graph, tree: &Tree, reach: &Reach, under: u32) -> Vec<Holder> {
    let whole = tree.retained.first().map_or(0, |whole| whole.total());
    let least = (whole / SMALLEST_PART).max(SMALLEST);
    let mut found = Vec::new();
    let mut path: Vec<u32> = tree.children(under).to_vec();
    while let Some(place) = path.pop() {
        if tree.retained[place as usize].total() < least {
            continue;
        }
        match holds(graph, tree, place) {
            Some(holder) => found.push(holder),
            None => path.extend(tree.children(place)),
        }
    }
    found.sort_by_key(|holder| (Reverse(tree.retained[holder.place as usize].total()), holder.place));
    found.truncate(MOST_HOLDERS);
    if found.is_empty() {
        return Vec::new();
    }
    let heads = found.iter().enumerate().map(|(at, holder)| (holder.place, at as u32));
    let nearest = tree.nearest(heads);
    let mut objects = vec![0u64; found.len()];
    for (place, &holder) in nearest.iter().enumerate() {
        if holder != u32::MAX && (tree.order[place] as usize) < graph.objects {
            objects[holder as usize] += 1;
        }
    }
    let mut stacks = sites::by_group(graph, tree, &nearest);
    let paths = Paths::new(graph, reach);
    let answer = |(at, holder): (usize, Found)| {
        let node = tree.order[holder.place as usize];
        let mut links = paths.to(graph, node);
        let rooted = links.first().is_some_and(|&(node, _)| graph.root(node).is_some());
        let leads_to = holder.sample.map(|element| to_element(graph, node, element));
        links.push((node, leads_to.unwrap_or_default()));
        let mut path = chain::steps(graph, &links);
        if leads_to.is_none()
            && let Some(last) = path.last_mut()
        {
            last.edge.clear();
        }
        let Split { python, native } = tree.retained[holder.place as usize];
        Holder {
            key: chain::key(graph, &links),
            path,
            rooted,
            type_name: chain::node_name(graph, node),
            amount: Amount {
                objects: objects[at],
                python_bytes: python,
                native_bytes: native,
            },
            elements: holder.elements.map(|(kind, count, bytes)| Elements {
                type_name: graph.names.type_name(kind).to_owned(),
                count,
                bytes,
            }),
            stacks: stacks.remove(&(at as u32)).unwrap_or_default(),
        }
    };
    found.into_iter().enumerate().map(answer).collect()
}

/// The label of the edge from a container to one of its elements.
fn to_element(graph: &Graph, container: u32, element: u32) -> crate::label::Label {
    let between = graph.edges(container).filter(|edge| edge.0 == element);
    between
        .map(|edge| edge.1)
        .min_by_key(|label| label.kind())
        .unwrap_or_default()
}

/// Whether the search ends at this place.
fn holds(graph: &Graph, tree: &Tree, place: u32) -> Option<Found> {
    let node = tree.order[place as usize];
    let whole = tree.retained[place as usize].total();
    let mut alone = own(graph, node).total();
    let mut largest = 0;
    let mut kinds: FxHashMap<u32, (u64, u64, u32)> = FxHashMap::default();
    for &child in tree.children(place) {
        let child_node = tree.order[child as usize];
        let bytes = tree.retained[child as usize].total();
        if graph
            .flags
            .get(child_node as usize)
            .is_some_and(|flags| flags & NATIVE != 0)
        {
            alone = alone.saturating_add(bytes);
            continue;
        }
        largest = largest.max(bytes);
        let kind = graph.types.get(child_node as usize).copied().unwrap_or(NO_TYPE);
        if kind != NO_TYPE {
            let sum = kinds.entry(kind).or_insert((0, 0, child_node));
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(bytes);
        }
    }
    if alone >= whole / 2 {
        return (graph.root(node).is_none()).then_some(Found {
            place,
            elements: None,
            sample: None,
        });
    }
    // One child has at least seven tenths: it is the one to look at.
    if largest / 7 >= whole / 10 || is_namespace(graph, node) {
        return None;
    }
    let (kind, (count, bytes, sample)) = kinds
        .into_iter()
        .max_by_key(|&(kind, (_, bytes, _))| (bytes, Reverse(kind)))?;
    (count >= FEWEST_ELEMENTS && bytes >= whole / 2).then_some(Found {
        place,
        elements: Some((kind, count, bytes)),
        sample: Some(sample),
    })
}

/// Whether a node holds names of the program and not elements: a root, a module, a class, or a dictionary whose
/// values are mostly functions, classes or modules.
fn is_namespace(graph: &Graph, node: u32) -> bool {
    if graph.root(node).is_some() || matches!(graph.type_name(node), "module" | "type") {
        return true;
    }
    let (mut names, mut others) = (0, 0);
    for (to, label) in graph.edges(node) {
        if label.kind() == Kind::Key {
            let is_name = matches!(
                graph.type_name(to),
                "module" | "type" | "function" | "builtin_function_or_method" | "ABCMeta" | "abc.ABCMeta" | "property"
            );
            *(if is_name { &mut names } else { &mut others }) += 1;
        }
    }
    names > others
}
