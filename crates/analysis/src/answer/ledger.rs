//! What the resident memory of a process tree consisted of: plain data.

use deadweight_capture::StackId;
use deadweight_capture::looks::MappedFile;
use deadweight_capture::read::ProcessId;

/// Resident memory of a process tree by what it is, in bytes. The sum of all parts is [`Moment::total`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resident {
    /// Live blocks of Python's allocators, with what their allocators add to each.
    pub python: u64,
    /// Live blocks of the C library's, and anonymous mappings that the program made.
    pub native: u64,
    /// Standard error of `python + native`, and with the other sign of the slack; 0 in an exact run.
    pub error: u64,
    /// Freed, and kept by the C library in its main heap.
    pub heap_slack: u64,
    /// Freed, and kept by the C library in the arenas of threads.
    pub arena_slack: u64,
    /// Freed, and kept in pymalloc's arenas.
    pub pymalloc_slack: u64,
    /// Pages of programs and libraries.
    pub code_files: u64,
    /// Pages of other mapped files.
    pub data_files: u64,
    /// Memory made to be shared.
    pub shared: u64,
    /// Stacks of threads.
    pub stacks: u64,
    /// Deadweight's own.
    pub deadweight: u64,
    /// Anonymous memory of processes that were not recorded.
    pub unrecorded: u64,
    /// The rest.
    pub unexplained: u64,
}

impl Resident {
    /// Freed by the program and kept by an allocator.
    pub fn slack(&self) -> u64 {
        self.heap_slack
            .saturating_add(self.arena_slack)
            .saturating_add(self.pymalloc_slack)
    }
}

/// A process's part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Process id.
    pub pid: u32,
    /// Resident bytes, counted as in [`Moment::total`].
    pub bytes: u64,
}

/// One moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Moment {
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
    /// Resident memory of the tree; pages that processes share count once.
    pub total: u64,
    /// What it consisted of; `None` where what was live then is no longer in the capture.
    pub resident: Option<Resident>,
    /// The processes, the largest first.
    pub processes: Vec<Share>,
    /// Mapped files and shared memory that are no programs or libraries, the largest first.
    pub files: Vec<MappedFile>,
    /// Live bytes of Python's allocators, of the C library's and of mappings: what the program asked for.
    pub live: [u64; 3],
    /// There was no time for a closer look: it follows from the one before and what had grown since.
    pub is_sketch: bool,
    /// Of a sketch: what had grown and could not be explained; it is in `unexplained`.
    pub undrawn: u64,
    /// At some of the moments: who has small blocks in the C library's heaps, by process and stack.
    pub survivors: Vec<Survivors>,
}

/// Small blocks of the C library's allocator that are live in its heaps and came from one stack.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Survivors {
    /// Whose.
    pub process: ProcessId,
    /// From where.
    pub stack: StackId,
    /// How many, estimated.
    pub blocks: f64,
    /// Their bytes with what the allocator adds, estimated.
    pub bytes: f64,
    /// Blocks that were recorded.
    pub recorded: u64,
}
