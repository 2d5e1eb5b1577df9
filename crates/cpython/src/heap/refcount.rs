//! Reference counts.

use crate::layout::{Layout, RefcountLayout};
use crate::memory::{Memory, is_plausible};

/// A reference count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refcount {
    /// Number of references; meaningless for an immortal object.
    pub count: u64,
    /// Whether the object is immortal: never freed, its references not counted (3.12 on).
    pub immortal: bool,
}

/// The reference count of the object at `object`.
#[inline]
pub fn read<M: Memory>(mem: &M, layout: &Layout, object: u64) -> Option<Refcount> {
    if !is_plausible(object) {
        return None;
    }
    match layout.heap.refcount {
        RefcountLayout::Wide => mem.u64(object).map(|count| Refcount { count, immortal: false }),
        RefcountLayout::Low32 => mem.u32(object).map(|count| Refcount {
            count: u64::from(count),
            immortal: count > i32::MAX as u32,
        }),
    }
}
