//! What holds the reachable memory: containers with many similar elements, and single large objects.
//!
//! The search descends from the root of the dominator tree as long as one child retains most of what its parent does
//! (Eclipse MAT calls the end of such a descent an accumulation point). There it looks for elements of one type that
//! together retain most of it. An object whose memory is mostly its own is a holder too. What a holder retains is not
//! searched, so holders never overlap.
//!
//! Objects that two containers refer to, such as the entries of two caches, are elements of neither: in the dominator tree
//! they are children of whatever holds both containers, which may be a class, a module, or the root. Similar objects there
//! to which that node itself has no edge are grouped as *jointly held*, with the path to one of them.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::analyse::chain;
use crate::analyse::paths::Paths;
use crate::analyse::reach::Reach;
use crate::analyse::retained::{DominatorTree, Split, own};
use crate::analyse::sites;
use crate::answer::{Amount, Elements, Holder};
use crate::graph::label::{Kind, Label};
use crate::graph::names::is_builtin;
use crate::graph::{Graph, NATIVE, NO_TYPE};

/// Smaller holders are not listed, in bytes.
const SMALLEST: u64 = 256 << 10;
/// Nor are holders of less than this part of all memory: 1/100, or 1 %.
const SMALLEST_PART: u64 = 100;
/// Longest list.
const MOST_HOLDERS: usize = 100;
/// Fewer similar objects are not called elements.
const FEWEST_ELEMENTS: u64 = 4;
/// A container that dominates this many objects directly, none of which retains more than 1/16 of it, is a holder whatever
/// their types: objects that refer to each other, such as the nodes of a tree, are all children of the container.
const MANY: u64 = 64;
const LARGEST_OF_MANY: u64 = 16;
/// Fewer objects are not called jointly held: they just happen to be shared.
const FEWEST_JOINT: usize = 8;

/// A holder that was found in the tree.
struct Found {
    place: u32,
    elements: Option<(u32, u64, u64)>,
    /// One of the elements.
    sample: Option<u32>,
    /// The places of jointly held elements; empty if this place alone is the holder.
    joint: Vec<u32>,
}

