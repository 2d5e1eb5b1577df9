//! One process: its live blocks and mappings, and what its events say about it.

use deadweight_capture::read::ProcessId;
use deadweight_capture::{Addr, Allocator, Event, MapKind, StackId};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rustc_hash::FxBuildHasher;

use super::history::Recorder;
use super::regions::{Born, FunctionName, Regions};
use super::tree::{Cell, Domain, Parts, Tree};
use crate::replay::ranges::{Cut, Piece, Ranges};
use crate::replay::weight::{self, Recording, Weight};
use crate::stacks::StackTree;

/// A live block, in 16 bytes, as there may be many millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub size: u64,
    pub stack: StackId,
    pub allocator: Allocator,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    id: ProcessId,
    pub recording: Recording,
    blocks: HashMap<u64, Block, FxBuildHasher>,
    pub ranges: Ranges,
    /// From a fold, of a process that has ended: native bytes of blocks that the fold does not list.
    left_native: HashMap<StackId, u64, FxBuildHasher>,
    cells: Vec<Cell>,
    /// Never used in practice: `make_cell` has made each cell that is asked for.
    nowhere: Cell,
    live: Weight,
    parts: Parts,
    pub own_peak: Weight,
    pub own_peak_nanos: u64,
    pub first_nanos: Option<u64>,
    nanos: u64,
    pub history: Recorder,
    pub unseen_frees: u64,
    /// No longer part of the tree.
    gone: bool,
    pub stacks: StackTree,
    pub metadata: ProcessMetadata,
    pub regions: Regions,
}

/// What the events of a process say about the process itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessMetadata {
    pub described: bool,
    pub parent: u32,
    pub argv: Vec<u8>,
    pub python: u32,
    pub forked: bool,
    pub max_rss_bytes: Option<u64>,
    /// When Python began to shut down, nanoseconds of `CLOCK_MONOTONIC`.
    pub python_ends_nanos: Option<u64>,
    /// Whether Python had shut down before the process ended.
    pub python_ended: bool,
    pub lost_events: u64,
    pub notes: Vec<String>,
    /// From a fold: what could not be read before it was written.
    pub warnings: Vec<String>,
}

#[inline(always)]
fn domain(allocator: Allocator) -> Domain {
    if allocator.is_python() {
        Domain::Python
    } else {
        Domain::Native
    }
}

impl Process {
    pub fn new(id: ProcessId, recording: Recording, functions: &[FunctionName]) -> Process {
        Process {
            id,
            recording,
            blocks: HashMap::default(),
            ranges: Ranges::default(),
            left_native: HashMap::default(),
            cells: vec![Cell::default()],
            nowhere: Cell::default(),
            live: Weight::default(),
            parts: Parts::default(),
            own_peak: Weight::default(),
            own_peak_nanos: 0,
            first_nanos: None,
            nanos: 0,
            history: Recorder::default(),
            unseen_frees: 0,
            gone: false,
            stacks: StackTree::default(),
            metadata: ProcessMetadata::default(),
            regions: Regions::new(functions),
        }
    }

    #[inline(always)]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The time of its events now.
    #[inline(always)]
    pub fn nanos(&self) -> u64 {
        self.nanos
    }

    pub fn live(&self) -> Weight {
        self.live
    }

    /// Live bytes of each [`Domain`]; of a process that has ended, at its end.
    pub fn live_parts(&self) -> [u64; 3] {
        self.parts.bytes()
    }

    pub fn is_gone(&self) -> bool {
        self.gone
    }

    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub fn blocks(&self) -> impl Iterator<Item = (Addr, Block)> {
        self.blocks.iter().map(|(&addr, &block)| (Addr(addr), block))
    }

    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    #[inline]
    pub fn clock(&mut self, nanos: u64) {
        self.first_nanos.get_or_insert(nanos);
        self.nanos = self.nanos.max(nanos);
        if self.history.is_due(self.nanos) {
            self.history.sample(self.nanos, self.live.bytes, &self.cells);
        }
    }

