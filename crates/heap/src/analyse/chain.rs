//! Chains of references as a person reads them.

use std::cmp::Ordering;
use std::ops::Range;

use deadweight_capture::{RootKind, StringId};

use crate::answer::Step;
use crate::graph::Graph;
use crate::graph::label::{Kind, Label};
use crate::graph::names::{LOST, Names};

/// Longer names and keys are cut off.
const LONGEST_NAME: usize = 100;
/// A chain has at most so many steps; of a longer one the middle is left out.
pub(crate) const LONGEST_CHAIN: usize = 40;

/// A reference: the node where it begins, and its label.
pub(crate) type Link = (u32, Label);

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The name in a label; there is none if the snapshot has too many of them.
fn name(names: &Names, label: Label) -> String {
    match label.name() {
        Some(StringId::EMPTY) => "…".to_owned(),
        Some(id) => cut(names.string(id)),
        None => LOST.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 4);
    quoted.push_str("['");
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push_str("']");
    quoted
}

/// An edge as the program would write it.
pub(crate) fn edge(names: &Names, label: Label) -> String {
    let number = || {
        label
            .number()
            .map_or_else(|| "…".to_owned(), |number| number.to_string())
    };
    match label.kind() {
        Kind::Attribute => format!(".{}", name(names, label)),
        Kind::Key => quoted(&name(names, label)),
        Kind::Item => format!("[{}]", name(names, label)),
        Kind::Index => format!("[{}]", number()),
        Kind::Member => " (a key or member)".to_owned(),
        Kind::Local => format!("<local {}>", name(names, label)),
        Kind::Type => ".__class__".to_owned(),
        Kind::Unnamed => format!(".reference {} (in C)", number()),
        Kind::Word => format!(".byte {} (in C)", number()),
    }
}

/// The same for every place in a sequence or a mapping that is not keyed by names.
fn edge_kind(names: &Names, label: Label) -> String {
    match label.kind() {
        Kind::Item | Kind::Index => "[]".to_owned(),
        Kind::Member => " (a key or member)".to_owned(),
        Kind::Unnamed | Kind::Word => ".(in C)".to_owned(),
        _ => edge(names, label),
    }
}

/// Whether this is the edge from an object to its dictionary of attributes.
pub(crate) fn is_dict_edge(names: &Names, label: Label) -> bool {
    label.kind() == Kind::Attribute && label.name().is_some_and(|id| names.is_dict(id))
}

/// What a node is called in a chain.
pub(crate) fn node_name(graph: &Graph, node: u32) -> String {
    match graph.root(node) {
        Some(root) => {
            let name = graph.names.string(root.name);
            match root.kind {
                RootKind::Frame => cut(&format!("frame {name}")),
                RootKind::Interpreter if root.name == StringId::EMPTY => "interpreter".to_owned(),
                RootKind::Interpreter => cut(name),
            }
        }
        None => cut(graph.type_name(node)),
    }
}

/// Where two links stand for one in the source: an object's dictionary and a name in it are an attribute.
fn attribute(names: &Names, links: &[Link], at: usize) -> Option<StringId> {
    let (_, first) = links.get(at)?;
    let (_, second) = links.get(at + 1)?;
    let is_name = second.kind() == Kind::Key;
    (is_name && is_dict_edge(names, *first))
        .then(|| second.name())
        .flatten()
}

/// Where three links stand for one: what a function captures is in a cell, which is in its tuple of cells.
fn captured(graph: &Graph, links: &[Link], at: usize) -> Option<String> {
    let &[(_, first), (_, second), (cell, third), ..] = links.get(at..)? else {
        return None;
    };
    let is = |label: Label, name: &str| {
        label.kind() == Kind::Attribute && label.name().is_some_and(|id| graph.names.string(id) == name)
    };
    if !is(first, "__closure__") || second.kind() != Kind::Index || !is(third, "cell_contents") {
        return None;
    }
    let place = edge(&graph.names, second);
    Some(match graph.names.cell(cell) {
        Some(name) => format!(".__closure__{place} ({})", cut(name)),
        None => format!(".__closure__{place}"),
    })
}

/// Whether a link is that from one of the interpreter's dictionaries, as a root, to the dictionary itself.
fn is_root_itself(graph: &Graph, (node, label): Link) -> bool {
    let is_interpreter = |root: crate::graph::Root| root.kind == RootKind::Interpreter;
    label.kind() == Kind::Unnamed && graph.root(node).is_some_and(is_interpreter)
}

/// A step as it is read: the places of its links, what its object is called, the edge's text, and the same without
/// places in sequences.
struct Read {
    links: Range<usize>,
    name: String,
    edge: String,
    kind: String,
}

/// Gives each step of the links to `take`; links that are one in the source are joined.
fn each_step(graph: &Graph, links: &[Link], mut take: impl FnMut(Read)) {
    let names = &graph.names;
    let mut at = 0;
    while let Some(&link) = links.get(at) {
        let (start, name) = (at, node_name(graph, link.0));
        if is_root_itself(graph, link) && at + 1 < links.len() {
            at += 1;
        }
        let (_, label) = links[at];
        let (edge, kind) = if let Some(id) = attribute(names, links, at) {
            at += 2;
            let text = edge(names, Label::new(Kind::Attribute, id.0, false));
            (text.clone(), text)
        } else if let Some(text) = captured(graph, links, at) {
            at += 3;
            (text.clone(), text)
        } else {
            at += 1;
            (edge(names, label), edge_kind(names, label))
        };
        let links = start..at;
        take(Read {
            links,
            name,
            edge,
            kind,
        });
    }
}

