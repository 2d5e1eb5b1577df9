//! What a comparison says, in words that every view uses.

use super::model::{Diff, Figure, FindingChange, SiteChange, Standing, Trend};
use crate::model::{FindingKind, Line, Link};
use crate::words::{names, units};

/// A change in bytes with its sign: `+120 MiB`, `-1.50 KiB`, `0 B`.
pub(crate) fn signed(change: i64) -> String {
    let size = units::size(change.unsigned_abs());
    match change {
        0 => size,
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}

/// A change as a part of what was before: `+14 %`, `-51 %`; `new` and `gone` where there is nothing on a side.
pub(crate) fn ratio(figure: &Figure) -> String {
    match (figure.before_bytes, figure.after_bytes, figure.change_bytes) {
        (Some(0), Some(0), _) => "0 %".to_owned(),
        (Some(0), _, Some(_)) => "new".to_owned(),
        (_, Some(0), Some(_)) => "gone".to_owned(),
        (Some(before), _, Some(change)) => {
            let percent = units::percent(change.unsigned_abs(), before);
            match change {
                0 => percent,
                1.. => format!("+{percent}"),
                _ => format!("-{percent}"),
            }
        }
        _ => "-".to_owned(),
    }
}

/// An amount, or `-` where it is not known.
pub(crate) fn amount(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), units::size)
}

/// What is said of a change: `-95.1 MiB`, `no change`, `not known`.
pub(crate) fn change(figure: &Figure) -> String {
    match (figure.trend, figure.change_bytes) {
        (Trend::Rose | Trend::Fell, Some(change)) => signed(change),
        (Trend::NoChange, _) => "no change".to_owned(),
        _ => "not known".to_owned(),
    }
}

/// How sure that is: `± 3.10 MiB`, `chance explains up to 1.90 MiB`, the ranges of several runs.
pub(crate) fn certainty(figure: &Figure) -> String {
    match figure.trend {
        Trend::Unknown => String::new(),
        Trend::NoChange => by_chance(figure),
        Trend::Rose | Trend::Fell => match (figure.before_range, figure.after_range, figure.error_bytes) {
            (Some(was), Some(is), _) => format!("runs: {}, {}", range(was), range(is)),
            (_, _, Some(error)) if error > 0 => format!("± {}", units::size(error)),
            _ => by_chance(figure),
        },
    }
}

fn by_chance(figure: &Figure) -> String {
    format!("chance explains up to {}", units::size(figure.limit_bytes.unwrap_or(0)))
}

fn range((low, high): (u64, u64)) -> String {
    format!("{} to {}", units::size(low), units::size(high))
}

/// A place, and where it was: `bench.py:58 (was :18)`.
pub(crate) fn place(change: &SiteChange, diff: &Diff) -> String {
    let (was, is) = (diff.before.cwd.as_deref(), diff.after.cwd.as_deref());
    let moved = |before: &Line, after: &Line| {
        let (old, new) = (names::short_path(&before.file, was), names::short_path(&after.file, is));
        if old != new {
            format!(" (was {})", names::location(before, was))
        } else if let (Some(old), true) = (before.line, before.line != after.line) {
            format!(" (was :{old})")
        } else {
            String::new()
        }
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{}{}", names::location(after, is), moved(before, after)),
        (Some(before), None) => names::location(before, was),
        (None, Some(after)) => names::location(after, is),
        (None, None) => String::new(),
    }
}

/// The function of a place.
pub(crate) fn function(change: &SiteChange) -> String {
    let at = change.after.as_ref().or(change.before.as_ref());
    at.map(|at| names::clean(&at.function).into_owned()).unwrap_or_default()
}

