//! Containers that grow from snapshot to snapshot.
//!
//! It was seen growing in several snapshots, or it holds what grew in a straight line through the whole run: on a busy
//! machine there may be few snapshots. A program that loads its data into a list grows one, too. So what is gone again in
//! the last snapshot is never more than medium, and what ceased to grow long before the end is low.

use deadweight_heap::{Holder, HolderSeries, SnapshotAnswer, Step, holders_over_time, short_type};

use super::history::{self, AllocationHistory, AtPeak};
use super::{advice, garbage};
use crate::findings::evidence::Evidence;
use crate::findings::finding::{MOST, chain, found, has_grown, severity};
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Report, Severity};
use crate::words::units;

/// Holders that grew in at least three snapshots in a row.
pub(super) fn growing(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let series = holders_over_time(evidence.snapshots);
    let mut found = Vec::new();
    // What only native code holds at that moment is on its way somewhere.
    for series in series.iter().filter(|series| series.top().1.rooted) {
        let history = history::of(evidence, series.process, &series.top().1.stacks);
        let steady = history.as_ref().filter(|history| is_steady(series, history, evidence));
        if grew(series, history.as_ref(), evidence) || steady.is_some() {
            found.extend(finding_of(series, history.as_ref(), evidence, report));
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// Whether it holds what grew in a straight line through the whole run: then one snapshot tells enough, if it is the
/// last one.
fn is_steady(series: &HolderSeries<'_>, history: &AllocationHistory, evidence: &Evidence<'_>) -> bool {
    let (snapshot, holder) = series.top();
    let bytes = holder.amount.bytes();
    bytes >= limit::LEAK_LEAST_BYTES
        && history::known(&holder.stacks) >= limit::HOLDER_KNOWN.of(bytes)
        && !complete(series, evidence).any(|other| other.number > snapshot.number)
        && history.is_steady(bytes, snapshot.nanos)
}

/// The complete snapshots of the holder's process.
fn complete<'a>(series: &HolderSeries<'_>, evidence: &Evidence<'a>) -> impl Iterator<Item = &'a SnapshotAnswer> {
    let process = series.process;
    let snapshots = evidence.snapshots.iter();
    snapshots.filter(move |other| other.complete && other.process == process)
}

fn grew(series: &HolderSeries<'_>, history: Option<&AllocationHistory>, evidence: &Evidence<'_>) -> bool {
    let Some((_, first)) = series.points.get(series.rise.start) else {
        return false;
    };
    let (snapshot, top) = series.top();
    let seen = series.rise.len();
    // Two may be chance, so what the other points tell is never enough by itself.
    let points = match seen {
        ..2 => seen,
        _ => seen + usize::from(began_later(series, evidence)) + usize::from(went_on(snapshot, top, history, evidence)),
    };
    let larger = has_grown(first.amount.bytes(), top.amount.bytes());
    match (&first.elements, &top.elements) {
        (Some(before), Some(after)) => points >= limit::GROWN_LEAST_SNAPSHOTS && larger && after.count > before.count,
        // It became a container of many while it was watched.
        (None, Some(_)) => points >= limit::GROWN_LEAST_SNAPSHOTS && larger,
        (_, None) => points >= limit::GROWN_UNCOUNTED_LEAST_SNAPSHOTS && larger,
    }
}

/// Whether a complete snapshot from before its rise does not list it, because it was too small then: for what a module has,
/// whose path is always the same. A variable of a function is not there before the call.
fn began_later(series: &HolderSeries<'_>, evidence: &Evidence<'_>) -> bool {
    let Some((first, holder)) = series.points.first().filter(|_| series.rise.start == 0) else {
        return false;
    };
    let is_a_modules = holder.path.first().is_some_and(|root| root.type_name == "sys.modules");
    is_a_modules && complete(series, evidence).any(|other| other.number < first.number)
}

/// Whether what was allocated for it went on growing up to the peak.
fn went_on(
    top: &SnapshotAnswer,
    holder: &Holder,
    history: Option<&AllocationHistory>,
    evidence: &Evidence<'_>,
) -> bool {
    let bytes = holder.amount.bytes();
    let at_peak = history::at_peak(history, (bytes, &holder.stacks), top.nanos, evidence);
    has_grown(bytes, at_peak.bytes)
}

/// Whether the growth ended long before the program did, as that of a cache that is full: the rest of the run was a third
/// of it and longer than the growth, and resident memory did not rise in it.
fn has_stopped(series: &HolderSeries<'_>, evidence: &Evidence<'_>) -> bool {
    let (top, _) = series.top();
    let Some((first, _)) = series.points.get(series.rise.start) else {
        return false;
    };
    let (start, end) = evidence.span_nanos;
    let rest = end.saturating_sub(top.nanos);
    if rest < limit::STOPPED_LEAST_OF_RUN.of(end.saturating_sub(start)) || rest < top.nanos.saturating_sub(first.nanos)
    {
        return false;
    }
    // A snapshot begins at some point of a rise, and what is mapped in one piece comes at once.
    let settled = top.nanos.saturating_add(limit::STOPPED_SETTLES_OF_REST.of(rest));
    let highest = |from: u64, to: u64| {
        let within = evidence
            .moments
            .iter()
            .filter(|moment| (from..to).contains(&moment.nanos));
        within.map(|moment| moment.total).max()
    };
    match (highest(start, settled), highest(settled, u64::MAX)) {
        (Some(before), Some(after)) => after <= before.saturating_add(limit::STOPPED_RISE_OF_TOTAL.of(before)),
        _ => false,
    }
}

fn finding_of(
    series: &HolderSeries<'_>,
    history: Option<&AllocationHistory>,
    evidence: &Evidence<'_>,
    report: &Report,
) -> Option<Finding> {
    let (top, holder) = series.top();
    let (_, first) = series.points.get(series.rise.start)?;
    let in_snapshot = holder.amount.bytes();
    let AtPeak { bytes, because } = history::at_peak(history, (in_snapshot, &holder.stacks), top.nanos, evidence);
    let has_settled = history.is_some_and(|history| history.is_gone() || history.has_settled(in_snapshot, top.nanos));
    let of_process = evidence
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.process == series.process);
    let last = of_process.map(|snapshot| snapshot.number).max();
    let stays = series
        .points
        .last()
        .is_some_and(|(point, _)| Some(point.number) == last);
    let severity = match severity(bytes, report)? {
        _ if has_settled || has_stopped(series, evidence) => Severity::Low,
        Severity::High if !stays => Severity::Medium,
        severity => severity,
    };
    let size = units::size(in_snapshot);
    let title = match (&holder.elements, &first.elements) {
        _ if series.rise.len() < 2 => {
            let what = match &holder.elements {
                Some(now) => format!("{}, which hold {size},", garbage::objects(now.count, &now.type_name)),
                None => size,
            };
            format!("{} has {what} and grew steadily.", expression(holder))
        }
        (Some(now), Some(before)) => format!(
            "{} grew from {} to {} objects of type {}, which hold {size}.",
            expression(holder),
            units::grouped(before.count),
            units::grouped(now.count),
            short_type(&now.type_name),
        ),
        (Some(now), None) => {
            let objects = garbage::objects(now.count, &now.type_name);
            format!("{} grew to {objects}, which hold {size}.", expression(holder))
        }
        (None, _) => format!(
            "{} grew from {} to {size}.",
            expression(holder),
            units::size(first.amount.bytes())
        ),
    };
    let what = (FindingKind::GrowingHolder, severity, title, bytes);
    let mut found = found(what, series.process, &holder.stacks, (evidence, report));
    found.count = holder.elements.as_ref().map(|elements| elements.count);
    let of_elements = holder.elements.as_ref().map(|elements| elements.type_name.clone());
    found.type_name = Some(of_elements.unwrap_or_else(|| holder.type_name.clone()));
    found.chain = chain(&holder.path, holder.rooted);
    found.cycle = Some(false);
    found.freeable_by_gc = Some(false);
    found.evidence.extend(history.and_then(AllocationHistory::pace));
    found.evidence.extend(because);
    found.suggestion = Some(advice::for_holder(holder));
    Some(found)
}

/// The holder as the program would write it: `titles (in main)`, `matplotlib._pylab_helpers.Gcf.figs`.
pub(crate) fn expression(holder: &Holder) -> String {
    let Some((root, rest)) = holder.path.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return short_type(&holder.type_name).to_owned();
    };
    let local = root
        .edge
        .strip_prefix("<local ")
        .and_then(|name| name.strip_suffix('>'));
    let module = root.edge.strip_prefix("['").and_then(|name| name.strip_suffix("']"));
    match (local, module) {
        (Some(local), _) => {
            let function = root.type_name.strip_prefix("frame ").unwrap_or(&root.type_name);
            format!("{local}{} (in {function})", edges(rest))
        }
        (None, Some(module)) if root.type_name == "sys.modules" => format!("{module}{}", edges(rest)),
        _ => format!("{}{}{}", root.type_name, root.edge, edges(rest)),
    }
}

/// The references of a path as source: `.ww._dataframe`. That of the last step, which leads to its elements, is no part of it.
pub(super) fn edges(steps: &[Step]) -> String {
    let before_last = steps.iter().take(steps.len().saturating_sub(1));
    before_last.map(|step| step.edge.as_str()).collect()
}