/// The links of each step of a chain that is not too long to be shown whole, and the step's name and edge without
/// places.
pub(crate) fn parts(graph: &Graph, links: &[Link]) -> Vec<(Range<usize>, String)> {
    let mut parts = Vec::new();
    each_step(graph, links, |read| {
        parts.push((read.links, format!("{}\u{1f}{}", read.name, read.kind)));
    });
    parts
}

/// The edges of a chain one after the other, as the program would write them, and the same without places. Where
/// only C code knows a reference, its place there says nothing.
pub(crate) fn expression(graph: &Graph, links: &[Link]) -> (String, String) {
    let (mut text, mut kinds) = (String::new(), String::new());
    each_step(graph, links, |read| {
        text.push_str(match read.kind.as_str() {
            ".(in C)" => &read.kind,
            _ => &read.edge,
        });
        kinds.push_str(&read.kind);
    });
    (text, kinds)
}

/// The steps of a chain that stands for several: where `many` says so, an edge has no place in a sequence.
pub(crate) fn merged_steps(graph: &Graph, links: &[Link], many: impl Fn(usize) -> bool) -> Vec<Step> {
    let mut merged = Vec::with_capacity(links.len());
    each_step(graph, links, |read| {
        let last = read.links.end - 1;
        let is_place = matches!(links[last].1.kind(), Kind::Index | Kind::Item | Kind::Key);
        let joined = read.links.len() > 1 && read.edge.starts_with('.');
        merged.push(Step {
            type_name: read.name,
            edge: match is_place && !joined && many(last) {
                true => "[…]".to_owned(),
                false => read.edge,
            },
        });
    });
    shorten(&mut merged);
    merged
}

/// The steps of a chain.
pub(crate) fn steps(graph: &Graph, links: &[Link]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(links.len());
    each_step(graph, links, |read| {
        steps.push(Step {
            type_name: read.name,
            edge: read.edge,
        });
    });
    shorten(&mut steps);
    steps
}

fn shorten(steps: &mut Vec<Step>) {
    if steps.len() > LONGEST_CHAIN {
        let head = LONGEST_CHAIN / 2;
        let left_out = steps.len() - LONGEST_CHAIN;
        let gap = Step {
            type_name: format!("<{left_out} more steps>"),
            edge: String::new(),
        };
        steps.splice(head..head + left_out, [gap]);
    }
}

/// Types and edges of a chain as one text, without places in sequences.
pub(crate) fn key(graph: &Graph, links: &[Link]) -> String {
    let mut key = String::new();
    for (_, part) in parts(graph, links) {
        key.push_str(&part);
        key.push('\u{1e}');
    }
    key
}

/// Where the smallest rotation begins, in linear time: of two candidates, the first difference rules one out, and all
/// that begin within what it was compared over (Duval 1983; Shiloach 1981).
fn smallest_rotation<T: Ord>(parts: &[T]) -> usize {
    let len = parts.len();
    let (mut first, mut second, mut same) = (0, 1, 0);
    while first < len && second < len && same < len {
        match parts[(first + same) % len].cmp(&parts[(second + same) % len]) {
            Ordering::Equal => {
                same += 1;
                continue;
            }
            Ordering::Greater => first += same + 1,
            Ordering::Less => second += same + 1,
        }
        if first == second {
            second += 1;
        }
        same = 0;
    }
    first.min(second)
}

/// A hash of the steps around a cycle that is the same wherever one begins (FNV-1a of the smallest rotation).
pub(crate) fn fingerprint(graph: &Graph, links: &[Link]) -> u64 {
    let parts: Vec<String> = parts(graph, links).into_iter().map(|(_, part)| part).collect();
    let (end, start) = parts.split_at(smallest_rotation(&parts));
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in start.iter().chain(end).flat_map(|part| part.bytes().chain([0x1e])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_rotation_is_that_of_all_rotations() {
        // All words of up to nine letters out of three.
        for len in 0..=9u32 {
            for number in 0..3usize.pow(len) {
                let word: Vec<usize> = (0..len).map(|at| number / 3usize.pow(at) % 3).collect();
                let rotated = |start: usize| word[start..].iter().chain(&word[..start]).copied().collect::<Vec<_>>();
                let smallest = (0..word.len()).map(rotated).min().unwrap_or_default();
                assert_eq!(rotated(smallest_rotation(&word).min(word.len())), smallest, "{word:?}");
            }
        }
    }

    #[test]
    fn a_long_ring_has_its_smallest_rotation_soon() {
        let mut ring = vec![1; 1_000_000];
        assert!(smallest_rotation(&ring) < ring.len());
        ring[700_000] = 0;
        assert_eq!(smallest_rotation(&ring), 700_000);
    }
}
