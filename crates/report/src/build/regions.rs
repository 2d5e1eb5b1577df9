//! The regions of all processes: the program's own, and functions that were named.

use deadweight_analysis::{Analysis, Region, RegionSource};

use crate::build::clock::seconds_between;
use crate::model::{MarkView, RegionSpan, RegionView, Source};
use crate::words::names;

/// Spans of a region that are in the report.
const MOST_SPANS: usize = 32;

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
