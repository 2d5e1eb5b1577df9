//! `timeline.jsonl`: the resident memory of a run's processes over time, as the supervisor measured it.
//!
//! One JSON object per line, each appended with one write, so the file is readable whenever its writer is killed. Nothing
//! here comes from the agent: the file is the same for programs that are not Python.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::Exit;

pub use write::TimelineWriter;

/// The timeline's file name in a capture.
pub const FILE: &str = "timeline.jsonl";
/// Newest version of the file that this crate reads and writes.
pub const VERSION: u32 = 1;

/// Names a process in a timeline: counts from 0 in the order in which they were seen, since process ids repeat in long
/// runs.
pub type Number = u32;

/// Resident memory at one moment, in bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Point {
    /// Milliseconds since the start.
    pub ms: u64,
    /// All processes; pages that they share count once where that is known.
    pub total: u64,
    /// What the control group with the limit counts, if there is one: it includes page cache and kernel memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u64>,
    /// The large processes, each with its resident memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rss: Vec<(Number, u64)>,
    /// Proportional size, where it was measured: pages that n processes share count as 1/n.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pss: Vec<(Number, u64)>,
    /// Pages that only this process has, where they were measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uss: Vec<(Number, u64)>,
}

/// A process of the timeline.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TimelineProcess {
    /// Its name in the points.
    pub number: Number,
    /// Process id.
    pub pid: u32,
    /// Its parent's process id.
    pub parent: u32,
    /// Milliseconds since the start when it was first seen.
    pub ms: u64,
    /// Command line, shortened.
    pub argv: Vec<String>,
    /// When it had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Its highest resident memory in bytes: exact although points are thinned out.
    #[serde(default)]
    pub peak: u64,
    /// When that was.
    #[serde(default)]
    pub peak_ms: u64,
    /// How it ended, if that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

/// The memory limit that applied from some time on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LimitChange {
    /// Milliseconds since the start.
    pub ms: u64,
    /// The limit; `None` if there is none.
    pub bytes: Option<u64>,
    /// `cgroup` or `machine`.
    pub of: String,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Milliseconds since the start.
    pub ms: u64,
    /// Process id.
    pub pid: u32,
    /// `exec`, `snapshot` or `killed`; readers take any word.
    pub what: String,
}

/// A line of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Record {
    Timeline {
        version: u32,
    },
    /// A process that appeared or changed: the last record of a number counts.
    Process(TimelineProcess),
    Limit(LimitChange),
    Mark(Mark),
    Point(Point),
}

/// A whole timeline.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timeline {
    /// In the order of time. In a long run each older point is the highest of several.
    pub points: Vec<Point>,
    /// By number. Of more than 1000, the smallest ones that have ended are left out.
    pub processes: BTreeMap<Number, TimelineProcess>,
    /// In the order of time.
    pub limits: Vec<LimitChange>,
    /// In the order of time.
    pub marks: Vec<Mark>,
    /// Lines that could not be read.
    pub damaged_lines: u64,
}

impl Timeline {
    /// The point with the highest total, the first of several.
    pub fn peak(&self) -> Option<&Point> {
        let mut peak: Option<&Point> = None;
        for point in &self.points {
            if peak.is_none_or(|peak| point.total > peak.total) {
                peak = Some(point);
            }
        }
        peak
    }

    /// The limit that applied at a time.
    pub fn limit_at(&self, ms: u64) -> Option<&LimitChange> {
        self.limits.iter().rev().find(|limit| limit.ms <= ms)
    }
}
