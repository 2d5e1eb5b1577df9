//! Containers that grow from snapshot to snapshot.
//!
//! A program that loads its data into a list grows one, too. So what is gone again in the last snapshot is never more
//! than medium.

use deadweight_heap::{Holder, HolderSeries, Step, holders_over_time, short_type};

use super::{Evidence, MOST, advice, chain, found, garbage, has_grown, severity};
use crate::model::{Finding, FindingKind, Report, Severity};
use crate::units;

/// A holder must have been seen growing this often: two points may be chance.
const POINTS: usize = 3;
/// Without elements that can be counted, more often.
const POINTS_ALONE: usize = 4;

/// Holders that grew in at least [`POINTS`] snapshots in a row.
pub(super) fn growing(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let series = holders_over_time(evidence.snapshots);
    // What only native code holds at that moment is on its way somewhere.
    let grown = series
        .iter()
        .filter(|series| series.top().1.rooted && grew(series))
        .take(MOST);
    grown
        .filter_map(|series| finding_of(series, evidence, report))
        .collect()
}

fn grew(series: &HolderSeries<'_>) -> bool {
    let Some((_, first)) = series.points.get(series.rise.start) else {
        return false;
    };
    let (_, top) = series.top();
    let points = series.rise.len();
    let larger = has_grown(first.amount.bytes(), top.amount.bytes());
    match (&first.elements, &top.elements) {
        (Some(before), Some(after)) => points >= POINTS && larger && after.count > before.count,
        // It became a container of many while it was watched.
        (None, Some(_)) => points >= POINTS && larger,
        (_, None) => points >= POINTS_ALONE && larger,
    }
}

fn finding_of(series: &HolderSeries<'_>, evidence: &Evidence<'_>, report: &Report) -> Option<Finding> {
    let (_, holder) = series.top();
    let (_, first) = series.points.get(series.rise.start)?;
    let bytes = holder.amount.bytes();
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
        Severity::High if !stays => Severity::Medium,
        severity => severity,
    };
    let size = units::size(bytes);
    let title = match (&holder.elements, &first.elements) {
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
    found.suggestion = Some(advice::for_holder(holder));
    Some(found)
}

/// The holder as the program would write it: `titles (in main)`, `matplotlib._pylab_helpers.Gcf.figs`.
pub(super) fn expression(holder: &Holder) -> String {
    // The last step's edge leads to the elements.
    let edges = |steps: &[Step]| {
        let before_last = steps.iter().take(steps.len().saturating_sub(1));
        before_last.map(|step| step.edge.as_str()).collect::<String>()
    };
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
