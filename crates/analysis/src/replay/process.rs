//! One process: its live blocks and mappings, and what it said about itself.

use deadweight_capture::read::ProcessId;
use deadweight_capture::{Addr, Allocator, Event, MapKind, StackId};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rustc_hash::FxBuildHasher;

use super::tree::{Cell, Class, Parts, Tree};
use crate::ranges::{Cut, Piece, Ranges};
use crate::stacks::StackTree;
use crate::weight::{self, Recording, Weight};

/// A live block: 16 bytes, as there may be many millions.
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
    cells: Vec<Cell>,
    /// Never used: `make_cell` has made the cell that is asked for.
    nowhere: Cell,
    live: Weight,
    parts: Parts,
    pub own_peak: Weight,
    pub own_peak_nanos: u64,
    pub first_nanos: Option<u64>,
    nanos: u64,
    pub unseen_frees: u64,
    /// No longer part of the tree.
    gone: bool,
    pub stacks: StackTree,
    pub says: Says,
}

/// What the process said about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Says {
    pub described: bool,
    pub parent: u32,
    pub argv: Vec<u8>,
    pub python: u32,
    pub forked: bool,
    pub max_rss_bytes: Option<u64>,
    pub lost_events: u64,
    pub notes: Vec<String>,
    /// From a fold: what could not be read before it.
    pub warnings: Vec<String>,
}

#[inline(always)]
fn class(allocator: Allocator) -> Class {
    if allocator.is_python() {
        Class::Python
    } else {
        Class::Native
    }
}

