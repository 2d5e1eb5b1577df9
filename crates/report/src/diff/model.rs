//! What changed between two programs, as plain data. Serialized, it is the contract `deadweight.diff/1`
//! (docs/diff-json.md): sizes are bytes, times are seconds, a missing fact is null.

use deadweight_analysis::manifest::Exit;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{FindingKind, Line, Link, Mode, Severity};

/// The value of [`Diff::schema`].
pub const SCHEMA: &str = "deadweight.diff/1";

/// Two captures, or two rows of captures, side by side.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Diff {
    /// Name and version of the contract.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// What is compared.
    pub before: Side,
    /// With what.
    pub after: Side,
    /// The runs as wholes.
    pub totals: Totals,
    /// Findings that came, went and stayed; the largest changes first.
    pub findings: Vec<FindingChange>,
    /// Memory at the peak by the user's own innermost line: what changed, the largest first, then the rest.
    pub user_sites: Vec<SiteChange>,
    /// The same by the innermost line.
    pub sites: Vec<SiteChange>,
    /// The same by call path.
    pub paths: Vec<PathChange>,
    /// What the objects of a type kept alive, in the heap snapshots nearest to the peaks. Empty if a side has none.
    pub types: Vec<TypeChange>,
    /// How much was compared, and how strictly.
    pub rigour: Rigour,
    /// What stands in the way of comparing, and what was done about it: one sentence each.
    pub notes: Vec<String>,
}

/// One side of the comparison.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Side {
    /// What the caller calls it: the capture's folder, or the command.
    pub name: String,
    /// How many runs it is the median of.
    pub runs: usize,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Version of its Python.
    pub python: Option<String>,
    /// How it was recorded; null if it was only watched.
    pub mode: Option<Mode>,
    /// Mean distance of two samples; null in an exact run.
    pub sampling_interval_bytes: Option<u64>,
    /// Start of the first run in UTC, as RFC 3339 has it.
    pub started: Option<String>,
    /// Duration, the median.
    pub seconds: Option<f64>,
    /// How many processes were seen, the median.
    pub processes: usize,
    /// How the first run ended.
    pub exit: Exit,
    /// When the heap was highest, seconds since the start, the median.
    pub peak_seconds: Option<f64>,
    /// The folder it was started in; paths below it are shown without it.
    pub cwd: Option<String>,
}

/// What is said of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// More than before, by more than chance explains.
    Rose,
    /// Less than before.
    Fell,
    /// What difference there is may be chance.
    NoChange,
    /// One of the sides is not known.
    Unknown,
}

/// An amount before and after.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Figure {
    /// Before; the median of several runs.
    pub before_bytes: Option<u64>,
    /// After.
    pub after_bytes: Option<u64>,
    /// After less before.
    pub change_bytes: Option<i64>,
    /// The change as a part of before; null where there was nothing before.
    pub change_ratio: Option<f64>,
    /// Standard error of the change that comes from sampling; 0 where every block was recorded.
    pub error_bytes: Option<u64>,
    /// Changes up to this may be chance.
    pub limit_bytes: Option<u64>,
    /// What is said of it.
    pub trend: Trend,
    /// Lowest and highest of several runs before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_range: Option<(u64, u64)>,
    /// Lowest and highest of several runs after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_range: Option<(u64, u64)>,
}

impl Figure {
    /// Whether it rose or fell.
    pub fn has_changed(&self) -> bool {
        matches!(self.trend, Trend::Rose | Trend::Fell)
    }

    /// The size of the change; 0 where it is not known.
    pub fn size(&self) -> u64 {
        self.change_bytes.map_or(0, i64::unsigned_abs)
    }
}

/// The runs as wholes.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Totals {
    /// Highest heap of all processes together.
    pub peak_heap: Figure,
    /// Highest resident memory of the process tree.
    pub peak_rss: Figure,
    /// Heap at the end.
    pub end_heap: Figure,
    /// Allocated and freed again, over the whole run.
    pub churn: Figure,
    /// Bytes of all findings of the kind `cyclic_garbage`.
    pub garbage: Figure,
    /// `garbage` as a part of the highest resident memory, before.
    pub garbage_share_before: Option<f64>,
    /// The same after.
    pub garbage_share_after: Option<f64>,
}

impl Totals {
    /// Those that are known of one side at least, by the names that people read.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &Figure)> {
        let all = [
            ("Peak heap", &self.peak_heap),
            ("Peak resident memory", &self.peak_rss),
            ("Live at the end", &self.end_heap),
            ("Allocated and freed again", &self.churn),
            ("Cyclic garbage", &self.garbage),
        ];
        all.into_iter()
            .filter(|(_, figure)| figure.before_bytes.or(figure.after_bytes).is_some())
    }
}

/// A line before and after.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct SiteChange {
    /// The line before; null if nothing came from it.
    pub before: Option<Line>,
    /// The line after.
    pub after: Option<Line>,
    /// How much, at the peaks.
    #[serde(flatten)]
    pub figure: Figure,
    /// The most that came from it at any time before, as far as it was recorded.
    pub highest_before_bytes: u64,
    /// The same after.
    pub highest_after_bytes: u64,
    /// It held as much in both runs, but not at both peaks: the peak is at another moment. `trend` is `no_change` then.
    pub other_moment: bool,
    /// The callers of the heaviest stack at this line, the outermost last; after, or else before.
    pub stack: Vec<Line>,
}

/// A call path before and after. Paths are the same if the functions are; the lines are those of the heaviest one.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct PathChange {
    /// The calls, innermost first; after, or else before.
    pub frames: Vec<Line>,
    /// How much, at the peaks.
    #[serde(flatten)]
    pub figure: Figure,
}

/// Objects of a type before and after.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct TypeChange {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What would go with all of them.
    #[serde(flatten)]
    pub figure: Figure,
    /// How many before; null if it is not among the types that kept most.
    pub before_objects: Option<u64>,
    /// How many after.
    pub after_objects: Option<u64>,
}

/// Whether a finding is in both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Only after.
    Came,
    /// Only before.
    Went,
    /// In both.
    Stayed,
}

/// A finding before and after.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct FindingChange {
    /// Names it in every run of the program, 16 hexadecimal digits.
    pub fingerprint: String,
    /// What.
    pub kind: FindingKind,
    /// Whether it is in both.
    pub standing: Standing,
    /// How much. `no_change` for one that came or went: it is so small that it may be there by chance.
    #[serde(flatten)]
    pub figure: Figure,
    /// How grave it was before.
    pub before_severity: Option<Severity>,
    /// How grave it is after.
    pub after_severity: Option<Severity>,
    /// Type of the objects.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// From the root, or around the cycle.
    pub chain: Vec<Link>,
    /// Whether `chain` is a cycle.
    pub cycle: Option<bool>,
    /// The user's own line that most of it came from; after, or else before.
    pub at: Option<Line>,
    /// The finding in one sentence; after, or else before.
    pub title: String,
    /// What to do, if it is still there.
    pub suggestion: Option<String>,
}

/// How much was compared, and how strictly.
#[derive(Clone, Copy, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Rigour {
    /// Lines of the user that were compared.
    pub user_sites: usize,
    /// Innermost lines.
    pub sites: usize,
    /// Call paths.
    pub paths: usize,
    /// Types.
    pub types: usize,
    /// A total counts as changed from this number of standard errors on.
    pub total_sigmas: f64,
    /// A line or call path counts as changed from this number of standard errors on: more than a total, because many are
    /// compared.
    pub list_sigmas: f64,
    /// How often sampling alone lets two equal runs differ anywhere.
    pub false_alarms: f64,
}
