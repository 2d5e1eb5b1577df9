//! What a view may know: plain data in its final order, rounded nowhere. Serialized, it is the contract
//! `deadweight.report/1`; fields beyond the contract are marked *extra*.

use deadweight_analysis::manifest::Exit;
use serde::Serialize;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "deadweight.report/1";

/// Everything that is said about a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Name and version of the contract.
    pub schema: &'static str,
    /// The run as a whole.
    pub run: Run,
    /// All processes that were recorded or seen: the started one first, then by their start, then the ones that
    /// were only seen, by process id.
    pub processes: Vec<Process>,
    /// The moment when the tree's heap was at its highest.
    pub peak: Peak,
    /// What is wrong or worth knowing, the gravest first.
    pub findings: Vec<Finding>,
    /// What could not be measured, and why: one sentence each.
    pub warnings: Vec<String>,
    /// Extra: what was allocated and freed again.
    pub churn: Churn,
    /// Extra: what was live at the end.
    pub end: End,
    /// A line of advice that [`crate::text::diagnosis`] prints last, such as the command for the whole report. The
    /// caller sets it; it is no part of the JSON.
    #[serde(skip)]
    pub next_step: Option<String>,
}

/// How the memory was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Sampled by bytes: amounts are unbiased estimates.
    Sampled,
    /// Every block.
    Exact,
}

/// The run as a whole.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Run {
    /// The program and its arguments as the user gave them.
    pub argv: Vec<String>,
    /// Version of the started process's Python.
    pub python: Option<String>,
    /// How it was recorded.
    pub mode: Mode,
    /// Mean distance of two samples; `None` in an exact run.
    pub sampling_interval_bytes: Option<u64>,
    /// Start in UTC, as RFC 3339 has it.
    pub started: Option<String>,
    /// Duration.
    pub seconds: Option<f64>,
    /// Whether the end of the run was seen and nothing that was recorded is missing.
    pub complete: bool,
    /// How the started program ended.
    pub exit: Exit,
    /// Extra: the folder it was started in. Paths below it are shown without it.
    pub cwd: Option<String>,
}

/// One process, all its incarnations (before and after `exec`) together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its parent's process id.
    pub parent: Option<u32>,
    /// Command line.
    pub argv: Vec<String>,
    /// Highest resident memory.
    pub peak_rss_bytes: Option<u64>,
    /// Its own highest heap; `None` if it was not recorded.
    pub peak_heap_bytes: Option<u64>,
    /// How it ended.
    pub exit: Exit,
    /// Extra: its heap when the tree was at its peak; `None` if it was not recorded.
    pub heap_at_peak_bytes: Option<u64>,
    /// Extra: whether its allocations were recorded.
    pub recorded: bool,
}

/// The moment when the heaps of all processes together were at their highest.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Peak {
    /// When, seconds since the start of the run.
    pub seconds: Option<f64>,
    /// The process that had most of the heap then.
    pub pid: Option<u32>,
    /// Heap of all processes; `None` if nothing was recorded.
    pub heap_bytes: Option<u64>,
    /// Extra: standard error of `heap_bytes`; 0 in an exact run.
    pub heap_error_bytes: Option<u64>,
    /// Highest resident memory of the process tree.
    pub rss_bytes: Option<u64>,
    /// Extra: when that was, seconds since the start of the run.
    pub rss_seconds: Option<f64>,
    /// Where it was allocated, by the innermost line.
    pub sites: Vec<Site>,
    /// The same memory by the user's own innermost line.
    pub user_sites: Vec<Site>,
    /// What the resident memory was made of.
    pub ledger: Ledger,
    /// The call tree of the heap at the peak; for text only.
    #[serde(skip)]
    pub tree: Vec<CallNode>,
}

