//! What the report says of regions: the program's own, and functions that were named.

use schemars::JsonSchema;
use serde::Serialize;

/// All enterings of the regions of one name in one process.
///
/// Its own are the allocations of the threads and tasks that entered it, made inside it; only the heap is the whole
/// process's. In a sampled run amounts are estimates with their standard error.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct RegionView {
    /// As the program calls it, or `module:function`.
    pub name: String,
    /// Who says where it begins and ends.
    pub source: Source,
    /// In which process.
    pub pid: u32,
    /// How often it was entered.
    pub entries: u64,
    /// How many of these were not left before the process, or the recording, ended.
    pub unfinished: u64,
    /// How long all of them together took.
    pub seconds: f64,
    /// The most that one entering had live at once of its own.
    pub peak_bytes: u64,
    /// Standard error of that.
    pub peak_error_bytes: u64,
    /// The highest heap of the process while one was active.
    pub heap_peak_bytes: u64,
    /// Standard error of that.
    pub heap_peak_error_bytes: u64,
    /// Live when left less live when entered: what it left behind of its own less what it freed of what was there before.
    pub growth_bytes: i64,
    /// Standard error of that.
    pub growth_error_bytes: u64,
    /// Its own that it, or somebody, freed again before it was left.
    pub churn_bytes: u64,
    /// Standard error of that.
    pub churn_error_bytes: u64,
    /// When it was active: the longest spans, seconds since the start of the run.
    pub spans: Vec<RegionSpan>,
}

/// Who says where a region begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The program.
    Program,
    /// The recorded stacks: times are as coarse as the allocations, and calls that follow closely are one.
    Function,
}

/// One entering.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize)]
pub struct RegionSpan {
    /// Seconds since the start of the run.
    pub entered: f64,
    /// The same.
    pub left: f64,
}
