//! Chains of references as a person reads them.

use deadweight_capture::{RootKind, StringId};

use crate::answer::Step;
use crate::graph::Graph;
use crate::label::{Kind, Label};
use crate::names::{LOST, Names};

/// Longer names and keys are cut off.
const LONGEST_NAME: usize = 100;
/// A chain has at most so many steps; of a longer one the middle is left out.
const LONGEST_CHAIN: usize = 40;

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
        Kind::Closure => format!(".__closure__[{}]", number()),
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

/// Whether a link is that from one of the interpreter's dictionaries, as a root, to the dictionary itself.
fn is_root_itself(graph: &Graph, (node, label): Link) -> bool {
    let is_interpreter = |root: crate::graph::Root| root.kind == RootKind::Interpreter;
    label.kind() == Kind::Unnamed && graph.root(node).is_some_and(is_interpreter)
}

/// Gives each step of the links, attributes joined, to `take`: what the object is called, the edge's text, and the
/// same without places.
fn each_step(graph: &Graph, links: &[Link], mut take: impl FnMut(String, String, String)) {
    let names = &graph.names;
    let mut at = 0;
    while let Some(&link) = links.get(at) {
        let name = node_name(graph, link.0);
        if is_root_itself(graph, link) && at + 1 < links.len() {
            at += 1;
        }
        let (_, label) = links[at];
        match attribute(names, links, at) {
            Some(id) => {
                let text = edge(names, Label::new(Kind::Attribute, id.0, false));
                take(name, text.clone(), text);
                at += 2;
            }
            None => {
                take(name, edge(names, label), edge_kind(names, label));
                at += 1;
            }
        }
    }
}

/// The steps of a chain.
pub(crate) fn steps(graph: &Graph, links: &[Link]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(links.len());
    each_step(graph, links, |type_name, edge, _| steps.push(Step { type_name, edge }));
    if steps.len() > LONGEST_CHAIN {
        let head = LONGEST_CHAIN / 2;
        let left_out = steps.len() - LONGEST_CHAIN;
        let gap = Step {
            type_name: format!("<{left_out} more steps>"),
            edge: String::new(),
        };
        steps.splice(head..head + left_out, [gap]);
    }
    steps
}

/// Types and edges of a chain as one text, without places in sequences.
pub(crate) fn key(graph: &Graph, links: &[Link]) -> String {
    let mut key = String::new();
    each_step(graph, links, |name, _, edge| {
        key.push_str(&name);
        key.push('\u{1f}');
        key.push_str(&edge);
        key.push('\u{1e}');
    });
    key
}

/// A hash of the steps around a cycle that is the same wherever one begins (FNV-1a of the smallest rotation).
pub(crate) fn fingerprint(graph: &Graph, links: &[Link]) -> u64 {
    let mut parts: Vec<String> = Vec::with_capacity(links.len());
    each_step(graph, links, |name, _, edge| parts.push(format!("{name}\u{1f}{edge}")));
    let rotations = (0..parts.len()).map(|start| parts[start..].iter().chain(&parts[..start]));
    let smallest = rotations.min_by(|a, b| a.clone().cmp(b.clone()));
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in smallest
        .into_iter()
        .flatten()
        .flat_map(|part| part.bytes().chain([0x1e]))
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