/// The holders below a place of the dominator tree.
pub(crate) fn holders(graph: &Graph, tree: &DominatorTree, reach: &Reach, under: u32) -> Vec<Holder> {
    let whole = tree.retained.first().map_or(0, |whole| whole.total());
    let least = (whole / SMALLEST_PART).max(SMALLEST);
    let mut found = Vec::new();
    let mut path: Vec<u32> = joint(graph, tree, under, least, &mut found);
    while let Some(place) = path.pop() {
        if tree.retained[place as usize].total() < least {
            continue;
        }
        match holds(graph, tree, place) {
            Some(holder) => found.push(holder),
            None if is_namespace(graph, tree.order[place as usize]) => {
                path.extend(joint(graph, tree, place, least, &mut found));
            }
            None => path.extend(tree.children(place)),
        }
    }
    found.sort_by_key(|holder| (Reverse(holder.retained(tree).total()), holder.place));
    found.truncate(MOST_HOLDERS);
    if found.is_empty() {
        return Vec::new();
    }
    let heads = found.iter().enumerate().flat_map(|(at, holder)| {
        let places = match holder.joint.is_empty() {
            true => std::slice::from_ref(&holder.place),
            false => &holder.joint,
        };
        places.iter().map(move |&place| (place, at as u32))
    });
    let nearest = tree.nearest(heads);
    let mut objects = vec![0u64; found.len()];
    for (place, &holder) in nearest.iter().enumerate() {
        if holder != u32::MAX && (tree.order[place] as usize) < graph.objects {
            objects[holder as usize] += 1;
        }
    }
    for (node, count) in graph.folded() {
        let holder = tree.place(node).and_then(|place| nearest.get(place as usize));
        if let Some(objects) = holder.and_then(|&holder| objects.get_mut(holder as usize)) {
            *objects += count;
        }
    }
    let mut stacks = sites::by_group(graph, tree, &nearest);
    let paths = Paths::new(graph, reach);
    let answer = |(at, holder): (usize, Found)| {
        let Split { python, native } = holder.retained(tree);
        let node = tree.order[holder.place as usize];
        let direct = holder.sample.and_then(|element| to_element(graph, node, element));
        // If it has no edge to the elements, its path is the path to one of them.
        let last = holder.sample.filter(|_| direct.is_none()).unwrap_or(node);
        let mut links = paths.to(graph, last);
        let rooted = links.first().is_some_and(|&(node, _)| graph.root(node).is_some());
        let (node, leads_to) = match links.last().copied().filter(|_| last != node) {
            Some((before, label)) => {
                links.pop();
                (before, Some(label))
            }
            None => (last, direct),
        };
        links.push((node, leads_to.unwrap_or_default()));
        let mut path = chain::steps(graph, &links);
        if leads_to.is_none()
            && let Some(last) = path.last_mut()
        {
            last.edge.clear();
        }
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
    alike(found.into_iter().enumerate().map(answer).collect())
}

/// Merges holders that are reached in the same way: the same variable of a function in many threads.
fn alike(holders: Vec<Holder>) -> Vec<Holder> {
    let mut together: FxHashMap<String, Vec<Holder>> = FxHashMap::default();
    for holder in holders {
        together.entry(holder.key.clone()).or_default().push(holder);
    }
    let mut list: Vec<Holder> = Vec::new();
    for holders in together.into_values() {
        if (holders.len() as u64) < FEWEST_ELEMENTS {
            list.extend(holders);
            continue;
        }
        let count = holders.len() as u64;
        let mut all = holders.into_iter();
        let Some(mut one) = all.next() else { continue };
        for other in all {
            one.amount.objects += other.amount.objects;
            one.amount.python_bytes = one.amount.python_bytes.saturating_add(other.amount.python_bytes);
            one.amount.native_bytes = one.amount.native_bytes.saturating_add(other.amount.native_bytes);
            one.stacks.extend(other.stacks);
        }
        sites::merge(&mut one.stacks);
        one.elements = Some(Elements {
            type_name: one.type_name.clone(),
            count,
            bytes: one.amount.bytes(),
        });
        if let Some(last) = one.path.last_mut() {
            last.edge.clear();
        }
        list.push(one);
    }
    list.sort_by(|a, b| (b.amount.bytes(), &a.key).cmp(&(a.amount.bytes(), &b.key)));
    list
}

/// The label of the edge from a container to one of its elements. A virtual node has no edges with labels.
fn to_element(graph: &Graph, container: u32, element: u32) -> Option<Label> {
    let between = ((container as usize) < graph.len())
        .then(|| graph.edges(container).filter(|edge| edge.0 == element))
        .into_iter()
        .flatten();
    between.map(|edge| edge.1).min_by_key(|label| label.kind())
}

/// The holder at this place, if the search ends here.
fn holds(graph: &Graph, tree: &DominatorTree, place: u32) -> Option<Found> {
    let node = tree.order[place as usize];
    if graph.count(node) > 1 {
        return None; // small objects of one owner
    }
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
        let count = graph.count(child_node);
        largest = largest.max(bytes / count);
        let kind = graph.types.get(child_node as usize).copied().unwrap_or(NO_TYPE);
        if kind != NO_TYPE {
            let sum = kinds.entry(kind).or_insert((0, 0, child_node));
            sum.0 += count;
            sum.1 = sum.1.saturating_add(bytes);
        }
    }
    if alone >= whole / 2 {
        return (graph.root(node).is_none()).then_some(Found {
            place,
            elements: None,
            sample: None,
            joint: Vec::new(),
        });
    }
    // One child has at least 70 %: the search goes on there.
    if largest / 7 >= whole / 10 || is_namespace(graph, node) {
        return None;
    }
    let below: u64 = kinds.values().map(|(count, ..)| count).sum();
    if below >= MANY && largest <= whole / LARGEST_OF_MANY {
        return many_kinds(graph, tree, place, kinds);
    }
    // A mapping may have keys of one type and values of another, neither of which need have half by itself.
    let together = kinds.values().filter(|(count, ..)| *count >= FEWEST_ELEMENTS);
    let together = together.fold(0u64, |sum, (_, bytes, _)| sum.saturating_add(*bytes));
    let is_many = |&(_, (count, ..)): &(u32, (u64, u64, u32))| count >= FEWEST_ELEMENTS;
    let many = kinds.into_iter().filter(is_many);
    let (kind, (count, bytes, sample)) = many.max_by_key(|&(kind, (_, bytes, _))| (bytes, Reverse(kind)))?;
    (bytes >= whole / 2 || bytes >= whole / 4 && together >= whole / 2).then_some(Found {
        place,
        elements: Some((kind, count, bytes)),
        sample: Some(sample),
        joint: Vec::new(),
    })
}

