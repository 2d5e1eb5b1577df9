//! The frames of a recorded stack.

use deadweight_analysis::{FrameName, ProcessAnswer, StackId};

use crate::words::names;

/// The frames of a stack, innermost first, never none.
pub(crate) fn frames(process: &ProcessAnswer, index: usize) -> Vec<FrameName<'_>> {
    let id = StackId(u32::try_from(index).unwrap_or(u32::MAX));
    let frames: Vec<_> = process.stacks.frames(id).collect();
    if frames.is_empty() {
        vec![names::UNKNOWN]
    } else {
        frames
    }
}
