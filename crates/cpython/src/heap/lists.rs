//! The objects that the collector tracks.
//!
//! They are linked into doubly linked rings, one per generation and one for frozen objects, through a header of 16 bytes
//! before each object. The two low bits of the backward links and the lowest of the forward links are flags
//! (3.14.0 to 3.14.4 use the latter).

use core::ops::ControlFlow;

use crate::layout::Layout;
use crate::memory::{Memory, is_plausible};

/// Size in bytes of the header before each object.
pub const GC_HEADER: u64 = 16;
/// Bits of links that are flags.
const FLAGS: u64 = 3;

/// How an enumeration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All rings were followed to their ends.
    Complete,
    /// A link was invalid: objects are missing.
    Broken,
    /// More than `limit` objects.
    TooMany,
    /// The caller stopped it.
    Stopped,
}

/// Whether the collector whose state is at `gc` is running: then the rings are not whole. True if that cannot be read.
#[inline]
pub fn is_collecting<M: Memory>(mem: &M, layout: &Layout, gc: u64) -> bool {
    mem.u32(gc.wrapping_add(layout.heap.gc.collecting.into())) != Some(0)
}

/// The counts by which the collector decides on a full collection. It runs one when the objects that have survived the
/// younger generations since exceed a quarter of those that survived the last full collection.
///
/// Source: CPython 3.9 to 3.13, `gc_collect_generations` (Modules/gcmodule.c, Python/gc.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLived {
    /// Tracked objects that survived the last full collection.
    pub total: u64,
    /// Objects that have reached the oldest generation since.
    pub pending: u64,
}

/// The counts of the collector whose state is at `gc`; `None` if this version has other ones, or they cannot be read.
pub fn long_lived<M: Memory>(mem: &M, layout: &Layout, gc: u64) -> Option<LongLived> {
    let at = gc.wrapping_add(layout.heap.gc.long_lived?.into());
    Some(LongLived {
        total: mem.u64(at)?,
        pending: mem.u64(at.wrapping_add(8))?,
    })
}

/// Whether the collector tracks the object at `object`, which has a header: then it is linked to others.
#[inline(always)]
pub fn is_tracked<M: Memory>(mem: &M, object: u64) -> bool {
    mem.u64(object.wrapping_sub(GC_HEADER)).is_some_and(|next| next != 0)
}

/// Gives each tracked object to `each`, frozen ones last, until it stops the enumeration. `gc` comes from
/// [`Interpreters::gc`].
///
/// Each link is checked against the link back.
///
/// [`Interpreters::gc`]: crate::heap::Interpreters::gc
#[inline]
pub fn tracked<M: Memory>(
    mem: &M,
    layout: &Layout,
    gc: u64,
    limit: u64,
    mut each: impl FnMut(u64) -> ControlFlow<()>,
) -> End {
    if !is_plausible(gc) {
        return End::Broken;
    }
    let [young, middle, old] = layout.heap.gc.generations;
    let mut left = limit;
    for head in [young, middle, old, layout.heap.gc.permanent] {
        match ring(mem, gc.wrapping_add(head.into()), &mut left, &mut each) {
            End::Complete => {}
            end => return end,
        }
    }
    End::Complete
}

/// Follows one ring from its head around to its head.
#[inline]
fn ring<M: Memory>(mem: &M, head: u64, left: &mut u64, each: &mut impl FnMut(u64) -> ControlFlow<()>) -> End {
    let mut previous = head;
    let Some(first) = mem.u64(head) else { return End::Broken };
    let mut at = first & !FLAGS;
    loop {
        if !is_plausible(at) || mem.u64(at.wrapping_add(8)).map(|back| back & !FLAGS) != Some(previous) {
            return End::Broken;
        }
        if at == head {
            return End::Complete;
        }
        let Some(rest) = left.checked_sub(1) else {
            return End::TooMany;
        };
        *left = rest;
        if each(at.wrapping_add(GC_HEADER)).is_break() {
            return End::Stopped;
        }
        previous = at;
        match mem.u64(at) {
            Some(next) => at = next & !FLAGS,
            None => return End::Broken,
        }
    }
}
