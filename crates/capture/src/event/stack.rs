//! Nodes of the stack tree, and sums over stacks.

use crate::ids::{CodeId, StackId, StringId};

/// What a node of the stack tree stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Frame {
    /// A Python frame: the code object, and the byte offset of the running instruction (-1: not started).
    Python {
        /// The code object.
        code: CodeId,
        /// Byte offset in its bytecode.
        offset: i32,
    },
    /// A thread without any Python state, by its name. Always the only frame of its stack.
    NativeThread {
        /// The thread's name.
        name: StringId,
    },
    /// Memory that the interpreter allocated before the first Python line could be read.
    StartUp,
    /// A thread with Python state and no running frame (the interpreter's own work).
    Interpreter,
    /// The outer frames were left out: they were too many, or there was no memory for them.
    Truncated,
    /// Python stacks are off in this process; the note in the process's [`Event::Note`](crate::Event::Note) says why.
    StacksOff,
}

/// Sums over one stack, written when a long run's finished events are folded.
///
/// Blocks are counted in thousandths: in a sampled run a recorded block stands for a fractional number of blocks, and
/// sums of rounded numbers would depend on where the run was folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackTotals {
    /// The stack.
    pub stack: StackId,
    /// Bytes of all blocks ever allocated here (estimated in a sampled run).
    pub allocated_bytes: u64,
    /// Thousandths of the number of those blocks (estimated in a sampled run).
    pub allocated_milliblocks: u64,
    /// Variance of `allocated_bytes`, in bytes squared (0 in an exact run).
    pub allocated_variance: u64,
    /// Bytes live at the peak of the whole tree so far.
    pub peak_bytes: u64,
    /// Thousandths of the number of blocks live at the peak of the whole tree so far.
    pub peak_milliblocks: u64,
    /// Variance of `peak_bytes`, in bytes squared.
    pub peak_variance: u64,
}