/// What the resident memory was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ledger {
    /// Blocks of Python's own allocators.
    pub python_objects: Option<u64>,
    /// Blocks of the C library's allocator, and anonymous mappings that the program made itself.
    pub native_blocks: Option<u64>,
    /// Freed by the program, kept by the allocator.
    pub allocator_slack: Option<u64>,
    /// Pages of mapped files.
    pub file_backed: Option<u64>,
    /// Memory that processes share.
    pub shared_memory: Option<u64>,
    /// Stacks of threads.
    pub thread_stacks: Option<u64>,
    /// What deadweight itself takes.
    pub deadweight: Option<u64>,
    /// The rest.
    pub unexplained: Option<u64>,
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Line {
    /// Path as Python knows it, or a word in angle brackets where there is no file.
    pub file: String,
    /// Line, where there is one.
    pub line: Option<u32>,
    /// Qualified name of the function (plain name before Python 3.11).
    pub function: String,
}

/// Memory by a place in the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Site {
    /// The place.
    #[serde(flatten)]
    pub at: Line,
    /// How much.
    pub bytes: u64,
    /// Standard error of `bytes`; 0 in an exact run.
    pub error_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Extra: the callers of the heaviest stack at this place, the outermost last.
    pub stack: Vec<Line>,
}

/// A node of the call tree: its frame, and what was allocated in it and in everything that it called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallNode {
    /// The frame.
    pub at: Line,
    /// Bytes below and in this frame.
    pub bytes: u64,
    /// What it called, the heaviest first; what is too small to show is left out.
    pub children: Vec<CallNode>,
}

/// What was allocated and freed again: `allocated - live at the end`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Churn {
    /// Bytes over the whole run.
    pub bytes: u64,
    /// Blocks over the whole run.
    pub blocks: u64,
    /// Where, by the innermost line.
    pub sites: Vec<Site>,
}

/// What was live at the end. A process that ended before the run did counts with what was live at its own end.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct End {
    /// Heap of all processes; `None` if nothing was recorded.
    pub heap_bytes: Option<u64>,
    /// Where it was allocated, by the innermost line.
    pub sites: Vec<Site>,
}

/// What is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A process was killed because memory ran out.
    OutOfMemory,
    /// The peak belongs to other processes than the started one.
    ChildProcess,
    /// Objects that only a cycle of references keeps alive: the collector would free them.
    CyclicGarbage,
    /// Unreachable objects that the collector will never free: it cannot see the cycle, or a reference was lost.
    Uncollectable,
    /// A reachable object that holds more from snapshot to snapshot; the chain begins at the root.
    GrowingHolder,
    /// Blocks that no Python object has, and that become more.
    NativeLeak,
    /// Memory that was live at the peak and freed after it.
    PeakSpike,
}

/// How grave a finding is; the gravest sorts first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It ended the run.
    High,
    /// It should be looked at.
    Medium,
    /// Good to know; a healthy run may have it.
    Low,
}

/// One thing that is wrong or worth knowing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// How grave.
    pub severity: Severity,
    /// One sentence.
    pub title: String,
    /// What would be gone from the peak if this were fixed.
    pub bytes: Option<u64>,
    /// `bytes` of the highest resident memory of the process tree, at most 1.
    pub share_of_peak: Option<f64>,
    /// How many blocks or processes.
    pub count: Option<u64>,
    /// Type of the objects.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// In which process.
    pub pid: Option<u32>,
    /// Where the memory was allocated, by the innermost line.
    pub sites: Vec<Site>,
    /// Extra: the same by the user's own innermost line.
    pub user_sites: Vec<Site>,
    /// From the root to the object, or around the cycle.
    pub chain: Vec<Link>,
    /// Whether `chain` is a cycle.
    pub cycle: Option<bool>,
    /// Whether the collector would free it.
    pub freeable_by_gc: Option<bool>,
    /// How long it stayed after its last use.
    pub lingered_seconds: Option<f64>,
    /// What to do.
    pub suggestion: Option<String>,
}

/// One step of a chain of references.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Link {
    /// Type of the object.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The edge that leads to the next object.
    pub edge: String,
}