/// The kind of a finding as `deadweight explain` takes it.
pub(crate) fn kind(kind: FindingKind) -> String {
    let kind = serde_json::to_value(kind).ok();
    kind.and_then(|kind| kind.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What a finding is about: its cycle or chain, or its line.
pub(crate) fn about(found: &FindingChange, diff: &Diff) -> String {
    let cwd = match found.standing {
        Standing::Went => diff.before.cwd.as_deref(),
        _ => diff.after.cwd.as_deref(),
    };
    if !found.chain.is_empty() {
        let step = |link: &Link| format!("{}{}", link.type_name, link.edge);
        let mut steps: Vec<String> = found.chain.iter().map(step).collect();
        if found.cycle == Some(true) {
            steps.extend(found.chain.first().map(|first| first.type_name.clone()));
        }
        return names::clean(&steps.join(" → ")).into_owned();
    }
    match &found.at {
        Some(at) => format!("{} in {}", names::location(at, cwd), names::clean(&at.function)),
        None => names::clean(&found.title).into_owned(),
    }
}

/// `gone`, `new`, `unchanged`. A small one may have come by chance; and a spike that is as it was may have been hidden by a
/// higher one.
pub(crate) fn standing(found: &FindingChange) -> &'static str {
    let is_spike = found.kind == FindingKind::PeakSpike;
    match (found.standing, found.figure.has_changed(), found.figure.trend) {
        (Standing::Went, false, _) if is_spike => "not the peak",
        (Standing::Came, false, _) if is_spike => "now the peak",
        (Standing::Went, true, _) => "gone",
        (Standing::Came, true, _) => "new",
        (Standing::Went, false, _) => "perhaps gone",
        (Standing::Came, false, _) => "perhaps new",
        (Standing::Stayed, _, Trend::Rose) => "larger",
        (Standing::Stayed, _, Trend::Fell) => "smaller",
        (Standing::Stayed, _, _) => "unchanged",
    }
}

/// The comparison in a few sentences: what changed, by how much, how surely, and where.
pub(crate) fn summary(diff: &Diff) -> Vec<String> {
    let (what, figure) = match diff.totals.peak_heap.trend {
        Trend::Unknown => ("resident memory", &diff.totals.peak_rss),
        _ => ("heap", &diff.totals.peak_heap),
    };
    let mut sentences = vec![headline(what, figure)];
    sentences.extend(sureness(diff, figure));
    if let Some(site) = diff.user_sites.first().filter(|site| site.figure.has_changed()) {
        sentences.push(format!(
            "The largest change is at {} in {}: {} ({}).",
            place(site, diff),
            function(site),
            change(&site.figure),
            ratio(&site.figure)
        ));
    } else if figure.has_changed() && !diff.user_sites.is_empty() {
        sentences.push("It is spread over many lines: no single one changed by more than chance explains.".to_owned());
    }
    for found in diff.findings.iter().filter(|found| found.figure.has_changed()) {
        let word = match standing(found) {
            "gone" => "Gone",
            "new" => "New",
            "larger" => "Larger",
            _ => "Smaller",
        };
        let size = match found.standing {
            Standing::Went => amount(found.figure.before_bytes),
            Standing::Came => amount(found.figure.after_bytes),
            Standing::Stayed => change(&found.figure),
        };
        sentences.push(format!("{word}: {} {}, {size}.", kind(found.kind), about(found, diff)));
    }
    sentences
}

fn headline(what: &str, figure: &Figure) -> String {
    let (was, is) = (amount(figure.before_bytes), amount(figure.after_bytes));
    let by = units::size(figure.size());
    match figure.trend {
        Trend::Rose => format!("Peak {what} rose by {by} ({}), from {was} to {is}.", ratio(figure)),
        Trend::Fell => format!("Peak {what} fell by {by} ({}), from {was} to {is}.", ratio(figure)),
        Trend::NoChange => format!("No change of peak {what}: {was} before, {is} after."),
        Trend::Unknown => format!("Peak {what} cannot be compared: {was} before, {is} after."),
    }
}

/// How sure the headline is.
fn sureness(diff: &Diff, figure: &Figure) -> Option<String> {
    let limit = units::size(figure.limit_bytes?);
    if let (Some(was), Some(is)) = (figure.before_range, figure.after_range) {
        let runs = units::count(diff.before.runs as u64, "run", "runs");
        return Some(format!(
            "These are medians of {runs} each, which went from {} and from {}; a change up to {limit} could be chance.",
            range(was),
            range(is)
        ));
    }
    let whole = figure.before_bytes.max(figure.after_bytes).unwrap_or(0);
    let part = units::percent(figure.limit_bytes?, whole);
    Some(match (figure.trend, figure.error_bytes?) {
        (Trend::NoChange, error) => {
            let remedy = match error > figure.limit_bytes? / 8 {
                true => ": `--exact` records every block, several runs (`--run -n`) tell more",
                false => "",
            };
            format!("A change up to {limit} ({part}) could not be told from chance{remedy}.")
        }
        (_, 0) => {
            format!("This is sure: nothing of it is estimated, and equal runs differ by no more than {limit} ({part}).")
        }
        (_, error) => format!(
            "This is sure: the standard error of the change is {}, and chance explains no more than {limit} ({part}).",
            units::size(error)
        ),
    })
}

/// How strictly the lists were judged.
pub(crate) fn rigour(diff: &Diff) -> Option<String> {
    let rigour = &diff.rigour;
    let lines = units::count(rigour.sites as u64, "line", "lines");
    (rigour.sites > 0).then(|| {
        format!(
            "{lines} and {} were compared. One counts as changed if the change is more than {:.1} standard errors, and more \
             than equal runs differ by: two equal runs show a change in at most {} of 1,000 comparisons.",
            units::count(rigour.paths as u64, "call path", "call paths"),
            rigour.list_sigmas,
            (rigour.false_alarms * 1000.0).ceil() as u64
        )
    })
}

/// `8 more changed less`, if a list is longer than shown.
pub(crate) fn more(changed: usize, shown: usize) -> Option<String> {
    (changed > shown).then(|| format!("and {} more", changed - shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(before: u64, after: u64) -> Figure {
        Figure {
            before_bytes: Some(before),
            after_bytes: Some(after),
            change_bytes: Some(after as i64 - before as i64),
            change_ratio: None,
            error_bytes: Some(0),
            limit_bytes: Some(0),
            trend: Trend::Rose,
            before_range: None,
            after_range: None,
        }
    }

    #[test]
    fn signs_and_percents_are_unambiguous() {
        assert_eq!(
            (signed(120 << 20), signed(-1536), signed(0)),
            ("+120 MiB".to_owned(), "-1.50 KiB".to_owned(), "0 B".to_owned())
        );
        assert_eq!(ratio(&figure(100, 114)), "+14 %");
        assert_eq!(ratio(&figure(100, 49)), "-51 %");
        assert_eq!(ratio(&figure(0, 49)), "new");
        assert_eq!(ratio(&figure(49, 0)), "gone");
        assert_eq!(ratio(&figure(0, 0)), "0 %");
        assert_eq!(ratio(&figure(7, 7)), "0 %");
        assert_eq!(signed(i64::MIN), "-8.00 EiB");
    }
}
