//! The graph as a `.heapsnapshot`, V8's format, which Chrome DevTools and MemLab read.
//!
//! Layout after V8's `src/profiler/heap-snapshot-generator.cc` (`HeapSnapshotJSONSerializer`): one JSON object with
//! three flat lists. A node is seven numbers, an edge three, the nodes' edges follow each other in the order of the
//! nodes, and a node is named by the place where its numbers begin.
//!
//! Everything is an `object` there, because DevTools groups only those by name. Roots hang directly under the first
//! node; everything else hangs under `(GC roots)`, in one node for each reason. References between nodes of different
//! reachability are `weak`, so DevTools shows the same retained sizes.
//!
//! Numbers there have 32 bits: a block of 4 GiB or more is written as 4 GiB - 1.

use std::io::{self, Write};

use deadweight_capture::StringId;
use rustc_hash::FxHashMap;

use crate::analyse::Heap;
use crate::analyse::chain;
use crate::analyse::reach::Reachability;
use crate::graph::NATIVE;
use crate::graph::label::{Kind, Label};
use crate::graph::names::NATIVE as NATIVE_NAME;

const META: &str = r#"{"snapshot":{"meta":{
"node_fields":["type","name","id","self_size","edge_count","trace_node_id","detachedness"],
"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number","number"],
"edge_fields":["type","name_or_index","to_node"],
"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],
"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],
"trace_node_fields":["id","function_info_index","count","size","children"],
"sample_fields":["timestamp_us","last_assigned_id"],
"location_fields":["object_index","script_id","line","column"]},
"#;

const NODE_FIELDS: u64 = 7;
const OBJECT: u64 = 3;
const NATIVE_NODE: u64 = 8;
const SYNTHETIC: u64 = 9;
const CONTEXT: u64 = 0;
const ELEMENT: u64 = 1;
const PROPERTY: u64 = 2;
const INTERNAL: u64 = 3;
const WEAK: u64 = 6;

/// The reasons for which a node hangs under `(GC roots)`.
const REASONS: [&str; 4] = [
    "(alive, but not by a reference in the snapshot)",
    "(garbage: the collector would free it)",
    "(unreachable, and the collector will never free it)",
    "(native memory without an owner)",
];
const FIRST: u64 = 2 + REASONS.len() as u64;

/// The node of the graph that has this number in the file.
pub(crate) fn node_of(number: u64) -> Option<u64> {
    let at = number.checked_sub(1)? / 2;
    (number % 2 == 1).then(|| at.checked_sub(FIRST)).flatten()
}

fn number_of(at: u64) -> u64 {
    at * 2 + 1
}

/// A string of the file, and what it is made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Text {
    Fixed(&'static str),
    Type(u32),
    Root(u32),
    /// The name itself.
    Plain(u32),
    Key(u32),
    Item(u32),
    Local(u32),
}

#[derive(Debug, Default)]
struct Texts {
    list: Vec<Text>,
    places: FxHashMap<Text, u64>,
}

impl Texts {
    fn place(&mut self, text: Text) -> u64 {
        let list = &mut self.list;
        *self.places.entry(text).or_insert_with(|| {
            list.push(text);
            list.len() as u64 - 1
        })
    }
}

/// Rows of numbers with commas between them.
struct Rows<'a> {
    out: &'a mut dyn Write,
    buffer: itoa::Buffer,
    first: bool,
}

impl Rows<'_> {
    fn row(&mut self, numbers: &[u64]) -> io::Result<()> {
        for (at, &number) in numbers.iter().enumerate() {
            if at > 0 || !self.first {
                self.out.write_all(if at == 0 { b"\n," } else { b"," })?;
            }
            self.first = false;
            self.out.write_all(self.buffer.format(number).as_bytes())?;
        }
        Ok(())
    }
}

