//! Builds the graph from the events of a snapshot: a census first, then a second pass that fills in the edges.
//!
//! How native memory becomes part of it:
//! - A block in which an object begins is that object's own memory. It tells where the object was allocated and adds no
//!   bytes, since the object states its size itself.
//! - A block of Python's object or mem domain to which a word in an object points is a buffer of that object. If the
//!   object's stated size has room for it (the array of a list), it is counted there; otherwise it is a node of its own
//!   (the buffer of an `array.array`, whose stated size does not include it). A buffer to which no word points is
//!   matched to an object by size (`buffers`).
//! - Every other block is a node, and a word that points anywhere into it is a reference. Words in blocks are followed too.
//! - In a sampled run an object and a native block may hold the same address, at which no block is known: the owner of a C
//!   structure and the structure's parts do. Then the block belongs to the object, and a *relay* stands for the address.
//! - A block that was not recorded, but through which the snapshot's writer found others, is a node of 0 bytes.

use deadweight_capture::read::HeapFiles;
use deadweight_capture::{Allocator, Cause};
use rustc_hash::FxHashMap;

use crate::Error;
use crate::graph::label::Label;
use crate::graph::{Counts, Graph, NATIVE, NO_TYPE, OBJECT_DOMAIN, PYTHON_BLOCK, ROOT};
use crate::read::address::AddressIndex;
use crate::read::blocks::Blocks;
use crate::read::census::{Census, End};
use crate::read::events::{ObjectRecord, each_event};
use crate::read::fill::Filling;
use crate::read::leaves::{Folded, Leaves};
use crate::read::resolve::{Places, Resolver};

/// A snapshot's graph and what else is known of the snapshot.
#[derive(Debug)]
pub(crate) struct Built {
    pub graph: Graph,
    pub counts: Counts,
    pub nanos: u64,
    pub cause: Cause,
    pub label: String,
    pub end: Option<End>,
    pub warnings: Vec<String>,
    pub places: Option<Places>,
}

/// Whether addresses are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    Places,
    Nothing,
}

/// Reads a snapshot.
///
/// # Errors
/// If nothing of it can be read, or it has too many objects, or the analysis would need more than `most` bytes of memory.
pub(crate) fn build(files: &HeapFiles, keep: Keep, most: u64) -> Result<Built, Error> {
    let mut census = Census::take(files, keep == Keep::Nothing, most)?;
    if census.objects.is_empty() && census.leaves.is_empty() {
        return Err(Error::Empty);
    }
    let mut objects = std::mem::take(&mut census.objects);
    sort(&mut objects);
    number(objects.len() + census.leaves.len(), "objects")?;
    let leaves = Leaves::new(std::mem::take(&mut census.leaves), &objects);
    let mut folded = leaves.fold(files, &census.block_words, &mut objects)?;
    sort(&mut objects);
    let first_block = number(objects.len() + census.roots.len(), "objects")?;
    number(
        objects.len() + census.roots.len() + census.blocks.len() + census.block_words.len(),
        "objects",
    )?;
    let places = std::mem::take(&mut folded.places);
    let blocks = Blocks::new(std::mem::take(&mut census.blocks), &objects, &places, first_block);
    drop(places);
    let index = AddressIndex::new(objects.iter().map(|object| object.addr).collect());
    let mut resolver = Resolver {
        index,
        blocks,
        relays: FxHashMap::default(),
    };
    let block_edges = resolver.block_edges(&census.block_words, first_block);
    let (graph, counts) = nodes(&mut census, &objects, &resolver, &block_edges)?;
    drop(objects);
    let mut filling = Filling::new(graph, counts, resolver);
    let mut repeated = Vec::new();
    each_event(files, &mut repeated, |_, event| filling.event(event))?;
    let (mut graph, counts, resolver) = filling.finish(&block_edges, census.recording);
    unfold(&mut graph, folded);
    let places = (keep == Keep::Places).then(|| resolver.places());
    Ok(Built {
        graph,
        counts,
        nanos: census.nanos,
        cause: census.cause,
        label: census.label,
        end: census.end,
        warnings: census.warnings,
        places,
    })
}