/// A holder of so many small objects that their types do not matter. Its elements are those of the type that retains
/// most; if no type retains half, only types to which the container itself refers are considered.
fn many_kinds(
    graph: &Graph,
    tree: &DominatorTree,
    place: u32,
    mut kinds: FxHashMap<u32, (u64, u64, u32)>,
) -> Option<Found> {
    let (node, whole) = (tree.order[place as usize], tree.retained[place as usize].total());
    let has_half = kinds.values().any(|(_, bytes, _)| *bytes >= whole / 2);
    if !has_half && (node as usize) < graph.len() {
        let mut own: FxHashMap<u32, u32> = FxHashMap::default();
        for &to in graph.targets(node) {
            let kind = graph.types.get(to as usize).copied().unwrap_or(NO_TYPE);
            if tree.place(to).is_some_and(|at| tree.idom[at as usize] == place) {
                own.entry(kind).or_insert(to);
            }
        }
        if own.keys().any(|kind| kinds.contains_key(kind)) {
            kinds.retain(|kind, (.., sample)| own.get(kind).map(|&to| *sample = to).is_some());
        }
    }
    let most = kinds
        .into_iter()
        .max_by_key(|&(kind, (_, bytes, _))| (bytes, Reverse(kind)));
    most.map(|(kind, (count, bytes, sample))| Found {
        place,
        elements: Some((kind, count, bytes)),
        sample: Some(sample),
        joint: Vec::new(),
    })
}

impl Found {
    /// What would be freed with it.
    fn retained(&self, tree: &DominatorTree) -> Split {
        let mut sum = Split::default();
        match self.joint.as_slice() {
            [] => sum = tree.retained[self.place as usize],
            places => places.iter().for_each(|&place| sum.add(tree.retained[place as usize])),
        }
        sum
    }
}

/// Adds the groups of jointly held objects among the children of a place; gives the children that are in no group.
fn joint(graph: &Graph, tree: &DominatorTree, place: u32, least: u64, found: &mut Vec<Found>) -> Vec<u32> {
    let node = tree.order[place as usize];
    let mut named: Vec<u32> = match (node as usize) < graph.len() {
        true => graph.targets(node).to_vec(),
        false => Vec::new(),
    };
    named.sort_unstable();
    let mut kinds: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    let mut others = Vec::new();
    for &child in tree.children(place) {
        let to = tree.order[child as usize];
        let kind = graph.types.get(to as usize).copied().unwrap_or(NO_TYPE);
        let is_own = kind != NO_TYPE && !is_builtin(graph.names.type_name(kind));
        if is_own && (to as usize) < graph.objects && named.binary_search(&to).is_err() {
            kinds.entry(kind).or_default().push(child);
        } else {
            others.push(child);
        }
    }
    for (kind, places) in kinds {
        if places.len() < FEWEST_JOINT {
            others.extend(places);
            continue;
        }
        let sample = places
            .iter()
            .copied()
            .max_by_key(|&place| tree.retained[place as usize].total());
        let mut group = Found {
            place,
            elements: None,
            sample: sample.map(|place| tree.order[place as usize]),
            joint: places,
        };
        let bytes = group.retained(tree).total();
        if bytes >= least {
            group.elements = Some((kind, group.joint.len() as u64, bytes));
            found.push(group);
        }
    }
    others
}

/// Whether a node holds the program's names rather than elements: a root, a module, a class, or a dictionary whose
/// values are mostly functions, classes or modules.
pub(crate) fn is_namespace(graph: &Graph, node: u32) -> bool {
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
            *(if is_name { &mut names } else { &mut others }) += graph.count(to);
        }
    }
    names > others
}
