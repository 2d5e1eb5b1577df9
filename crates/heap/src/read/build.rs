//! From the events of a snapshot to its graph: a census, then a second pass that fills in the edges.
//!
//! How native memory gets into it:
//! - A block in which an object begins is that object's own memory. It tells where the object was made, and weighs
//!   nothing: the object states its size itself.
//! - A block of Python's doors (object, mem) that a word of an object leads to is a buffer of the object. As long as
//!   the object's stated size has room for it, it is counted there (the array of a list); otherwise it is a node of
//!   its own (the buffer of an `array.array`, whose size nobody states).
//!   A buffer that no word leads to is looked for among the stated sizes.
//! - Every other block is a node, and a word anywhere into it is a reference. Words of blocks lead on to others.
//! - Where an object and a native block hold the same address at which no block is known, as in a sampled run the
//!   owner of a C structure and the structure's parts do, the block belongs to the object: a *relay* stands between
//!   them.
//! - A block that was not recorded, and that the snapshot's writer found on the way to others, is a node without weight.

use deadweight_capture::read::HeapFiles;
use deadweight_capture::{Allocator, Cause, EdgeLabel, Event};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::Error;
use crate::graph::label::Label;
use crate::graph::{Counts, Graph, Mark, NATIVE, NO_TYPE, OBJECT_DOOR, PYTHON_BLOCK, ROOT, TRACKED};
use crate::read::address::AddressIndex;
use crate::read::blocks::{Block, Blocks};
use crate::read::buffers;
use crate::read::census::{Census, End};
use crate::read::events::{ObjectRecord, Source, Sources, each_event};
use crate::read::leaves::{Folded, Leaves};
use crate::read::weight::Recording;

/// The smallest object: its stated size has no room for buffers below this.
const SMALLEST_OBJECT: u64 = 16;

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

/// Where nodes are in memory. Views need it; findings do not.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Of objects.
    pub objects: AddressIndex,
    /// Of known blocks, by the node whose memory they are.
    pub blocks: Vec<(u32, u64)>,
}

/// Whether places are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    Places,
    Nothing,
}

/// An owner keeps the address of a block, or, for the sake of alignment, one a little behind it: bytes.
const START_OF_BLOCK: u64 = 4096;

/// Where edges come from and go to.
struct Layout {
    index: AddressIndex,
    blocks: Blocks,
    relays: FxHashMap<u64, u32>,
}

/// What an address leads to.
enum Place {
    Node(u32),
    /// The block at this place of the list, which came through one of Python's doors.
    Buffer(usize),
}

/// Reads a snapshot.
///
/// # Errors
/// If nothing of it can be read, or it is too large, at all or for `most` bytes of memory.
pub(crate) fn build(files: &HeapFiles, keep: Keep, most: u64) -> Result<Built, Error> {
    let mut census = Census::take(files, keep == Keep::Nothing, most)?;
    if census.objects.is_empty() && census.leaves.is_empty() {
        return Err(Error::Empty);
    }
    let mut objects = std::mem::take(&mut census.objects);
    sort(&mut objects);
    number(objects.len() + census.leaves.len(), "objects")?;
    let leaves = Leaves::new(std::mem::take(&mut census.leaves));
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
    let mut layout = Layout {
        index,
        blocks,
        relays: FxHashMap::default(),
    };
    let block_edges = layout.block_edges(&census.block_words, first_block);
    let (graph, counts) = nodes(&mut census, &objects, &layout, &block_edges)?;
    drop(objects);
    let mut filling = Filling::new(graph, counts, layout);
    let mut repeated = Vec::new();
    each_event(files, &mut repeated, |_, event| filling.event(event))?;
    let (mut graph, counts, layout) = filling.finish(&block_edges, census.recording);
    unfold(&mut graph, folded);
    let places = (keep == Keep::Places).then(|| layout.places());
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
    // Some numbers at the end are kept free for virtual nodes.
    u32::try_from(count)
        .ok()
        .filter(|&count| count < u32::MAX / 2)
        .ok_or(Error::TooLarge { what })
}

/// Adds what has no node of its own to the nodes that it is counted in.
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

/// Sorts by address. Of an object that was written twice, one place has room for the edges of both.
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

