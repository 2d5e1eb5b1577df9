//! What a replay answers: plain data, nothing rounded, ready for any view.

use deadweight_capture::read::{ProcessId, Tail};
use deadweight_capture::wire::State;

use crate::stacks::StackTree;

/// An amount of memory. In a sampled run bytes and blocks are unbiased estimates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Bytes as the program asked for them.
    pub bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Variance of `bytes`, in bytes squared; 0 in an exact run.
    pub variance: u64,
}

impl Amount {
    /// Standard error of `bytes`, in bytes; 0 in an exact run.
    pub fn error_bytes(&self) -> u64 {
        (self.variance as f64).sqrt().round() as u64
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.variance = self.variance.saturating_add(other.variance);
    }
}

/// What came from one stack of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackAmounts {
    /// Live when the whole tree was at its peak.
    pub peak: Amount,
    /// Ever allocated. `allocated - end` is churn: allocated and freed again.
    pub allocated: Amount,
    /// Live at the end of what was recorded.
    pub end: Amount,
}

/// Live heap by what it is made of, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Composition {
    /// Blocks of Python's object and mem domains.
    pub python_bytes: u64,
    /// Blocks of the C library's malloc family.
    pub native_bytes: u64,
    /// Anonymous mappings that the program made itself.
    pub mapped_bytes: u64,
}

/// One recorded process.
#[derive(Clone, Debug)]
pub struct ProcessAnswer {
    /// Who.
    pub id: ProcessId,
    /// Its parent's process id.
    pub parent: u32,
    /// Command line.
    pub argv: Vec<String>,
    /// `Py_Version` (0x030b07f0 is 3.11.7), or `None` if there was no Python in it.
    pub python: Option<u32>,
    /// Whether it came out of a `fork` of a recorded process: blocks that it inherited are its parent's.
    pub forked: bool,
    /// First and last time in its events, nanoseconds of `CLOCK_MONOTONIC`.
    pub span_nanos: (u64, u64),
    /// Its own highest heap, and when.
    pub own_peak: Amount,
    /// When that was, nanoseconds of `CLOCK_MONOTONIC`.
    pub own_peak_nanos: u64,
    /// Its heap when the whole tree was at its peak.
    pub at_tree_peak: Amount,
    /// Its heap at the end of what was recorded.
    pub end: Amount,
    /// Highest resident memory in bytes, if it ended in an orderly way.
    pub max_rss_bytes: Option<u64>,
    /// What became of its recording.
    pub state: State,
    /// How its events ended.
    pub tail: Tail,
    /// Events that could not be written.
    pub lost_events: u64,
    /// Blocks born at an address that was still live: the event of their predecessor's end was lost or never seen.
    pub unseen_frees: u64,
    /// What it has to say about itself, one sentence each.
    pub notes: Vec<String>,
    /// Its stacks, with functions and lines.
    pub stacks: StackTree,
    /// Amounts by stack; the index is the `StackId`.
    pub amounts: Vec<StackAmounts>,
}

/// The moment when the heaps of all processes together were at their highest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peak {
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
    /// Heap of all processes.
    pub heap: Amount,
    /// What it was made of.
    pub composition: Composition,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Whether every block was recorded.
    pub exact: bool,
    /// Sampling interval in bytes; 0 if exact.
    pub interval_bytes: u64,
    /// The peak of the whole tree.
    pub peak: Peak,
    /// All recorded processes, by their start.
    pub processes: Vec<ProcessAnswer>,
    /// Sentences about what could not be read.
    pub warnings: Vec<String>,
}
