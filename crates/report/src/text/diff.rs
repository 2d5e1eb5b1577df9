//! Two captures side by side, for a terminal.

use std::io::{self, Write};

use super::layout::{Page, Paint, columns, cut_end, cut_start, pad_end, pad_start};
use super::style::Style;
use crate::diff::words;
use crate::diff::{Diff, Figure, PathChange, SiteChange, Standing, Trend, TypeChange};
use crate::words::{names, units};

/// Frames of a call path.
const FRAMES: usize = 6;
const SIZE: usize = 9;
const CHANGE: usize = 10;
const RATIO: usize = 7;
const ERROR: usize = 11;
/// The error of a line is left out where the width is below this.
const WIDE: usize = 100;

/// Writes the comparison; `most` rows of each list.
///
/// # Errors
/// If `out` fails.
pub fn diff(diff: &Diff, most: usize, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = &mut Page::new(style, out);
    let title = format!("{} → {}", diff.before.name, diff.after.name);
    page.wrapped((Paint::Dim, "deadweight: "), "  ", (Paint::Bold, &title))?;
    for sentence in words::summary(diff) {
        page.wrapped((Paint::Plain, ""), "  ", (Paint::Plain, &sentence))?;
    }
    totals(page, diff)?;
    findings(page, diff, most)?;
    sites(page, diff, "Your lines that changed:", &diff.user_sites, most)?;
    if changed_lines(&diff.sites) != changed_lines(&diff.user_sites) {
        sites(page, diff, "Innermost lines that changed:", &diff.sites, most)?;
    }
    paths(page, diff, most)?;
    types(page, diff, most)?;
    other_moments(page, diff, most)?;
    if let Some(rigour) = words::rigour(diff) {
        page.heading("How sure:")?;
        page.wrapped((Paint::Plain, "  "), "  ", (Paint::Plain, &rigour))?;
    }
    if !diff.notes.is_empty() {
        page.heading("Notes:")?;
    }
    for note in &diff.notes {
        page.wrapped((Paint::Yellow, "  - "), "    ", (Paint::Plain, &names::clean(note)))?;
    }
    Ok(())
}

fn changed_lines(sites: &[SiteChange]) -> Vec<(Option<String>, Option<u32>)> {
    let changed = sites.iter().filter(|site| site.figure.has_changed());
    let at = changed.filter_map(|site| site.after.as_ref().or(site.before.as_ref()));
    at.map(|at| (Some(at.file.clone()), at.line)).collect()
}

fn paint(figure: &Figure) -> Paint {
    match figure.trend {
        Trend::Rose => Paint::Red,
        Trend::Fell => Paint::Cyan,
        _ => Paint::Dim,
    }
}

fn totals(page: &mut Page<'_>, diff: &Diff) -> io::Result<()> {
    page.gap()?;
    let header = format!(
        "  {}  {}  {}  {}",
        pad_end("", 24),
        pad_start("before", SIZE),
        pad_start("after", SIZE),
        pad_start("change", CHANGE)
    );
    page.line(&[(Paint::Dim, &header)])?;
    for (name, figure) in diff.totals.named() {
        let amounts = format!(
            "  {}  {}  {}  ",
            pad_end(&cut_end(name, 25), 25),
            pad_start(&words::amount(figure.before_bytes), SIZE - 1),
            pad_start(&words::amount(figure.after_bytes), SIZE)
        );
        let ratio = match figure.has_changed() {
            true => format!("  {}", pad_start(&words::ratio(figure), RATIO)),
            false => String::new(),
        };
        page.line(&[
            (Paint::Plain, &amounts),
            (paint(figure), &pad_start(&words::change(figure), CHANGE)),
            (Paint::Plain, &ratio),
            (Paint::Dim, &format!("  {}", words::certainty(figure))),
        ])?;
    }
    if let (Some(was), Some(is)) = (diff.totals.garbage_share_before, diff.totals.garbage_share_after) {
        let share = format!(
            "  {}  {}  {}",
            pad_end("  of resident memory", 25),
            pad_start(&format!("{:.0} %", was * 100.0), SIZE - 1),
            pad_start(&format!("{:.0} %", is * 100.0), SIZE)
        );
        page.line(&[(Paint::Dim, &share)])?;
    }
    Ok(())
}

fn findings(page: &mut Page<'_>, diff: &Diff, most: usize) -> io::Result<()> {
    if diff.findings.is_empty() {
        return Ok(());
    }
    page.heading("Findings:")?;
    for found in diff.findings.iter().take(most) {
        let figure = &found.figure;
        let size = match (found.standing, figure.before_bytes, figure.after_bytes) {
            (_, Some(0), Some(0)) => String::new(),
            (Standing::Went, was, _) => format!(" ({})", words::amount(was)),
            (Standing::Came, _, is) => format!(" ({})", words::amount(is)),
            (Standing::Stayed, was, is) => format!(" ({} → {})", words::amount(was), words::amount(is)),
        };
        let label = format!("  {}", pad_end(words::standing(found), 14));
        let text = format!("{}: {}{size}", words::kind(found.kind), words::about(found, diff));
        page.wrapped((paint(figure), &label), "                ", (Paint::Plain, &text))?;
    }
    rest(page, diff.findings.len(), most)
}

