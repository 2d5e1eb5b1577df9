//! Matches buffers to which no word of the snapshot points to objects, by size.
//!
//! The array of a list or the table of a dict is a block of its own, and its bytes are part of the size that the object
//! states. If an object has no large block yet, and its stated size exceeds that of such a block by a little, the block is
//! taken to be its buffer. Otherwise the buffers of a large container would look like memory without an owner.

use rustc_hash::FxHashSet;

use crate::graph::Graph;
use crate::read::blocks::Blocks;

/// Smaller blocks are not matched, in bytes.
const SMALLEST: u64 = 512;
/// An object is at least and at most this many bytes larger than its buffer.
const LEAST_MORE: u64 = 16;
const MOST_MORE: u64 = 256;
/// The type whose objects state their buffers' sizes, and whose buffers other objects may point into.
const BYTEARRAY: &str = "bytearray";
/// Types whose objects have no buffers: their blocks are the objects themselves.
const IN_ONE_BLOCK: [&str; 6] = ["str", "bytes", "int", "float", "complex", "tuple"];

/// Claims blocks for objects; gives the index of each block and its object.
pub(crate) fn by_size(blocks: &mut Blocks, graph: &Graph, reached: impl Fn(u32) -> bool) -> Vec<(usize, u32)> {
    let mut loose: Vec<(u64, usize)> = Vec::new();
    let mut viewed: Vec<(u64, usize)> = Vec::new();
    let mut settled: Vec<u32> = Vec::new();
    for (at, block) in blocks.list.iter().enumerate() {
        if block.own && !block.folded {
            let size = graph.sizes[block.node as usize];
            if block.size.saturating_add(LEAST_MORE) >= size && size > SMALLEST {
                settled.push(block.node);
            }
        } else if block.own {
            // A number or a string, counted in another object.
        } else if let Some(owner) = block.claimed_by {
            settled.push(owner);
        } else if block.allocator.is_python() && block.size >= SMALLEST {
            match reached(block.node) {
                false => loose.push((block.size, at)),
                true => viewed.push((block.size, at)),
            }
        }
    }
    settled.sort_unstable();
    let has_room = |&node: &u32| {
        graph.sizes[node as usize] >= SMALLEST + LEAST_MORE
            && !IN_ONE_BLOCK.contains(&graph.type_name(node))
            && settled.binary_search(&node).is_err()
    };
    // Words of a bytearray are not written, so what points into its buffer is a view of it.
    let (viewable, others): (Vec<u32>, Vec<u32>) = match loose.is_empty() && viewed.is_empty() {
        true => return Vec::new(),
        false => (0..graph.objects as u32)
            .filter(has_room)
            .partition(|&node| graph.type_name(node) == BYTEARRAY),
    };
    let mut found = pair(blocks, graph, viewed, viewable.clone());
    let taken: FxHashSet<u32> = found.iter().map(|&(_, owner)| owner).collect();
    let free = viewable.into_iter().filter(|node| !taken.contains(node));
    let others = others.into_iter().chain(free).collect();
    found.extend(pair(blocks, graph, loose, others));
    found
}

/// Gives each block to the smallest object that is large enough and has none yet.
fn pair(blocks: &mut Blocks, graph: &Graph, mut loose: Vec<(u64, usize)>, candidates: Vec<u32>) -> Vec<(usize, u32)> {
    let sized = |node: u32| (graph.sizes[node as usize], node);
    let mut objects: Vec<(u64, u32)> = candidates.into_iter().map(sized).collect();
    objects.sort_unstable();
    loose.sort_unstable();
    let (mut next, mut found) = (0, Vec::new());
    for (size, at) in loose {
        while objects.get(next).is_some_and(|object| object.0 < size + LEAST_MORE) {
            next += 1;
        }
        match objects.get(next) {
            Some(&(object, node)) if object <= size + MOST_MORE => {
                next += 1;
                if let Some(block) = blocks.list.get_mut(at) {
                    block.claimed_by = Some(node);
                    found.push((at, node));
                }
            }
            _ => {}
        }
    }
    found
}