impl Process {
    pub fn new(id: ProcessId, recording: Recording) -> Process {
        Process {
            id,
            recording,
            blocks: HashMap::default(),
            ranges: Ranges::default(),
            cells: vec![Cell::default()],
            nowhere: Cell::default(),
            live: Weight::default(),
            parts: Parts::default(),
            own_peak: Weight::default(),
            own_peak_nanos: 0,
            first_nanos: None,
            nanos: 0,
            unseen_frees: 0,
            gone: false,
            stacks: StackTree::default(),
            says: Says::default(),
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

    pub fn is_gone(&self) -> bool {
        self.gone
    }

    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub fn blocks(&self) -> impl Iterator<Item = (Addr, Block)> {
        self.blocks.iter().map(|(&addr, &block)| (Addr(addr), block))
    }

    #[inline]
    pub fn clock(&mut self, nanos: u64) {
        self.first_nanos.get_or_insert(nanos);
        self.nanos = self.nanos.max(nanos);
    }

    #[inline(always)]
    pub fn event(&mut self, tree: &mut Tree, event: &Event<'_>) {
        match *event {
            // What exit handlers and late threads still do no longer counts.
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
                    self.drop_block(tree, block);
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
                self.unseen_frees += 1;
                self.drop_block(tree, before);
            }
        }
        let weight = self.recording.weigh(block.size);
        self.born(tree, block.stack, weight, class(block.allocator));
    }

    #[inline(always)]
    fn drop_block(&mut self, tree: &mut Tree, block: Block) {
        let weight = self.recording.weigh(block.size);
        self.dead(tree, block.stack, weight, class(block.allocator));
    }

    /// Counts something that was just allocated.
    #[inline(always)]
    fn born(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, class: Class) {
        self.cell(stack).allocated.add(weight);
        self.appears(tree, stack, weight, class);
    }

    #[inline(always)]
    fn appears(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, class: Class) {
        let nanos = self.nanos;
        tree.grow(self.cell(stack), weight, class, nanos);
        self.live.add(weight);
        self.parts.add(class, weight.bytes);
        if self.live.bytes > self.own_peak.bytes {
            self.own_peak = self.live;
            self.own_peak_nanos = nanos;
        }
    }

    #[inline(always)]
    fn dead(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, class: Class) {
        tree.shrink(self.cell(stack), weight, class);
        self.live.take(weight);
        self.parts.take(class, weight.bytes);
    }

    /// The amounts of a stack. An id too large to be true counts for the empty stack.
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
            Event::End { max_rss_bytes } => {
                self.says.max_rss_bytes = Some(max_rss_bytes);
                self.leave(tree);
            }
            _ => self.says.event(event),
        }
    }

    pub fn leave(&mut self, tree: &mut Tree) {
        if !self.gone {
            self.gone = true;
            tree.leave(&mut self.cells, self.live, self.parts);
        }
    }

    /// Maps into a range that is free.
    fn map(&mut self, tree: &mut Tree, piece: Piece) {
        self.ranges.insert(piece);
        if piece.kind == MapKind::Anonymous && piece.len() > 0 {
            self.born(tree, piece.stack, weight::itself(piece.len()), Class::Mapped);
        }
    }

    /// Each piece of a mapping counts as one block, so one that is cut in two is one block more.
    fn unmap(&mut self, tree: &mut Tree, start: u64, len: u64) -> Cut {
        let cut = self.ranges.cut(start, start.saturating_add(len));
        let anonymous = |piece: &&Piece| piece.kind == MapKind::Anonymous;
        for piece in cut.before.iter().filter(anonymous) {
            self.dead(tree, piece.stack, weight::itself(piece.len()), Class::Mapped);
        }
        for piece in cut.after.iter().filter(anonymous) {
            self.appears(tree, piece.stack, weight::itself(piece.len()), Class::Mapped);
        }
        let halves = |piece: &&Piece| piece.start < start && start.saturating_add(len) < piece.end;
        for piece in cut.before.iter().filter(anonymous).filter(halves) {
            let more = &mut self.cell(piece.stack).allocated.milliblocks;
            *more = more.wrapping_add(weight::BLOCK);
        }
        cut
    }

    /// What shrinks or moves keeps its origin; what grows is new memory, from the stack that asked for it.
    fn remap(&mut self, tree: &mut Tree, old: (u64, u64), new: (u64, u64), stack: StackId) {
        let kind = self.ranges.at(old.0).map(|piece| piece.kind);
        if new.1 > old.1 {
            self.unmap(tree, old.0, old.1);
            self.unmap(tree, new.0, new.1);
            // Of a mapping made before the recording began nothing is known, nor of what becomes of it.
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
                self.appears(tree, piece.stack, weight::itself(piece.len()), Class::Mapped);
            }
        }
    }

    /// Takes over a live block of a fold.
    pub(super) fn restore_block(&mut self, tree: &mut Tree, addr: Addr, block: Block) {
        self.blocks.insert(addr.0, block);
        let weight = self.recording.weigh(block.size);
        self.restore_live(tree, block.stack, weight, class(block.allocator));
    }

    /// Takes over a live mapping of a fold.
    pub(super) fn restore_piece(&mut self, tree: &mut Tree, piece: Piece) {
        self.ranges.insert(piece);
        if piece.kind == MapKind::Anonymous {
            self.restore_live(tree, piece.stack, weight::itself(piece.len()), Class::Mapped);
        }
    }

    fn restore_live(&mut self, tree: &mut Tree, stack: StackId, weight: Weight, class: Class) {
        tree.restore_live(self.cell(stack), weight, class);
        self.live.add(weight);
        self.parts.add(class, weight.bytes);
    }

    /// Takes over what was live when the process left.
    pub(super) fn restore_left(&mut self, stack: StackId, weight: Weight) {
        self.cell(stack).live.add(weight);
        self.live.add(weight);
    }

    /// Takes over the times and the count of a fold.
    pub(super) fn restore_folded(&mut self, first_nanos: u64, last_nanos: u64, unseen_frees: u64, gone: bool) {
        self.first_nanos = Some(first_nanos);
        self.nanos = last_nanos;
        self.unseen_frees = unseen_frees;
        self.gone = gone;
    }
}

impl Says {
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
            Event::Lost { events } => self.lost_events = self.lost_events.saturating_add(events),
            Event::Note { text } => self.notes.push(String::from_utf8_lossy(text).into_owned()),
            Event::Warning { text } => self.warnings.push(String::from_utf8_lossy(text).into_owned()),
            _ => {}
        }
    }
}
