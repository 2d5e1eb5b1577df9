//! The second pass over a snapshot: fills in the edges.

use deadweight_capture::{EdgeLabel, Event};

use crate::graph::label::Label;
use crate::graph::{Counts, Graph, Mark, TRACKED};
use crate::read::buffers;
use crate::read::events::{Source, Sources};
use crate::read::resolve::{Place, Resolver};
use crate::read::weight::Recording;

/// Bytes of the smallest object: so much of a stated size is never a buffer.
const SMALLEST_OBJECT: u64 = 16;

/// The second pass.
pub(super) struct Filling {
    graph: Graph,
    counts: Counts,
    resolver: Resolver,
    sources: Sources,
    /// The node whose edges are being read, if it has room for them.
    node: Option<u32>,
    /// Bytes of that node's stated size that may still be buffers.
    room: u64,
    /// Where its next edge goes.
    next: u32,
    /// Number of edges read so far of each node; `u32::MAX` before its turn.
    lengths: Vec<u32>,
    next_root: u32,
    /// Buffers that are counted in an object's stated size.
    claims: Vec<(usize, u32)>,
}

impl Filling {
    pub fn new(graph: Graph, counts: Counts, resolver: Resolver) -> Filling {
        Filling {
            lengths: vec![u32::MAX; graph.len()],
            next_root: graph.objects as u32,
            graph,
            counts,
            resolver,
            sources: Sources::default(),
            node: None,
            room: 0,
            next: 0,
            claims: Vec::new(),
        }
    }

    /// Turns to the next node. One that has had its turn gets no more edges.
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
    pub fn event(&mut self, event: &Event<'_>) {
        self.sources.event(event);
        match *event {
            // Not a reference: the function refers to a tuple, which refers to the cell.
            Event::HeapEdge {
                to,
                label: EdgeLabel::Closure(name),
                ..
            } => {
                if let Some(cell) = self.resolver.index.find(to.0) {
                    self.graph.names.name_cell(cell, name);
                }
            }
            Event::HeapEdge { to, label, counted } => {
                if let Some(label) = Label::of(label, counted)
                    && let Some(target) = self.resolver.index.find(to.0)
                {
                    self.edge(target, label);
                }
            }
            Event::HeapWord { to, offset } if matches!(self.sources.words, Source::Object | Source::Root) => {
                self.word(to.0, offset);
            }
            Event::HeapObject(object) => {
                let node = self.resolver.index.find(object.addr.0);
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
            return; // the file has grown since the census
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
        match self.resolver.place(addr, node) {
            Some(Place::Node(target)) => self.edge(target, Label::word(offset)),
            Some(Place::Buffer(at)) => {
                let Some(block) = self.resolver.blocks.list.get_mut(at) else {
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

    /// Closes the gaps between the nodes' edges and adds the edges of blocks.
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
                    continue; // a stale address, or a borrowed reference
                }
                graph.targets[end as usize] = to;
                graph.labels[end as usize] = Label::word(0);
                end += 1;
                // Objects come before blocks, so their edges are in place.
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

    pub fn finish(mut self, block_edges: &[(u32, u32)], recording: Recording) -> (Graph, Counts, Resolver) {
        self.close(block_edges);
        let Filling {
            mut graph,
            counts,
            mut resolver,
            mut claims,
            ..
        } = self;
        let reached = |node: u32| counts.known.get(node as usize).is_some_and(|&known| known > 0);
        claims.extend(buffers::by_size(&mut resolver.blocks, &graph, reached));
        for (at, owner) in claims {
            if let Some(block) = resolver.blocks.list.get(at) {
                graph.sizes[block.node as usize] = 0;
                graph.marks.push(Mark {
                    node: owner,
                    stack: block.stack,
                    bytes: recording.weigh(block.size),
                    folded: false,
                });
            }
        }
        let recorded = resolver.blocks.list.iter().filter(|block| block.recorded);
        let unclaimed = recorded.filter(|block| block.claimed_by.is_none());
        graph.marks.extend(unclaimed.map(|block| Mark {
            node: block.node,
            stack: block.stack,
            bytes: recording.weigh(block.size),
            folded: block.folded,
        }));
        graph.marks.sort_unstable();
        (graph, counts, resolver)
    }
}

/// Whether the references of objects already explain an object's reference count: then a word in a block is not one.
fn is_explained(counts: &Counts, object: u32) -> bool {
    let (references, known) = (
        counts.references.get(object as usize),
        counts.known.get(object as usize),
    );
    references
        .zip(known)
        .is_some_and(|(references, known)| known >= references)
}

/// Whether the block is among an object's targets, whose last 256 are looked at: words come last.
fn has_block(targets: &[u32], block: u32) -> bool {
    const MOST_WORDS: usize = 256;
    targets.iter().rev().take(MOST_WORDS).any(|&to| to == block)
}
