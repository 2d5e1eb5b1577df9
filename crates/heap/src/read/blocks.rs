//! The live blocks of a snapshot, and which of them are an object's own memory.

use deadweight_capture::{Allocator, StackId};

use crate::read::events::{BlockRecord, ObjectRecord};

/// A block of Python's domains that begins at most this many bytes before an object is the object's own memory, even if
/// the snapshot states another prefix.
const LONGEST_PREFIX: u64 = 64;

/// A live block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub addr: u64,
    pub size: u64,
    pub stack: StackId,
    /// The object whose memory it is, or else its own node.
    pub node: u32,
    /// An object begins in it.
    pub own: bool,
    /// That object has no node: `node` is the one that counts it.
    pub folded: bool,
    /// Its allocator domain.
    pub allocator: Allocator,
    /// Whether its allocation was recorded.
    pub recorded: bool,
    /// The object whose stated size includes it.
    pub claimed_by: Option<u32>,
}

/// All live blocks by address.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    pub list: Vec<Block>,
}

impl Blocks {
    /// Separates the blocks in which objects begin from the others, which get nodes from `first_node` on. `objects` and the
    /// addresses and nodes of `folded` objects must be sorted by address.
    pub fn new(
        mut records: Vec<BlockRecord>,
        objects: &[ObjectRecord],
        folded: &[(u64, u32)],
        first_node: u32,
    ) -> Blocks {
        records.sort_by_key(|block| (block.addr, !block.recorded));
        records.dedup_by_key(|block| block.addr);
        let mut list = Vec::with_capacity(records.len());
        let (mut next_node, mut at, mut at_folded) = (first_node, 0, 0);
        for record in records {
            // Only the first object at or after the block's start can be the one whose memory the block is.
            while objects.get(at).is_some_and(|object| object.addr < record.addr) {
                at += 1;
            }
            while folded.get(at_folded).is_some_and(|(addr, _)| *addr < record.addr) {
                at_folded += 1;
            }
            let python = record.allocator.is_python();
            let is_at = |addr: u64, prefix: u16| {
                let distance = addr - record.addr;
                distance == u64::from(prefix) || python && distance <= LONGEST_PREFIX && distance < record.size
            };
            let object = objects.get(at).filter(|object| is_at(object.addr, object.prefix));
            let object = object.filter(|_| record.recorded);
            let leaf = folded.get(at_folded).filter(|(addr, _)| is_at(*addr, 0));
            let leaf = leaf.filter(|(addr, _)| object.is_none_or(|object| *addr < object.addr));
            let own = object.is_some() || leaf.is_some();
            list.push(Block {
                addr: record.addr,
                size: record.size,
                stack: record.stack,
                node: match leaf {
                    Some(&(_, node)) => node,
                    None if own => at as u32,
                    None => next_node,
                },
                own,
                folded: leaf.is_some(),
                allocator: record.allocator,
                recorded: record.recorded,
                claimed_by: None,
            });
            next_node += u32::from(!own);
        }
        Blocks { list }
    }

    /// The blocks with a node of their own, in the order of their nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Block> {
        self.list.iter().filter(|block| !block.own)
    }

    /// The index of the block that contains the address.
    #[inline]
    pub fn find(&self, addr: u64) -> Option<usize> {
        let at = self.list.partition_point(|block| block.addr <= addr).checked_sub(1)?;
        let block = self.list.get(at)?;
        // A block of 0 bytes contains its own address.
        (addr - block.addr < block.size.max(1)).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(addr: u64, size: u64, allocator: Allocator) -> BlockRecord {
        BlockRecord {
            addr,
            size,
            stack: StackId::NONE,
            allocator,
            recorded: true,
        }
    }

    fn object(addr: u64, prefix: u16) -> ObjectRecord {
        ObjectRecord {
            addr,
            prefix,
            ..ObjectRecord::default()
        }
    }

    #[test]
    fn a_block_is_an_objects_own_if_the_object_begins_in_it() {
        let objects = [object(0x110, 16), object(0x220, 0), object(0x400, 0)];
        let records = vec![
            record(0x3f0, 8, Allocator::PyObject),
            record(0x100, 64, Allocator::PyObject),
            record(0x200, 64, Allocator::PyObject),
            record(0x210, 64, Allocator::Malloc),
            record(0x400, 64, Allocator::Malloc),
        ];
        let blocks = Blocks::new(records, &objects, &[], 10);
        let found: Vec<_> = blocks
            .list
            .iter()
            .map(|block| (block.addr, block.own, block.node))
            .collect();
        assert_eq!(
            found,
            [
                (0x100, true, 0),
                (0x200, true, 1),
                (0x210, false, 10),
                (0x3f0, false, 11),
                (0x400, true, 2)
            ]
        );
    }

    #[test]
    fn an_address_inside_a_block_finds_it() {
        let blocks = Blocks::new(
            vec![record(100, 10, Allocator::Malloc), record(200, 0, Allocator::Malloc)],
            &[],
            &[],
            0,
        );
        let find = |addr| blocks.find(addr);
        assert_eq!(
            [find(99), find(100), find(109), find(110)],
            [None, Some(0), Some(0), None]
        );
        assert_eq!([find(200), find(201), find(u64::MAX)], [Some(1), None, None]);
    }
}
