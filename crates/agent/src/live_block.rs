//! A recorded block that is live.

use deadweight_capture::{Allocator, StackId};

/// What is known of a recorded block while it is live; heap snapshots join objects with it.
#[derive(Clone, Copy)]
pub struct LiveBlock {
    /// Bytes that were asked for.
    pub size: u64,
    /// By whom.
    pub stack: StackId,
    /// From which allocator domain.
    pub domain: Allocator,
}