/// The nodes with room for all edges that may come.
fn nodes(
    census: &mut Census,
    objects: &[ObjectRecord],
    layout: &Layout,
    block_edges: &[(u32, u32)],
) -> Result<(Graph, Counts), Error> {
    let roots = &census.roots;
    let outside = roots.len() + layout.blocks.nodes().count() + layout.relays.len();
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
    for block in layout.blocks.nodes() {
        let door = match block.allocator {
            Allocator::PyObject => PYTHON_BLOCK | OBJECT_DOOR,
            Allocator::PyMem => PYTHON_BLOCK,
            Allocator::Malloc | Allocator::Aligned => 0,
        };
        let bytes = if block.recorded {
            census.recording.weigh(block.size)
        } else {
            0
        };
        add(NO_TYPE, bytes, NATIVE | door, 0);
    }
    for _ in 0..layout.relays.len() {
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

/// Whether a word that looks like an address deep inside a block is rather a small number of 32 bits, such as the flags of a
/// regular expression, beside four bytes of padding in which the upper half of some address was left. Of true addresses one in
/// 65,536 looks like that.
fn is_half_a_number(word: u64, block: &Block) -> bool {
    word as u32 <= u32::from(u16::MAX) && word.wrapping_sub(block.addr) >= START_OF_BLOCK
}

impl Layout {
    /// What an address leads to for the object `from`.
    #[inline]
    fn place(&self, addr: u64, from: u32) -> Option<Place> {
        if let Some(node) = self.index.find(addr) {
            return (node != from).then_some(Place::Node(node));
        }
        match self.blocks.find(addr) {
            Some(at) => {
                let block = self.blocks.list.get(at)?;
                if is_half_a_number(addr, block) {
                    return None;
                }
                // A pointer into another object is no reference to it.
                match block.own {
                    true => None,
                    false if block.allocator.is_python() => Some(Place::Buffer(at)),
                    // Of a block that was not recorded, what has the same address belongs to the object, too.
                    false => match self.relays.get(&addr).filter(|_| !block.recorded) {
                        Some(&relay) => Some(Place::Node(relay)),
                        None => (block.node != from).then_some(Place::Node(block.node)),
                    },
                }
            }
            None => self.relays.get(&addr).map(|&node| Place::Node(node)),
        }
    }

    /// Takes away what leads from blocks that were not recorded to objects, also by way of other blocks: memory that was not cleared
    /// has stale addresses, and what nobody uses would look alive for one of them.
    fn part_from_objects(&self, edges: &mut Vec<(u32, u32)>, first_block: u32) {
        let chunks: FxHashSet<u32> = self
            .blocks
            .list
            .iter()
            .filter(|block| !block.recorded)
            .map(|block| block.node)
            .collect();
        if chunks.is_empty() {
            return;
        }
        edges.retain(|(from, to)| *to >= first_block || !chunks.contains(from));
        let mut sources: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for &(from, to) in edges.iter().filter(|(_, to)| *to >= first_block) {
            sources.entry(to).or_default().push(from);
        }
        let to_objects = edges.iter().filter(|(_, to)| *to < first_block).map(|(from, _)| *from);
        let mut lead: FxHashSet<u32> = to_objects.collect();
        let mut open: Vec<u32> = lead.iter().copied().collect();
        while let Some(node) = open.pop() {
            for &source in sources.get(&node).into_iter().flatten() {
                // Of a block that was not recorded this edge goes, so it leads no further back.
                if !chunks.contains(&source) && lead.insert(source) {
                    open.push(source);
                }
            }
        }
        edges.retain(|(from, to)| !chunks.contains(from) || !lead.contains(to));
    }

    /// The node of the block that an address is in, if it was not recorded.
    fn chunk_at(&self, addr: u64) -> Option<u32> {
        let block = self.blocks.list.get(self.blocks.find(addr)?)?;
        (!block.recorded).then_some(block.node)
    }

    fn places(self) -> Places {
        let node = |block: &Block| (block.claimed_by.unwrap_or(block.node), block.addr);
        let mut blocks: Vec<(u32, u64)> = self.blocks.list.iter().map(node).collect();
        blocks.sort_unstable();
        Places {
            objects: self.index,
            blocks,
        }
    }

    /// The edges of blocks, and the relays. Sorted by the node where they begin.
    fn block_edges(&mut self, words: &[(u64, u64)], first_block: u32) -> Vec<(u32, u32)> {
        let (mut edges, mut unknown) = (Vec::new(), Vec::new());
        for &(addr, word) in words {
            let Some(block) = self.blocks.find(addr).and_then(|at| self.blocks.list.get(at)) else {
                continue;
            };
            let from = block.node;
            if block.own {
                continue;
            }
            let is_recorded = block.recorded;
            match self.place(word, from) {
                Some(Place::Node(node)) => {
                    edges.push((from, node));
                    if is_recorded && self.chunk_at(word).is_some() {
                        unknown.push((word, from));
                    }
                }
                Some(Place::Buffer(at)) => edges.extend(self.blocks.list.get(at).map(|block| (from, block.node))),
                None if !is_recorded => {}
                None if self.index.find(word).is_none() && self.blocks.find(word).is_none() && word != 0 => {
                    unknown.push((word, from));
                }
                None => {}
            }
        }
        let mut next = first_block + self.blocks.nodes().count() as u32;
        unknown.sort_unstable();
        unknown.dedup();
        for (word, block) in unknown {
            let relay = *self.relays.entry(word).or_insert_with(|| {
                next += 1;
                next - 1
            });
            edges.push((relay, block));
            edges.extend(self.chunk_at(word).map(|chunk| (relay, chunk)));
        }
        edges.retain(|(from, to)| from != to);
        self.part_from_objects(&mut edges, first_block);
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// The second pass.
struct Filling {
    graph: Graph,
    counts: Counts,
    layout: Layout,
    sources: Sources,
    /// The node whose edges come now, if it has room for them.
    node: Option<u32>,
    /// What is left of the stated size of that node for buffers.
    room: u64,
    /// Where its next edge goes.
    next: u32,
    /// How many edges each node has got.
    lengths: Vec<u32>,
    next_root: u32,
    /// Buffers that are counted in an object's stated size.
    claims: Vec<(usize, u32)>,
}

impl Filling {
    fn new(graph: Graph, counts: Counts, layout: Layout) -> Filling {
        Filling {
            lengths: vec![u32::MAX; graph.len()],
            next_root: graph.objects as u32,
            graph,
            counts,
            layout,
            sources: Sources::default(),
            node: None,
            room: 0,
            next: 0,
            claims: Vec::new(),
        }
    }

    /// Goes on with another node, unless it had its turn.
    fn turn(&mut self, node: Option<u32>) {
        let length = node.and_then(|node| self.lengths.get_mut(node as usize));
        self.node = match length {
            Some(length) if *length == u32::MAX => {
                *length = 0;
                node
            }
            _ => None,
        };
        if let Some(node) = self.node {
            self.next = self.graph.starts[node as usize];
            self.room = self.graph.sizes[node as usize].saturating_sub(SMALLEST_OBJECT);
        }
    }

    #[inline]
    fn event(&mut self, event: &Event<'_>) {
        self.sources.event(event);
        match *event {
            // No reference of its own: the function has a tuple that has the cell.
            Event::HeapEdge {
                to,
                label: EdgeLabel::Closure(name),
                ..
            } => {
                if let Some(cell) = self.layout.index.find(to.0) {
                    self.graph.names.name_cell(cell, name);
                }
            }
            Event::HeapEdge { to, label, counted } => {
                if let Some(label) = Label::of(label, counted)
                    && let Some(target) = self.layout.index.find(to.0)
                {
                    self.edge(target, label);
                }
            }
            Event::HeapWord { to, offset } if matches!(self.sources.words, Source::Object | Source::Root) => {
                self.word(to.0, offset);
            }
            Event::HeapObject(object) => {
                let node = self.layout.index.find(object.addr.0);
                self.turn(node);
            }
            Event::HeapRoot { .. } => {
                let known = self.graph.root_nodes().contains(&self.next_root);
                self.turn(known.then_some(self.next_root));
                self.next_root = self.next_root.saturating_add(1);
            }
            _ => {}
        }
    }

    #[inline]
    fn edge(&mut self, target: u32, label: Label) {
        let Some(node) = self.node else { return };
        if self.next >= self.graph.starts[node as usize + 1] {
            return; // The file has grown since the census.
        }
        self.graph.targets[self.next as usize] = target;
        self.graph.labels[self.next as usize] = label;
        self.next += 1;
        self.lengths[node as usize] += 1;
        if let Some(known) = self.counts.known.get_mut(target as usize) {
            *known = known.saturating_add(1);
            if label.counted()
                && self.graph.has(node, TRACKED)
                && let Some(counted) = self.counts.counted.get_mut(target as usize)
            {
                *counted = counted.saturating_add(1);
            }
        }
    }

    fn word(&mut self, addr: u64, offset: u32) {
        let Some(node) = self.node else { return };
        match self.layout.place(addr, node) {
            Some(Place::Node(target)) => self.edge(target, Label::word(offset)),
            Some(Place::Buffer(at)) => {
                let Some(block) = self.layout.blocks.list.get_mut(at) else {
                    return;
                };
                if block.claimed_by == Some(node) {
                    return;
                }
                if block.claimed_by.is_none() && block.size <= self.room {
                    self.room -= block.size;
                    block.claimed_by = Some(node);
                    self.claims.push((at, node));
                    return;
                }
                let target = block.node;
                self.edge(target, Label::word(offset));
            }
            None => {}
        }
    }

    /// Closes the gaps between the rows and adds the edges of blocks.
    fn close(&mut self, block_edges: &[(u32, u32)]) {
        let graph = &mut self.graph;
        let mut end = 0u32;
        let mut more = block_edges.iter().peekable();
        for node in 0..graph.len() {
            let start = graph.starts[node] as usize;
            let length = match self.lengths[node] {
                u32::MAX => 0,
                length => length as usize,
            };
            graph.starts[node] = end;
            graph.targets.copy_within(start..start + length, end as usize);
            graph.labels.copy_within(start..start + length, end as usize);
            end += length as u32;
            while let Some(&(from, to)) = more.next_if(|(from, _)| *from as usize == node) {
                if is_explained(&self.counts, to) {
                    continue; // a stale address, or one that is borrowed
                }
                graph.targets[end as usize] = to;
                graph.labels[end as usize] = Label::word(0);
                end += 1;
                // Objects come before blocks: their rows are closed.
                let is_owner = (to as usize) < graph.objects && has_block(graph.targets(to), from);
                if !is_owner {
                    let known = &mut self.counts.known[to as usize];
                    *known = known.saturating_add(1);
                }
            }
        }
        let len = graph.len();
        graph.starts[len] = end;
        graph.targets.truncate(end as usize);
        graph.targets.shrink_to_fit();
        graph.labels.truncate(end as usize);
        graph.labels.shrink_to_fit();
        let natives = self.counts.known.get(graph.objects..).unwrap_or_default();
        self.counts.references.extend(natives);
    }

    fn finish(mut self, block_edges: &[(u32, u32)], recording: Recording) -> (Graph, Counts, Layout) {
        self.close(block_edges);
        let Filling {
            mut graph,
            counts,
            mut layout,
            mut claims,
            ..
        } = self;
        let reached = |node: u32| counts.known.get(node as usize).is_some_and(|&known| known > 0);
        claims.extend(buffers::by_size(&mut layout.blocks, &graph, reached));
        for (at, owner) in claims {
            if let Some(block) = layout.blocks.list.get(at) {
                graph.sizes[block.node as usize] = 0;
                graph.marks.push(Mark {
                    node: owner,
                    stack: block.stack,
                    bytes: recording.weigh(block.size),
                    folded: false,
                });
            }
        }
        let recorded = layout.blocks.list.iter().filter(|block| block.recorded);
        let unclaimed = recorded.filter(|block| block.claimed_by.is_none());
        graph.marks.extend(unclaimed.map(|block| Mark {
            node: block.node,
            stack: block.stack,
            bytes: recording.weigh(block.size),
            folded: block.folded,
        }));
        graph.marks.sort_unstable();
        (graph, counts, layout)
    }
}

/// Whether objects have all references to an object that it counts: then a block's is none.
fn is_explained(counts: &Counts, object: u32) -> bool {
    let (references, known) = (
        counts.references.get(object as usize),
        counts.known.get(object as usize),
    );
    references
        .zip(known)
        .is_some_and(|(references, known)| known >= references)
}

/// Whether the block is among an object's targets. Its words come last, and it has few of them.
fn has_block(targets: &[u32], block: u32) -> bool {
    const MOST_WORDS: usize = 256;
    targets.iter().rev().take(MOST_WORDS).any(|&to| to == block)
}
