//! What the report says of regions: the program's own, and functions that were named.

use std::collections::BTreeMap;

use deadweight_analysis::{Amount, Analysis, Region, RegionSource};
use serde::Serialize;

use crate::build::seconds_between;
use crate::names;
use crate::timeline::MarkView;

/// Spans of a region that are in the report.
const MOST_SPANS: usize = 32;

/// All enterings of the regions of one name in one process.
///
/// Its own are the allocations of the threads and tasks that entered it, made inside it; only the heap is the whole
/// process's. In a sampled run amounts are estimates with their standard error.
#[derive(Clone, PartialEq, Debug, Serialize)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The program.
    Program,
    /// The recorded stacks: times are as coarse as the allocations, and calls that follow closely are one.
    Function,
}

/// One entering.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RegionSpan {
    /// Seconds since the start of the run.
    pub entered: f64,
    /// The same.
    pub left: f64,
}

/// The regions of all processes, the one that needed most first.
pub(crate) fn build(analysis: &Analysis, start_nanos: u64) -> Vec<RegionView> {
    let of_processes = analysis.processes.iter();
    let regions = of_processes.flat_map(|process| process.regions.iter().map(|region| (process.id.pid, region)));
    let mut views: Vec<RegionView> = regions.map(|(pid, region)| view(pid, region, start_nanos)).collect();
    views.sort_by(|a, b| {
        let by_peak = b.peak_bytes.cmp(&a.peak_bytes);
        by_peak.then_with(|| (a.pid, &a.name).cmp(&(b.pid, &b.name)))
    });
    views
}

fn view(pid: u32, region: &Region, start_nanos: u64) -> RegionView {
    let span = |&(entered, left): &(u64, u64)| RegionSpan {
        entered: seconds_between(start_nanos, entered),
        left: seconds_between(start_nanos, left),
    };
    let mut spans = region.spans_nanos.clone();
    spans.sort_by_key(|(entered, left)| std::cmp::Reverse(left.saturating_sub(*entered)));
    spans.truncate(MOST_SPANS);
    spans.sort_unstable();
    RegionView {
        name: names::clean(&region.name).into_owned(),
        source: match region.source {
            RegionSource::Program => Source::Program,
            RegionSource::Function => Source::Function,
        },
        pid,
        entries: region.entries,
        unfinished: region.unfinished,
        seconds: region.nanos as f64 / 1e9,
        peak_bytes: region.peak.bytes,
        peak_error_bytes: region.peak.error_bytes(),
        heap_peak_bytes: region.heap_peak.bytes,
        heap_peak_error_bytes: region.heap_peak.error_bytes(),
        growth_bytes: region.growth_bytes(),
        growth_error_bytes: region.growth_error_bytes(),
        churn_bytes: region.churn.bytes,
        churn_error_bytes: region.churn.error_bytes(),
        spans: spans.iter().map(span).collect(),
    }
}

/// Functions that were named and never met, one sentence each.
pub(crate) fn unmet(wanted: &[String], views: &[RegionView]) -> Vec<String> {
    let is_met = |name: &String| {
        views
            .iter()
            .any(|view| view.source == Source::Function && view.name == *name)
    };
    let unmet = wanted.iter().filter(|name| !is_met(name));
    unmet
        .map(|name| {
            format!(
                "No recorded allocation was made inside {}: the name may be misspelt, the function may be written in C, or it \
                 allocates little.",
                names::clean(name)
            )
        })
        .collect()
}

/// The spans as marks of the timeline.
pub(crate) fn marks(views: &[RegionView]) -> Vec<MarkView> {
    let spans = views
        .iter()
        .flat_map(|view| view.spans.iter().map(move |span| (view, span)));
    let mut marks: Vec<MarkView> = spans
        .map(|(view, span)| MarkView {
            seconds: span.entered,
            pid: view.pid,
            what: "region".to_owned(),
            name: Some(view.name.clone()),
            until_seconds: Some(span.left),
        })
        .collect();
    marks.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    marks
}

/// The regions of one name in all processes: what a table has of them.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub name: &'a str,
    pub is_function: bool,
    pub entries: u64,
    pub unfinished: u64,
    pub seconds: f64,
    pub processes: usize,
    pub peak: Amount,
    pub growth: (i64, f64),
    pub churn: u64,
}

/// One row for each name, the one that needed most first. Peaks are the highest, all else is summed up.
pub(crate) fn rows(views: &[RegionView]) -> Vec<Row<'_>> {
    let mut rows: BTreeMap<(Source, &str), Row<'_>> = BTreeMap::new();
    for view in views {
        let row = rows.entry((view.source, &view.name)).or_insert(Row {
            name: &view.name,
            is_function: view.source == Source::Function,
            entries: 0,
            unfinished: 0,
            seconds: 0.0,
            processes: 0,
            peak: Amount::default(),
            growth: (0, 0.0),
            churn: 0,
        });
        row.entries += view.entries;
        row.unfinished += view.unfinished;
        row.seconds += view.seconds;
        row.processes += 1;
        if view.peak_bytes >= row.peak.bytes {
            row.peak.bytes = view.peak_bytes;
            row.peak.variance = view.peak_error_bytes.saturating_mul(view.peak_error_bytes);
        }
        row.growth.0 = row.growth.0.saturating_add(view.growth_bytes);
        row.growth.1 += (view.growth_error_bytes as f64).powi(2);
        row.churn = row.churn.saturating_add(view.churn_bytes);
    }
    let mut rows: Vec<Row<'_>> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.peak.bytes));
    rows
}
