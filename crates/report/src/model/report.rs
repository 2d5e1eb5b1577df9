//! What a view may know: plain data in its final order, rounded nowhere. Serialized, it is the contract
//! `deadweight.report/1`; fields beyond the contract are marked *extra*.

use deadweight_analysis::manifest::Exit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::regions::RegionView;
use super::timeline::TimelineView;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "deadweight.report/1";

/// Everything that is said about a run.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Report {
    /// Name and version of the contract.
    #[schemars(extend("const" = SCHEMA))]
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
    /// Extra: by how much the live heap grew while the program worked; null if it ran too briefly to tell.
    pub growth: Option<Growth>,
    /// Extra: what the program's regions needed; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionView>,
    /// Extra: memory over time, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<TimelineView>,
    /// Whether the supervisor lived to write down the end; no part of the JSON.
    #[serde(skip)]
    pub end_was_seen: bool,
    /// A line of advice that [`crate::text::diagnosis`] prints last, such as the command for the whole report. The
    /// caller sets it; it is no part of the JSON.
    #[serde(skip)]
    pub next_step: Option<String>,
}

/// How the memory was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Sampled by bytes: amounts are unbiased estimates.
    Sampled,
    /// Every block.
    Exact,
}

/// The run as a whole.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Run {
    /// The program and its arguments as the user gave them.
    pub argv: Vec<String>,
    /// Version of the started process's Python.
    pub python: Option<String>,
    /// How it was recorded.
    pub mode: Mode,
    /// Mean distance of two samples; null in an exact run.
    pub sampling_interval_bytes: Option<u64>,
    /// Start in UTC, as RFC 3339 has it.
    pub started: Option<String>,
    /// Duration.
    pub seconds: Option<f64>,
    /// Whether the end of the run was seen and nothing that was recorded is missing.
    pub complete: bool,
    /// How the started program ended.
    pub exit: Exit,
    /// Extra: how many heap snapshots were read. Without any, nothing is known of garbage and holders.
    pub heap_snapshots: u64,
    /// Extra: made by `deadweight watch`: a timeline and no allocations. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    /// Extra: the folder it was started in. Paths below it are shown without it.
    pub cwd: Option<String>,
}

/// One process, all its incarnations (before and after `exec`) together.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its parent's process id.
    pub parent: Option<u32>,
    /// Command line.
    pub argv: Vec<String>,
    /// Highest resident memory.
    pub peak_rss_bytes: Option<u64>,
    /// Its own highest heap; null if it was not recorded.
    pub peak_heap_bytes: Option<u64>,
    /// How it ended.
    pub exit: Exit,
    /// Extra: its heap when the tree was at its peak; null if it was not recorded.
    pub heap_at_peak_bytes: Option<u64>,
    /// Extra: whether its allocations were recorded.
    pub recorded: bool,
    /// Extra: when it was first seen, seconds since the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seconds: Option<f64>,
    /// Extra: when it was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_seconds: Option<f64>,
    /// Extra: its own limit of address space or data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rlimit_bytes: Option<u64>,
}

impl Process {
    /// A process of which only the id is known.
    pub(crate) fn of(pid: u32) -> Process {
        Process {
            pid,
            parent: None,
            argv: Vec::new(),
            peak_rss_bytes: None,
            peak_heap_bytes: None,
            exit: Exit::default(),
            heap_at_peak_bytes: None,
            recorded: false,
            first_seconds: None,
            ended_seconds: None,
            rlimit_bytes: None,
        }
    }
}

/// The moment when the heaps of all processes together were at their highest.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Peak {
    /// When, seconds since the start of the run.
    pub seconds: Option<f64>,
    /// The process that had most of the heap then.
    pub pid: Option<u32>,
    /// Heap of all processes; null if nothing was recorded.
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
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize)]
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
    /// The rest, with memory of processes that were not recorded.
    pub unexplained: Option<u64>,
    /// Extra: standard error of Python objects and native blocks together, and of the slack; 0 in an exact run.
    pub error_bytes: Option<u64>,
    /// Extra: the resident memory that all this adds up to.
    pub total: Option<u64>,
    /// Extra: when it was looked at, seconds since the start of the run.
    pub seconds: Option<f64>,
    /// Extra: which allocators kept the slack.
    pub slack: Option<Slack>,
    /// Extra: of the file-backed pages, those of programs and libraries.
    pub code_files: Option<u64>,
    /// Extra: mapped files and shared memory other than programs and libraries, the largest first.
    pub files: Vec<LedgerFile>,
}

