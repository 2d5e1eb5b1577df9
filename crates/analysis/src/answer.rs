//! What a replay answers: plain data, nothing rounded, ready for any view.

pub(crate) mod amount;
pub(crate) mod ledger;
pub(crate) mod region;

use deadweight_capture::read::{ProcessId, Tail};
use deadweight_capture::wire::State;

use deadweight_capture::StackId;

use self::amount::Amount;
use self::ledger::LedgerSample;
use self::region::Region;
use crate::stacks::StackTree;

/// What came from one stack of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackAmounts {
    /// Live when the whole tree was at its peak.
    pub peak: Amount,
    /// Ever allocated. `allocated - end` is churn: allocated and freed again.
    pub allocated: Amount,
    /// Live at the end of what was recorded.
    pub end: Amount,
    /// The part of `end` that is native: blocks of the C library's malloc family and anonymous mappings, in bytes.
    pub end_native_bytes: u64,
    /// The largest block or mapping ever allocated, in bytes as the program asked for them. In a sampled run, of those
    /// recorded.
    pub largest_bytes: u64,
}

/// What was live from one stack at the time of a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// The stack.
    pub stack: StackId,
    /// Bytes; estimated in a sampled run.
    pub bytes: u64,
}

/// What a process had live at one time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// All of it, in bytes.
    pub bytes: u64,
    /// Bytes that the process had allocated until then, freed since or not: a measure of its progress that does not
    /// depend on its speed. 0 in a fold of format version 2.
    pub allocated_bytes: u64,
    /// By stack, in the order of their ids. Stacks with less than 1/4096 (0.024 %) of `bytes` are left out.
    pub levels: Vec<Level>,
}

/// What a process had live over time: at most 128 samples at equal distances, whatever the length of the run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// The process's first event, nanoseconds of `CLOCK_MONOTONIC`.
    pub origin_nanos: u64,
    /// Distance of two samples, in nanoseconds. The first one is at `origin_nanos + width_nanos`.
    pub width_nanos: u64,
    /// The samples. Those of a process that has ended stop at its end.
    pub samples: Vec<Sample>,
}

impl History {
    /// When a sample was taken, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn nanos(&self, sample: usize) -> u64 {
        let widths = (sample as u64).saturating_add(1);
        self.origin_nanos
            .saturating_add(self.width_nanos.saturating_mul(widths))
    }

    /// Bytes that the process had allocated by each sample, freed since or not.
    pub fn allocated(&self) -> Vec<u64> {
        self.samples.iter().map(|sample| sample.allocated_bytes).collect()
    }

    /// Live bytes of all stacks that `wanted` accepts, by sample.
    pub fn series(&self, wanted: impl Fn(StackId) -> bool) -> Vec<u64> {
        let sum = |sample: &Sample| {
            let levels = sample.levels.iter().filter(|level| wanted(level.stack));
            levels.fold(0u64, |sum, level| sum.saturating_add(level.bytes))
        };
        self.samples.iter().map(sum).collect()
    }
}

/// The live heap by allocator domain, in bytes.
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
    /// Its process id and incarnation.
    pub id: ProcessId,
    /// Its parent's process id.
    pub parent: u32,
    /// Command line.
    pub argv: Vec<String>,
    /// `Py_Version` (0x030b07f0 is 3.11.7), or `None` if there was no Python in it.
    pub python: Option<u32>,
    /// Whether it was forked by a recorded process: the blocks that it inherited count for its parent.
    pub forked: bool,
    /// First and last time in its events, nanoseconds of `CLOCK_MONOTONIC`.
    pub span_nanos: (u64, u64),
    /// Its own peak.
    pub own_peak: Amount,
    /// When that was, nanoseconds of `CLOCK_MONOTONIC`.
    pub own_peak_nanos: u64,
    /// Its heap when the whole tree was at its peak.
    pub at_tree_peak: Amount,
    /// Its heap at the end of what was recorded.
    pub end: Amount,
    /// Highest resident memory in bytes, if it ended in an orderly way.
    pub max_rss_bytes: Option<u64>,
    /// When Python began to shut down in it, nanoseconds of `CLOCK_MONOTONIC`; `None` if that was not seen.
    pub python_ends_nanos: Option<u64>,
    /// Whether Python had shut down before the process ended: then what is live at the end was never freed.
    pub python_ended: bool,
    /// What became of its recording.
    pub state: State,
    /// How its events ended.
    pub tail: Tail,
    /// Events that could not be written.
    pub lost_events: u64,
    /// Blocks allocated at an address that was still live: the event that freed the block before was lost or never seen.
    pub unseen_frees: u64,
    /// Notes of the agent about this process, one sentence each.
    pub notes: Vec<String>,
    /// Its stacks, with functions and lines.
    pub stacks: StackTree,
    /// Amounts by stack; the index is the `StackId`.
    pub amounts: Vec<StackAmounts>,
    /// What it had live over time.
    pub history: History,
    /// Its regions, by source and name.
    pub regions: Vec<Region>,
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
    /// What the resident memory consisted of at each RSS sample, in the order of time.
    pub moments: Vec<LedgerSample>,
    /// All recorded processes, by their start.
    pub processes: Vec<ProcessAnswer>,
    /// Sentences about what could not be read.
    pub warnings: Vec<String>,
}
