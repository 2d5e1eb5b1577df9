//! Memory over time, as the supervisor saw it from outside.

use schemars::JsonSchema;
use serde::Serialize;

/// Memory over time.
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize)]
pub struct TimelineView {
    /// In the order of time; of a long run, the older ones are the highest of their span.
    pub points: Vec<PointView>,
    /// The limits that applied, each from its time on.
    pub limits: Vec<LimitView>,
    /// What happened.
    pub marks: Vec<MarkView>,
    /// Processes by their start, as the points name them.
    pub processes: Vec<SpanView>,
}

/// Resident memory at one moment.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct PointView {
    /// Since the start of the run.
    pub seconds: f64,
    /// All processes.
    pub rss_bytes: u64,
    /// What the control group counts, page cache included.
    pub group_bytes: Option<u64>,
    /// The large processes.
    pub processes: Vec<ProcessPoint>,
}

/// One process at one moment.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct ProcessPoint {
    /// Number of the process in the timeline's `processes`, since process ids repeat.
    pub number: u32,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Pages that n processes share count as 1/n; where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// Pages of its own; where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uss_bytes: Option<u64>,
}

/// A limit.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct LimitView {
    /// From when on.
    pub seconds: f64,
    /// null for no limit.
    pub bytes: Option<u64>,
    /// `cgroup` or `machine`.
    pub kind: String,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct MarkView {
    /// When.
    pub seconds: f64,
    /// To which process.
    pub pid: u32,
    /// `snapshot`, `killed`, `region`.
    pub what: String,
    /// What a region is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When a region was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_seconds: Option<f64>,
}

/// A process.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct SpanView {
    /// Counts from 0.
    pub number: u32,
    /// Process id.
    pub pid: u32,
    /// Command line, shortened.
    pub argv: Vec<String>,
    /// When it was first seen.
    pub first_seconds: f64,
    /// When it was gone; null if it was not.
    pub ended_seconds: Option<f64>,
    /// Its highest resident memory.
    pub peak_rss_bytes: u64,
}

impl TimelineView {
    /// The highest total.
    pub(crate) fn highest(&self) -> u64 {
        self.points.iter().map(|point| point.rss_bytes).max().unwrap_or(0)
    }

    /// The last moment of which anything is known.
    pub(crate) fn end(&self) -> f64 {
        let ends = self.processes.iter().filter_map(|process| process.ended_seconds);
        let last = self.points.last().map(|point| point.seconds);
        ends.chain(last).fold(0.0, f64::max)
    }

    /// The last limit of a control group.
    pub(crate) fn group_limit(&self) -> Option<u64> {
        let limit = self.limits.last()?;
        limit.bytes.filter(|_| limit.kind == "cgroup")
    }
}
