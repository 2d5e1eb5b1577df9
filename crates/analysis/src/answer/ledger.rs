//! What the resident memory of a process tree consisted of: plain data.

use deadweight_capture::StackId;
use deadweight_capture::read::ProcessId;
use deadweight_capture::rss_samples::MappedFile;

/// Resident memory of a process tree by its kind, in bytes. All parts add up to [`LedgerSample::total`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resident {
    /// Live blocks of Python's allocators, including the allocators' overhead.
    pub python: u64,
    /// Live blocks of the C library's allocator, and anonymous mappings that the program made.
    pub native: u64,
    /// Standard error of `python + native`, and therefore of the slack, in bytes; 0 in an exact run.
    pub error: u64,
    /// Freed, but kept by the C library in its main heap.
    pub heap_slack: u64,
    /// Freed, but kept by the C library in the arenas of threads.
    pub arena_slack: u64,
    /// Freed, but kept in pymalloc's arenas.
    pub pymalloc_slack: u64,
    /// Pages of programs and libraries.
    pub code_files: u64,
    /// Pages of other mapped files.
    pub data_files: u64,
    /// Shared memory.
    pub shared: u64,
    /// Stacks of threads.
    pub stacks: u64,
    /// Deadweight's own memory.
    pub deadweight: u64,
    /// Anonymous memory of processes that were not recorded.
    pub unrecorded: u64,
    /// The rest.
    pub unexplained: u64,
}

impl Resident {
    /// Freed by the program but kept by an allocator, in bytes.
    pub fn slack(&self) -> u64 {
        self.heap_slack
            .saturating_add(self.arena_slack)
            .saturating_add(self.pymalloc_slack)
    }
}

/// A process's part of the total.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Process id.
    pub pid: u32,
    /// Resident bytes, counted as in [`LedgerSample::total`].
    pub bytes: u64,
}

/// An RSS sample joined with what was live at that time.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerSample {
    /// Time of the sample, nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
    /// Resident memory of the tree; pages that processes share count once.
    pub total: u64,
    /// What it consisted of; `None` if what was live then is no longer in the capture.
    pub resident: Option<Resident>,
    /// The processes, the largest first.
    pub processes: Vec<Share>,
    /// Mapped files and shared memory other than programs and libraries, the largest first.
    pub files: Vec<MappedFile>,
    /// Live bytes of Python's allocators, of the C library's, and of mappings, as the program requested them.
    pub live: [u64; 3],
    /// Whether this was a coarse sample, of totals only: it is derived from the last full sample and what has grown since.
    pub is_coarse: bool,
    /// Of a coarse sample: bytes that have grown since and could not be attributed; they are part of `unexplained`.
    pub unattributed: u64,
    /// Only at some samples: the small blocks that are live in the C library's heaps, by process and stack.
    pub survivors: Vec<Survivors>,
}

/// Small live blocks in the C library's heaps that were allocated from one stack.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Survivors {
    /// Whose blocks they are.
    pub process: ProcessId,
    /// The stack that allocated them.
    pub stack: StackId,
    /// How many, estimated.
    pub blocks: f64,
    /// Their bytes including the allocator's overhead, estimated.
    pub bytes: f64,
    /// Blocks that were recorded.
    pub recorded: u64,
}