fn rest(page: &mut Page<'_>, all: usize, shown: usize) -> io::Result<()> {
    match words::more(all, shown) {
        Some(text) => page.line(&[(Paint::Dim, &format!("  {text}"))]),
        None => Ok(()),
    }
}

/// The first columns of a row: the change, its ratio, and the amounts.
fn amounts(figure: &Figure) -> [(Paint, String); 2] {
    let change = format!(
        "  {}  {}",
        pad_start(&words::change(figure), CHANGE),
        pad_start(&words::ratio(figure), RATIO)
    );
    let both = format!(
        "  {} → {}  ",
        pad_start(&words::amount(figure.before_bytes), SIZE),
        pad_end(&words::amount(figure.after_bytes), SIZE)
    );
    [(paint(figure), change), (Paint::Plain, both)]
}

fn sites(page: &mut Page<'_>, diff: &Diff, heading: &str, sites: &[SiteChange], most: usize) -> io::Result<()> {
    let changed: Vec<&SiteChange> = sites.iter().filter(|site| site.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    page.heading(heading)?;
    for site in changed.iter().take(most) {
        site_line(page, diff, site)?;
    }
    rest(page, changed.len(), most)
}

fn site_line(page: &mut Page<'_>, diff: &Diff, site: &SiteChange) -> io::Result<()> {
    let [change, both] = amounts(&site.figure);
    let error = match (site.figure.has_changed(), site.figure.error_bytes) {
        (true, Some(error)) if page.width >= WIDE && error > 0 => format!("± {}", units::size(error)),
        _ => String::new(),
    };
    let error = match page.width >= WIDE {
        true => format!("  {}", pad_end(&error, ERROR)),
        false => String::new(),
    };
    let room = page
        .width
        .saturating_sub(columns(&change.1) + columns(&both.1) + columns(&error));
    let place = cut_start(&words::place(site, diff), room);
    page.line(&[
        (change.0, &change.1),
        (Paint::Dim, &error),
        (both.0, &both.1),
        (Paint::Cyan, &place),
        (Paint::Plain, &format!("  {}", words::function(site))),
    ])
}

fn other_moments(page: &mut Page<'_>, diff: &Diff, most: usize) -> io::Result<()> {
    let moved: Vec<&SiteChange> = diff.user_sites.iter().filter(|site| site.other_moment).collect();
    if moved.is_empty() {
        return Ok(());
    }
    page.heading("The same, but the peak was at another moment:")?;
    for site in moved.iter().take(most) {
        site_line(page, diff, site)?;
    }
    rest(page, moved.len(), most)
}

fn paths(page: &mut Page<'_>, diff: &Diff, most: usize) -> io::Result<()> {
    let changed: Vec<&PathChange> = diff.paths.iter().filter(|path| path.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    page.heading("Call paths that changed (innermost call first):")?;
    for path in changed.iter().take(most) {
        let [change, both] = amounts(&path.figure);
        page.line(&[(change.0, &change.1), (both.0, both.1.trim_end())])?;
        let cwd = match path.figure.after_bytes {
            Some(0) => diff.before.cwd.as_deref(),
            _ => diff.after.cwd.as_deref(),
        };
        let frame = |at: &crate::model::Line| format!("{} ({})", names::clean(&at.function), names::location(at, cwd));
        let mut frames: Vec<String> = path.frames.iter().take(FRAMES).map(frame).collect();
        if path.frames.len() > FRAMES {
            frames.push(format!("{} more", path.frames.len() - FRAMES));
        }
        let indent = " ".repeat(CHANGE + 4);
        page.wrapped((Paint::Plain, &indent), &indent, (Paint::Dim, &frames.join(" ← ")))?;
    }
    rest(page, changed.len(), most)
}

fn types(page: &mut Page<'_>, diff: &Diff, most: usize) -> io::Result<()> {
    let changed: Vec<&TypeChange> = diff.types.iter().filter(|kind| kind.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    page.heading("Types whose objects kept more or less (in the heap snapshots nearest to the peaks):")?;
    for kind in changed.iter().take(most) {
        let [change, both] = amounts(&kind.figure);
        let count = |count: Option<u64>| count.map_or_else(|| "few".to_owned(), units::grouped);
        let objects = format!(
            "  {} → {} objects",
            count(kind.before_objects),
            count(kind.after_objects)
        );
        let name = names::clean(&kind.type_name).into_owned();
        page.line(&[
            (change.0, &change.1),
            (both.0, &both.1),
            (Paint::Plain, &name),
            (Paint::Dim, &objects),
        ])?;
    }
    rest(page, changed.len(), most)
}