impl Heap {
    /// Writes the snapshot in V8's format. It is streamed: only names take memory in addition to the graph.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write_heapsnapshot(&self, out: &mut dyn Write) -> io::Result<()> {
        let graph = &self.graph;
        let tops = self.tops();
        let top_edges: u64 = 1 + graph.roots.len() as u64 + tops.iter().map(|top| top.len() as u64).sum::<u64>();
        let nodes = FIRST + graph.len() as u64;
        let edges = top_edges + REASONS.len() as u64 + graph.targets.len() as u64;
        out.write_all(META.as_bytes())?;
        writeln!(
            out,
            "\"node_count\":{nodes},\"edge_count\":{edges},\"trace_function_count\":0}},"
        )?;
        let mut texts = Texts::default();
        out.write_all(b"\"nodes\":[")?;
        self.nodes(&tops, &mut texts, out)?;
        out.write_all(b"],\n\"edges\":[")?;
        self.edges(&tops, &mut texts, out)?;
        out.write_all(b"],\n\"trace_function_infos\":[],\"trace_tree\":[],\"samples\":[],\"locations\":[],\n")?;
        out.write_all(b"\"strings\":[")?;
        for (at, &text) in texts.list.iter().enumerate() {
            out.write_all(if at == 0 { b"" } else { b",\n" })?;
            json_string(&self.text(text), out)?;
        }
        out.write_all(b"]}\n")
    }

    /// The nodes under each of the reasons.
    fn tops(&self) -> [Vec<u32>; 4] {
        let after_roots = self.graph.roots.len().min(self.reach.live_roots.len());
        let (_, alive) = self.reach.live_roots.split_at(after_roots);
        let all =
            |state: Reachability| crate::analyse::components::sources(&self.graph, &self.reach.reachability, state);
        [
            alive.to_vec(),
            all(Reachability::Garbage).concat(),
            all(Reachability::Uncollectable).concat(),
            self.reach.unowned_roots.clone(),
        ]
    }

    fn nodes(&self, tops: &[Vec<u32>; 4], texts: &mut Texts, out: &mut dyn Write) -> io::Result<()> {
        let graph = &self.graph;
        let mut rows = Rows {
            out,
            buffer: itoa::Buffer::new(),
            first: true,
        };
        let mut at = 0;
        let mut synthetic = |rows: &mut Rows<'_>, name, edges: usize, texts: &mut Texts| {
            let name = texts.place(Text::Fixed(name));
            let row = [SYNTHETIC, name, number_of(at), 0, edges as u64, 0, 0];
            at += 1;
            rows.row(&row)
        };
        synthetic(&mut rows, "", 1 + graph.roots.len(), texts)?;
        synthetic(&mut rows, "(GC roots)", REASONS.len(), texts)?;
        for (reason, top) in REASONS.iter().zip(tops) {
            synthetic(&mut rows, reason, top.len(), texts)?;
        }
        for node in 0..graph.len() as u32 {
            let (kind, text) = match graph.has(node, NATIVE) {
                true => (NATIVE_NODE, Text::Fixed(NATIVE_NAME)),
                false if graph.root(node).is_some() => (OBJECT, Text::Root(node)),
                false => (OBJECT, Text::Type(graph.types[node as usize])),
            };
            let size = graph.sizes[node as usize].min(u64::from(u32::MAX));
            let edges = graph.row(node).len() as u64;
            let number = number_of(FIRST + u64::from(node));
            rows.row(&[kind, texts.place(text), number, size, edges, 0, 0])?;
        }
        Ok(())
    }

    fn edges(&self, tops: &[Vec<u32>; 4], texts: &mut Texts, out: &mut dyn Write) -> io::Result<()> {
        let (graph, reachability) = (&self.graph, &self.reach.reachability);
        let mut rows = Rows {
            out,
            buffer: itoa::Buffer::new(),
            first: true,
        };
        let place = |node: u32| (FIRST + u64::from(node)) * NODE_FIELDS;
        rows.row(&[ELEMENT, 1, NODE_FIELDS])?;
        for root in graph.root_nodes() {
            rows.row(&[PROPERTY, texts.place(Text::Root(root)), place(root)])?;
        }
        for at in 0..REASONS.len() as u64 {
            rows.row(&[ELEMENT, at, (2 + at) * NODE_FIELDS])?;
        }
        for top in tops {
            for (at, &node) in top.iter().enumerate() {
                rows.row(&[ELEMENT, at as u64, place(node)])?;
            }
        }
        for from in 0..graph.len() as u32 {
            for (to, label) in graph.edges(from) {
                let (kind, name) = edge_name(label, texts);
                // DevTools shows the name of a weak edge as text.
                let crosses = reachability[from as usize] != reachability[to as usize];
                let row = match crosses {
                    true if kind == ELEMENT => [WEAK, texts.place(Text::Fixed("[…]")), place(to)],
                    true => [WEAK, name, place(to)],
                    false => [kind, name, place(to)],
                };
                rows.row(&row)?;
            }
        }
        Ok(())
    }

    fn text(&self, text: Text) -> String {
        let names = &self.graph.names;
        let string = |id: u32| names.string(StringId(id));
        match text {
            Text::Fixed(text) => text.to_owned(),
            Text::Type(kind) => names.type_name(kind).to_owned(),
            Text::Root(node) => chain::node_name(&self.graph, node),
            Text::Plain(id) => string(id).to_owned(),
            Text::Key(id) => format!("['{}']", string(id)),
            Text::Item(id) => format!("[{}]", string(id)),
            Text::Local(id) => format!("<local {}>", string(id)),
        }
    }
}

/// Type and name of an edge.
fn edge_name(label: Label, texts: &mut Texts) -> (u64, u64) {
    let number = label.number().unwrap_or(u32::MAX);
    let (kind, text) = match label.kind() {
        Kind::Index => return (ELEMENT, u64::from(number)),
        Kind::Attribute => (PROPERTY, Text::Plain(number)),
        Kind::Key => (PROPERTY, Text::Key(number)),
        Kind::Item => (PROPERTY, Text::Item(number)),
        Kind::Local => (CONTEXT, Text::Local(number)),
        Kind::Member => (INTERNAL, Text::Fixed("(a key or member)")),
        Kind::Type => (INTERNAL, Text::Fixed("__class__")),
        Kind::Unnamed | Kind::Word => (INTERNAL, Text::Fixed("(in C)")),
    };
    (kind, texts.place(text))
}

/// A string as JSON has it.
fn json_string(text: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            out.write_all(text.get(start..at).unwrap_or_default().as_bytes())?;
            write!(out, "\\u{byte:04x}")?;
            start = at + 1;
        }
    }
    out.write_all(text.get(start..).unwrap_or_default().as_bytes())?;
    out.write_all(b"\"")
}
