//! The first pass over a snapshot: its objects, roots and blocks, and how many edges each has.

use deadweight_capture::read::{HeapFiles, SegmentHeader};
use deadweight_capture::{Allocator, Cause, Event, StackId};

use crate::Error;
use crate::graph::names::Names;
use crate::graph::{IMMORTAL, Root, TRACKED};
use crate::read::events::{BlockRecord, ObjectRecord, Source, Sources, each_event};
use crate::read::leaves::Leaf;
use crate::read::weight::{LARGEST_SIZE, Recording};

/// Memory that the analysis needs, in bytes: of a leaf beside its record, of a node, of an edge, and the rest. Measured
/// with bench/heap.py and with programs full of lists, instances, cycles or numbers.
const LEAF_FOLDING: u64 = 24;
const NODE: u64 = 72;
const EDGE: u64 = 20;
const FIXED: u64 = 8 << 20;

/// The record at the end of a snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub failed: u64,
    pub pause_nanos: u64,
}

/// Everything but the edges.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub objects: Vec<ObjectRecord>,
    /// Objects that may be leaves, if leaves are separated.
    pub leaves: Vec<Leaf>,
    pub roots: Vec<(Root, u32)>,
    pub blocks: Vec<BlockRecord>,
    /// Words in blocks: the block's address, the word.
    pub block_words: Vec<(u64, u64)>,
    pub names: Names,
    pub recording: Recording,
    pub nanos: u64,
    pub cause: Cause,
    pub label: String,
    pub end: Option<End>,
    pub warnings: Vec<String>,
    sources: Sources,
    apart: bool,
    /// Bytes that the analysis may use.
    most: u64,
    /// The objects alone need more than that.
    is_over: bool,
}

impl Census {
    /// Reads the snapshot once. With `apart`, objects that may be leaves are kept apart from the others.
    ///
    /// # Errors
    /// See [`each_event`]; and if the analysis would need more than `most` bytes of memory.
    pub fn take(files: &HeapFiles, apart: bool, most: u64) -> Result<Census, Error> {
        let mut census = Census {
            nanos: u64::MAX,
            apart,
            most,
            ..Census::default()
        };
        let mut warnings = Vec::new();
        each_event(files, &mut warnings, |header, event| census.event(header, event))?;
        census.end_object();
        census.warnings = warnings;
        if census.nanos == u64::MAX {
            census.nanos = 0;
        }
        match census.needs() {
            needed if needed > most => Err(Error::NoRoom { needed, most }),
            _ => Ok(census),
        }
    }

    /// Bytes that the objects occupy now.
    #[inline]
    fn held(&self) -> u64 {
        let objects = self.objects.len() * size_of::<ObjectRecord>() + self.leaves.len() * size_of::<Leaf>();
        (objects + self.block_words.len() * size_of::<(u64, u64)>()) as u64
    }

    /// Bytes that the analysis will need at its peak, computed from its arrays: either now, while leaves are folded, or
    /// later, for the dominators of the nodes that remain.
    fn needs(&self) -> u64 {
        let nodes = (self.objects.len() + self.roots.len() + self.blocks.len()) as u64;
        let edges: u64 = self.objects.iter().map(|object| u64::from(object.edges)).sum();
        let folding = self.held() + self.leaves.len() as u64 * LEAF_FOLDING;
        folding.max(nodes * NODE + edges * EDGE) + FIXED
    }

    #[inline]
    fn event(&mut self, header: &SegmentHeader, event: &Event<'_>) {
        self.sources.event(event);
        match *event {
            Event::HeapEdge { .. } => self.count(self.sources.edges),
            Event::HeapWord { to, .. } => match (self.sources.words, self.blocks.last()) {
                (Source::Block, Some(block)) => self.block_words.push((block.addr, to.0)),
                (source, _) => self.count(source),
            },
            Event::HeapObject(object) => {
                self.end_object();
                self.is_over |= self.held() > self.most;
                if self.is_over {
                    // The limit is exceeded: nothing more is kept.
                    return;
                }
                let tracked = if object.tracked { TRACKED } else { 0 };
                let immortal = if object.references == 0 { IMMORTAL } else { 0 };
                self.objects.push(ObjectRecord {
                    addr: object.addr.0,
                    size: object.size.min(LARGEST_SIZE),
                    type_number: self.names.type_number(object.type_id),
                    references: u32::try_from(object.references).unwrap_or(u32::MAX),
                    edges: 0,
                    prefix: u16::try_from(object.prefix).unwrap_or(0),
                    flags: tracked | immortal,
                });
            }
            Event::Alloc {
                addr,
                size,
                stack,
                allocator,
            } => self.blocks.push(BlockRecord {
                addr: addr.0,
                size: size.min(LARGEST_SIZE),
                stack,
                allocator,
                recorded: true,
            }),
            Event::HeapChunk { addr, size } => self.blocks.push(BlockRecord {
                addr: addr.0,
                size: size.min(LARGEST_SIZE),
                stack: StackId::NONE,
                allocator: Allocator::Malloc,
                recorded: false,
            }),
            // Each chunk begins with a clock.
            Event::Clock { .. } => {
                self.nanos = self.nanos.min(header.start_nanos);
                self.recording = Recording {
                    exact: header.exact,
                    interval_bytes: header.interval_bytes,
                    always_bytes: header.always_bytes,
                };
            }
            _ => self.rare_event(event),
        }
    }

    /// All edges of the last object have been read.
    #[inline]
    fn end_object(&mut self) {
        let names = &self.names;
        let last = self.objects.last();
        let last = last.filter(|object| self.apart && !names.may_hide_references(object.type_number));
        if let Some(leaf) = last.and_then(Leaf::of) {
            self.objects.pop();
            self.leaves.push(leaf);
        }
    }

    /// Counts one edge.
    #[inline]
    fn count(&mut self, source: Source) {
        let edges = match source {
            Source::Object => self.objects.last_mut().map(|object| &mut object.edges),
            Source::Root => self.roots.last_mut().map(|(_, edges)| edges),
            Source::Block | Source::Nothing => None,
        };
        if let Some(edges) = edges {
            *edges = edges.saturating_add(1);
        }
    }

    fn rare_event(&mut self, event: &Event<'_>) {
        match *event {
            Event::String { id, bytes } => self.names.define_string(id, bytes),
            Event::HeapType { id, name } => self.names.define_type(id, name),
            Event::HeapRoot { kind, name } => {
                self.roots.push((Root { kind, name }, 0));
            }
            Event::HeapCause { cause, label } => {
                self.cause = cause;
                self.label = String::from_utf8_lossy(label).into_owned();
            }
            Event::HeapEnd {
                failed, pause_nanos, ..
            } => self.end = Some(End { failed, pause_nanos }),
            _ => {}
        }
    }
}