    #[inline(always)]
    pub fn event(&mut self, tree: &mut Tree, event: &Event<'_>) {
        match *event {
            // What exit handlers and remaining threads still allocate no longer counts.
            Event::Alloc { .. } | Event::Free { .. } if self.gone => {}
            Event::Alloc {
                addr,
                size,
                stack,
                allocator,
            } => {
                let block = Block { size, stack, allocator };
                self.alloc(tree, addr, block);
            }
            Event::Free { addr } => {
                if let Some(block) = self.blocks.remove(&addr.0) {
                    self.drop_block(tree, addr, block);
                }
            }
            _ => self.rare_event(tree, event),
        }
    }

    #[inline(always)]
    fn alloc(&mut self, tree: &mut Tree, addr: Addr, block: Block) {
        match self.blocks.entry(addr.0) {
            Entry::Vacant(entry) => {
                entry.insert(block);
            }
            Entry::Occupied(mut entry) => {
                let before = entry.insert(block);
                self.unseen_frees = self.unseen_frees.saturating_add(1);
                self.drop_block(tree, addr, before);
            }
        }
        let weight = self.recording.weigh(block.size);
        self.born(tree, block.stack, (block.size, weight), domain(block.allocator));
        if self.regions.is_used() {
            self.tell_regions((addr.0, false), block.stack, weight);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_regions(&mut self, (addr, mapping): (u64, bool), stack: StackId, weight: Weight) {
        let born = Born {
            addr,
            mapping,
            stack,
            weight,
            live: self.live,
            nanos: self.nanos,
        };
        self.regions.born(&born, &self.stacks);
    }

    #[inline(always)]
    fn drop_block(&mut self, tree: &mut Tree, addr: Addr, block: Block) {
        let weight = self.recording.weigh(block.size);
        if self.regions.is_used() {
            self.regions.dead(addr.0, weight);
        }
        self.dead(tree, block.stack, weight, domain(block.allocator));
    }

    /// Counts something that was just allocated.
    #[inline(always)]
    fn born(&mut self, tree: &mut Tree, stack: StackId, (size, weight): (u64, Weight), domain: Domain) {
        let cell = self.cell(stack);
        cell.allocated.add(weight);
        cell.largest = cell.largest.max(size);
        self.appears(tree, stack, weight, domain);
    }

    #[inline(always)]
    fn appears(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, domain: Domain) {
        let nanos = self.nanos;
        tree.grow(self.cell(stack), weight, domain, nanos);
        self.live.add(weight);
        self.parts.add(domain, weight.bytes);
        if self.live.bytes > self.own_peak.bytes {
            self.own_peak = self.live;
            self.own_peak_nanos = nanos;
        }
    }

    #[inline(always)]
    fn dead(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, domain: Domain) {
        tree.shrink(self.cell(stack), weight, domain);
        self.live.take(weight);
        self.parts.take(domain, weight.bytes);
    }

    /// The amounts of a stack. An impossibly large id counts as the empty stack.
    #[inline(always)]
    pub(super) fn cell(&mut self, stack: StackId) -> &mut Cell {
        let mut at = stack.0 as usize;
        if at >= self.cells.len() {
            at = self.make_cell(at);
        }
        match self.cells.get_mut(at) {
            Some(cell) => cell,
            None => &mut self.nowhere,
        }
    }

    #[cold]
    #[inline(never)]
    fn make_cell(&mut self, at: usize) -> usize {
        if at >= self.stacks.id_limit() {
            return 0;
        }
        self.cells.resize(at + 1, Cell::default());
        at
    }

    fn rare_event(&mut self, tree: &mut Tree, event: &Event<'_>) {
        match *event {
            Event::String { .. } | Event::Code { .. } | Event::Stack { .. } => self.stacks.define(event),
            Event::Map { .. } | Event::Unmap { .. } | Event::Remap { .. } if self.gone => {}
            Event::Map { addr, len, kind, stack } => {
                self.unmap(tree, addr.0, len);
                let piece = Piece {
                    start: addr.0,
                    end: addr.0.saturating_add(len),
                    kind,
                    stack,
                };
                self.map(tree, piece);
            }
            Event::Unmap { addr, len } => {
                self.unmap(tree, addr.0, len);
            }
            Event::Remap {
                old,
                old_len,
                new,
                new_len,
                stack,
            } => self.remap(tree, (old.0, old_len), (new.0, new_len), stack),
            Event::RegionEnter { .. } | Event::RegionLeave { .. } | Event::Region { .. } => {
                if !self.gone {
                    self.regions.event(event, self.nanos, self.live);
                }
            }
            Event::Process { python, .. } => {
                self.regions.set_python(python);
                self.metadata.event(event);
            }
            Event::End { max_rss_bytes } => {
                self.metadata.max_rss_bytes = Some(max_rss_bytes);
                self.leave(tree);
            }
            _ => self.metadata.event(event),
        }
    }

    pub fn leave(&mut self, tree: &mut Tree) {
        if !self.gone {
            self.gone = true;
            self.history.stop();
            self.regions.stop(self.nanos);
            tree.leave(&mut self.cells, self.live, self.parts);
        }
    }

    /// Adds a mapping to a free range.
    fn map(&mut self, tree: &mut Tree, piece: Piece) {
        self.ranges.insert(piece);
        if piece.kind == MapKind::Anonymous && piece.len() > 0 {
            let len = piece.len();
            self.born(tree, piece.stack, (len, weight::itself(len)), Domain::Mapped);
            if self.regions.is_used() {
                self.tell_regions((piece.start, true), piece.stack, weight::itself(len));
            }
        }
    }

    /// Each piece of a mapping counts as one block, so cutting one in two adds a block.
    fn unmap(&mut self, tree: &mut Tree, start: u64, len: u64) -> Cut {
        let cut = self.ranges.cut(start, start.saturating_add(len));
        let anonymous = |piece: &&Piece| piece.kind == MapKind::Anonymous;
        for piece in cut.before.iter().filter(anonymous) {
            self.dead(tree, piece.stack, weight::itself(piece.len()), Domain::Mapped);
        }
        for piece in cut.after.iter().filter(anonymous) {
            self.appears(tree, piece.stack, weight::itself(piece.len()), Domain::Mapped);
        }
        if self.regions.is_used() {
            self.cut_regions(&cut);
        }
        let halves = |piece: &&Piece| piece.start < start && start.saturating_add(len) < piece.end;
        for piece in cut.before.iter().filter(anonymous).filter(halves) {
            let more = &mut self.cell(piece.stack).allocated.milliblocks;
            *more = more.wrapping_add(weight::BLOCK);
        }
        cut
    }

    fn cut_regions(&mut self, cut: &Cut) {
        for (before, inside) in cut.before.iter().zip(&cut.inside) {
            if before.kind == MapKind::Anonymous {
                let rest = cut.after.iter().map(|piece| piece.start);
                let rest: Vec<u64> = rest
                    .filter(|start| (before.start..before.end).contains(start))
                    .collect();
                self.regions.cut(before.start, weight::itself(inside.len()), &rest);
            }
        }
    }

    /// What shrinks or moves keeps its stack; growth is new memory of the stack that requested it.
    fn remap(&mut self, tree: &mut Tree, old: (u64, u64), new: (u64, u64), stack: StackId) {
        let kind = self.ranges.at(old.0).map(|piece| piece.kind);
        if new.1 > old.1 {
            self.unmap(tree, old.0, old.1);
            self.unmap(tree, new.0, new.1);
            // A mapping made before the recording began is unknown, and stays so.
            if let Some(kind) = kind {
                let piece = Piece {
                    start: new.0,
                    end: new.0.saturating_add(new.1),
                    kind,
                    stack,
                };
                self.map(tree, piece);
            }
            return;
        }
        let moved = self.unmap(tree, old.0, old.1).inside;
        self.unmap(tree, new.0, new.1);
        let end = new.0.saturating_add(new.1);
        for piece in moved {
            let shifted = |addr: u64| new.0.saturating_add(addr.saturating_sub(old.0)).min(end);
            let piece = Piece {
                start: shifted(piece.start),
                end: shifted(piece.end),
                ..piece
            };
            self.ranges.insert(piece);
            if piece.kind == MapKind::Anonymous && piece.len() > 0 {
                self.appears(tree, piece.stack, weight::itself(piece.len()), Domain::Mapped);
                if self.regions.is_used() {
                    self.tell_regions((piece.start, true), piece.stack, weight::itself(piece.len()));
                }
            }
        }
    }

    /// Restores a live block from a fold.
    pub(super) fn restore_block(&mut self, tree: &mut Tree, addr: Addr, block: Block) {
        self.blocks.insert(addr.0, block);
        let weight = self.recording.weigh(block.size);
        self.restore_live(tree, block.stack, weight, domain(block.allocator));
    }

    /// Restores a live mapping from a fold.
    pub(super) fn restore_piece(&mut self, tree: &mut Tree, piece: Piece) {
        self.ranges.insert(piece);
        if piece.kind == MapKind::Anonymous {
            self.restore_live(tree, piece.stack, weight::itself(piece.len()), Domain::Mapped);
        }
    }

    fn restore_live(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, domain: Domain) {
        tree.restore_live(self.cell(stack), weight, domain);
        self.live.add(weight);
        self.parts.add(domain, weight.bytes);
    }

    /// Native bytes that are live, or were at the end of the process, by stack.
    pub fn native(&self) -> HashMap<StackId, u64, FxBuildHasher> {
        let mut sums: HashMap<StackId, u64, FxBuildHasher> = HashMap::default();
        let blocks = self.blocks.values().filter(|block| !block.allocator.is_python());
        let blocks = blocks.map(|block| (block.stack, self.recording.weigh(block.size).bytes));
        let pieces = self.ranges.iter().filter(|piece| piece.kind == MapKind::Anonymous);
        let pieces = pieces.map(|piece| (piece.stack, weight::itself(piece.len()).bytes));
        let left = self.left_native.iter().map(|(&stack, &bytes)| (stack, bytes));
        for (stack, bytes) in blocks.chain(pieces).chain(left) {
            let sum = sums.entry(stack).or_default();
            *sum = sum.saturating_add(bytes);
        }
        sums
    }

    /// Restores the sizes of a stack from a fold.
    pub(super) fn restore_sizes(&mut self, stack: StackId, largest: u64, native: u64) {
        self.cell(stack).largest = largest;
        if native > 0 {
            self.left_native.insert(stack, native);
        }
    }

    /// Restores what was live when the process ended.
    pub(super) fn restore_left(&mut self, stack: StackId, weight: Weight) {
        self.cell(stack).live.add(weight);
        self.live.add(weight);
    }

    /// Restores times and counts from a fold.
    pub(super) fn restore_folded(&mut self, first_nanos: u64, last_nanos: u64, unseen_frees: u64, gone: bool) {
        self.first_nanos = Some(first_nanos);
        self.nanos = last_nanos;
        self.unseen_frees = unseen_frees;
        self.gone = gone;
        if gone {
            self.history.stop();
        }
    }
}

impl ProcessMetadata {
    pub fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Process {
                parent,
                python,
                forked,
                argv,
            } => {
                self.described = true;
                self.parent = parent;
                self.python = python;
                self.forked = forked;
                self.argv = argv.to_vec();
            }
            Event::PythonEnds { nanos, over } => {
                self.python_ends_nanos.get_or_insert(nanos);
                self.python_ended |= over;
            }
            Event::Lost { events } => self.lost_events = self.lost_events.saturating_add(events),
            Event::Note { text } => self.notes.push(String::from_utf8_lossy(text).into_owned()),
            Event::Warning { text } => self.warnings.push(String::from_utf8_lossy(text).into_owned()),
            _ => {}
        }
    }
}
