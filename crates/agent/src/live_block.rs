//! Recorded live blocks.

use deadweight_capture::{Allocator, StackId};

/// A recorded block that is live. Heap snapshots join it with objects.
#[derive(Clone, Copy)]
pub struct LiveBlock {
    /// The requested size, bytes.
    pub size: u64,
    /// The stack that allocated it.
    pub stack: StackId,
    /// The allocator domain.
    pub domain: Allocator,
}