fn number(count: usize, what: &'static str) -> Result<u32, Error> {
    // The upper half of the numbers is left for virtual nodes.
    u32::try_from(count)
        .ok()
        .filter(|&count| count < u32::MAX / 2)
        .ok_or(Error::TooLarge { what })
}

/// Adds the objects without a node of their own to the nodes that count them.
fn unfold(graph: &mut Graph, folded: Folded) {
    for (node, count, bytes) in folded.many {
        graph.sizes[node as usize] = bytes;
        graph.many.insert(node, count);
    }
    for part in &folded.inside {
        let size = &mut graph.sizes[part.node as usize];
        *size = size.saturating_add(part.bytes);
    }
    graph.inside = folded.inside;
}

/// Sorts by address. Of an object that was written twice, one record stays, with room for the edges of both.
fn sort(objects: &mut Vec<ObjectRecord>) {
    if !objects.is_sorted_by_key(|object| object.addr) {
        objects.sort_unstable_by_key(|object| object.addr);
    }
    objects.dedup_by(|later, first| {
        let same = later.addr == first.addr;
        if same {
            first.edges = first.edges.saturating_add(later.edges);
        }
        same
    });
}

/// The nodes, with room for all edges that may follow.
fn nodes(
    census: &mut Census,
    objects: &[ObjectRecord],
    resolver: &Resolver,
    block_edges: &[(u32, u32)],
) -> Result<(Graph, Counts), Error> {
    let roots = &census.roots;
    let outside = roots.len() + resolver.blocks.nodes().count() + resolver.relays.len();
    let len = objects.len() + outside;
    let room: u64 = objects.iter().map(|object| u64::from(object.edges)).sum::<u64>()
        + roots.iter().map(|(_, edges)| u64::from(*edges)).sum::<u64>()
        + block_edges.len() as u64;
    let room = number(usize::try_from(room).unwrap_or(usize::MAX), "references")? as usize;
    let mut graph = Graph {
        objects: objects.len(),
        roots: roots.iter().map(|(root, _)| *root).collect(),
        types: Vec::with_capacity(len),
        sizes: Vec::with_capacity(len),
        flags: Vec::with_capacity(len),
        starts: Vec::with_capacity(len + 1),
        targets: vec![0; room],
        labels: vec![Label::default(); room],
        ..Graph::default()
    };
    let mut start = 0;
    let mut add = |type_number, size, flags, edges| {
        graph.types.push(type_number);
        graph.sizes.push(size);
        graph.flags.push(flags);
        graph.starts.push(start);
        start += edges;
    };
    for object in objects {
        add(object.type_number, object.size, object.flags, object.edges);
    }
    for (_, edges) in roots {
        add(NO_TYPE, 0, ROOT, *edges);
    }
    for block in resolver.blocks.nodes() {
        let domain = match block.allocator {
            Allocator::PyObject => PYTHON_BLOCK | OBJECT_DOMAIN,
            Allocator::PyMem => PYTHON_BLOCK,
            Allocator::Malloc | Allocator::Aligned => 0,
        };
        let bytes = if block.recorded {
            census.recording.weigh(block.size)
        } else {
            0
        };
        add(NO_TYPE, bytes, NATIVE | domain, 0);
    }
    for _ in 0..resolver.relays.len() {
        add(NO_TYPE, 0, NATIVE, 0);
    }
    graph.starts.push(start);
    let counts = Counts {
        references: objects.iter().map(|object| object.references).collect(),
        counted: vec![0; objects.len()],
        known: vec![0; len],
    };
    graph.names = std::mem::take(&mut census.names);
    Ok((graph, counts))
}
