//! What an address leads to: an object, a block, a buffer of an object, or a relay.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::read::address::AddressIndex;
use crate::read::blocks::{Block, Blocks};

/// Addresses of nodes. Only an open snapshot that is asked for objects needs them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Of objects.
    pub objects: AddressIndex,
    /// Of known blocks, sorted by the node whose memory they are.
    pub blocks: Vec<(u32, u64)>,
}

/// An owner keeps the address of a block, or, for alignment, one that is less than this many bytes behind it.
const START_OF_BLOCK: u64 = 4096;

/// Objects, blocks and relays by address.
pub(super) struct Resolver {
    pub index: AddressIndex,
    pub blocks: Blocks,
    pub relays: FxHashMap<u64, u32>,
}

/// What an address leads to.
pub(super) enum Place {
    Node(u32),
    /// The block at this index of the list, which is of one of Python's domains.
    Buffer(usize),
}

/// Whether a word that looks like an address deep inside a block is rather a 32-bit number below 65,536, such as the
/// flags of a regular expression, next to four bytes of padding that still hold the upper half of an old address. Of
/// true addresses 0.0015 % look like that.
fn is_half_a_number(word: u64, block: &Block) -> bool {
    word as u32 <= u32::from(u16::MAX) && word.wrapping_sub(block.addr) >= START_OF_BLOCK
}

impl Resolver {
    /// What an address leads to for the object `from`.
    #[inline]
    pub fn place(&self, addr: u64, from: u32) -> Option<Place> {
        if let Some(node) = self.index.find(addr) {
            return (node != from).then_some(Place::Node(node));
        }
        match self.blocks.find(addr) {
            Some(at) => {
                let block = self.blocks.list.get(at)?;
                if is_half_a_number(addr, block) {
                    return None;
                }
                // A pointer into another object is not a reference to it.
                match block.own {
                    true => None,
                    false if block.allocator.is_python() => Some(Place::Buffer(at)),
                    // What holds the same address inside a block that was not recorded belongs to the object, too.
                    false => match self.relays.get(&addr).filter(|_| !block.recorded) {
                        Some(&relay) => Some(Place::Node(relay)),
                        None => (block.node != from).then_some(Place::Node(block.node)),
                    },
                }
            }
            None => self.relays.get(&addr).map(|&node| Place::Node(node)),
        }
    }

    /// Removes the edges that lead from blocks that were not recorded to objects, directly or through other blocks:
    /// such memory may hold stale addresses, and an object that nothing uses would look alive because of one.
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
                // The edge of a block that was not recorded will be removed, so nothing leads further back through it.
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

    pub fn places(self) -> Places {
        let node = |block: &Block| (block.claimed_by.unwrap_or(block.node), block.addr);
        let mut blocks: Vec<(u32, u64)> = self.blocks.list.iter().map(node).collect();
        blocks.sort_unstable();
        Places {
            objects: self.index,
            blocks,
        }
    }

    /// The edges of blocks and relays, sorted by the node at which they begin.
    pub fn block_edges(&mut self, words: &[(u64, u64)], first_block: u32) -> Vec<(u32, u32)> {
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