/// Slack by allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, JsonSchema, Serialize)]
pub struct Slack {
    /// The C library's main heap.
    pub malloc_heap: u64,
    /// The arenas that it makes for threads.
    pub malloc_arenas: u64,
    /// pymalloc's arenas.
    pub pymalloc: u64,
}

/// A mapped file in the ledger.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct LedgerFile {
    /// Its path, or the name of the shared memory.
    pub path: String,
    /// Resident bytes, counted once over all processes.
    pub bytes: u64,
    /// Whether it is memory made to be shared, and no file on a disk.
    pub shared: bool,
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, JsonSchema, Serialize)]
pub struct Line {
    /// Path as Python knows it, or a word in angle brackets where there is no file.
    pub file: String,
    /// Line, where there is one.
    pub line: Option<u32>,
    /// Qualified name of the function (plain name before Python 3.11).
    pub function: String,
}

/// Memory by a place in the source.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
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
#[derive(Clone, PartialEq, Eq, Debug, Default, JsonSchema, Serialize)]
pub struct Churn {
    /// Bytes over the whole run.
    pub bytes: u64,
    /// Blocks over the whole run.
    pub blocks: u64,
    /// Where, by the innermost line.
    pub sites: Vec<Site>,
}

/// What was live at the end. A process that ended before the run did counts with what was live at its own end.
#[derive(Clone, PartialEq, Eq, Debug, Default, JsonSchema, Serialize)]
pub struct End {
    /// Heap of all processes; null if nothing was recorded.
    pub heap_bytes: Option<u64>,
    /// Where it was allocated, by the innermost line.
    pub sites: Vec<Site>,
}

/// By how much the live heap of all processes grew while the program worked: from its median in the second quarter of
/// the work to its median in the last one.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Growth {
    /// Median of the second quarter.
    pub from_bytes: u64,
    /// A moment when it was that, seconds since the start of the run.
    pub from_seconds: f64,
    /// Median of the last quarter.
    pub to_bytes: u64,
    /// The same for the last quarter.
    pub to_seconds: f64,
    /// Standard error of the difference, at most; 0 in an exact run.
    pub error_bytes: u64,
    /// The user's own lines that grew most: `bytes` is by how much, `blocks` and `error_bytes` are not known.
    pub sites: Vec<Site>,
}

impl Growth {
    /// The difference; 0 if the heap shrank.
    pub fn bytes(&self) -> u64 {
        self.to_bytes.saturating_sub(self.from_bytes)
    }
}

/// What is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, JsonSchema, Serialize, Deserialize)]
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
    /// Resident memory that the program had freed and an allocator kept.
    AllocatorSlack,
    /// Resident pages of mapped files or shared memory dominate.
    FileMapping,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 9] = [
        FindingKind::OutOfMemory,
        FindingKind::ChildProcess,
        FindingKind::CyclicGarbage,
        FindingKind::Uncollectable,
        FindingKind::GrowingHolder,
        FindingKind::NativeLeak,
        FindingKind::PeakSpike,
        FindingKind::AllocatorSlack,
        FindingKind::FileMapping,
    ];

    /// As JSON and the command line spell it.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::OutOfMemory => "out_of_memory",
            FindingKind::ChildProcess => "child_process",
            FindingKind::CyclicGarbage => "cyclic_garbage",
            FindingKind::Uncollectable => "uncollectable",
            FindingKind::GrowingHolder => "growing_holder",
            FindingKind::NativeLeak => "native_leak",
            FindingKind::PeakSpike => "peak_spike",
            FindingKind::AllocatorSlack => "allocator_slack",
            FindingKind::FileMapping => "file_mapping",
        }
    }
}

impl std::str::FromStr for FindingKind {
    type Err = String;

    /// Reads the word, or what a person might write for it.
    fn from_str(text: &str) -> Result<FindingKind, String> {
        let wanted = text.trim().to_lowercase().replace(['-', ' '], "_");
        let found = FindingKind::ALL.into_iter().find(|kind| kind.word() == wanted);
        found.ok_or_else(|| {
            let all = FindingKind::ALL.map(FindingKind::word).join(", ");
            format!("there is no kind of finding called {text}: there are {all}")
        })
    }
}

/// How grave a finding is; the gravest sorts first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, JsonSchema, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
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
    /// Extra: what was seen, and what is known of the cause, one sentence each.
    pub evidence: Vec<String>,
    /// What to do.
    pub suggestion: Option<String>,
}

/// One step of a chain of references.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Link {
    /// Type of the object.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The edge that leads to the next object.
    pub edge: String,
}
