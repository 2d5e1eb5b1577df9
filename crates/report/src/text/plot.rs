//! Memory over time, drawn with characters.

use std::io;

use super::layout::{Page, Paint, pad_end, pad_start};
use crate::model::Report;
use crate::model::TimelineView;
use crate::words::{names, units};

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns left of the plot.
const LABEL: usize = 10;
/// A limit is in the plot if it is less than this many times as high as the peak.
const LIMIT_IN_SIGHT: f64 = 1.6;
/// Processes with a line of their own.
const CURVES: usize = 8;
/// A run that is shorter, in seconds, has no curve.
const SHORTEST: f64 = 0.5;
/// Columns of a curve in the table of processes.
const CURVE: usize = 32;

/// The highest value in each of so many equal parts of the time; where a part has no point, the last one holds.
fn by_column(points: impl Iterator<Item = (f64, u64)>, end: f64, columns: usize) -> Vec<u64> {
    let mut highest: Vec<Option<u64>> = vec![None; columns];
    for (seconds, bytes) in points {
        let at = (seconds / end.max(1e-9) * columns as f64) as usize;
        if let Some(cell) = highest.get_mut(at.min(columns.saturating_sub(1))) {
            *cell = (*cell).max(Some(bytes));
        }
    }
    let mut last = 0;
    let fill = |cell: Option<u64>| {
        last = cell.unwrap_or(last);
        last
    };
    highest.into_iter().map(fill).collect()
}

/// Eighths of a row that a value fills, of all rows together.
fn eighths(bytes: u64, top: u64, rows: usize) -> usize {
    let whole = (rows * 8) as f64;
    let filled = (bytes as f64 / top.max(1) as f64 * whole).round() as usize;
    filled.clamp(usize::from(bytes > 0), rows * 8)
}

fn block(eighths: usize) -> char {
    BLOCKS[eighths.min(8)]
}

/// A plot of all processes' resident memory, `rows` high, with the limit if it is near.
pub(super) fn total(page: &mut Page<'_>, view: &TimelineView, rows: usize) -> io::Result<()> {
    let (highest, end) = (view.highest(), view.end());
    let columns = page.width.saturating_sub(LABEL + 2).min(100);
    if highest == 0 || columns < 10 {
        return Ok(());
    }
    let is_near = |limit: &u64| *limit as f64 <= highest as f64 * LIMIT_IN_SIGHT;
    let limit = view.group_limit().filter(is_near);
    let top = highest.max(limit.unwrap_or(0));
    let points = view.points.iter().map(|point| (point.seconds, point.rss_bytes));
    let filled: Vec<usize> = by_column(points, end, columns)
        .into_iter()
        .map(|bytes| eighths(bytes, top, rows))
        .collect();
    let row_of = |bytes: u64| eighths(bytes, top, rows).div_ceil(8).saturating_sub(1);
    for row in (0..rows).rev() {
        let is_limit = limit.is_some_and(|limit| row_of(limit) == row);
        let label = if is_limit {
            format!("limit {}", short(limit.unwrap_or(0)))
        } else if row == row_of(highest) {
            units::size(highest)
        } else {
            String::new()
        };
        let cell = |&filled: &usize| match filled.saturating_sub(row * 8) {
            0 if is_limit => '┄',
            eighths => block(eighths),
        };
        let line: String = filled.iter().map(cell).collect();
        let paint = if is_limit { Paint::Red } else { Paint::Plain };
        let label = format!("{} ┤", pad_start(&label, LABEL));
        page.line(&[(Paint::Dim, &label), (paint, &line)])?;
    }
    let axis = format!("{} └{}", " ".repeat(LABEL), "─".repeat(columns));
    page.line(&[(Paint::Dim, &axis)])?;
    marks(page, view, end, columns)?;
    let last = units::duration(end);
    let axis = format!(
        "{}  {}{}",
        " ".repeat(LABEL),
        pad_end("0 s", columns.saturating_sub(last.chars().count())),
        last
    );
    page.line(&[(Paint::Dim, &axis)])
}

/// One line: resident memory from the start to the end.
pub(super) fn sparkline(page: &mut Page<'_>, view: &TimelineView) -> io::Result<()> {
    let (highest, end) = (view.highest(), view.end());
    let last = units::duration(end);
    let used = "Resident: 0 s ".len() + last.chars().count() + 1;
    let columns = page.width.saturating_sub(used).min(CURVE * 2);
    if highest == 0 || end < SHORTEST || columns < 10 {
        return Ok(());
    }
    let points = view.points.iter().map(|point| (point.seconds, point.rss_bytes));
    let curve = by_column(points, end, columns).into_iter();
    let curve: String = curve.map(|bytes| block(eighths(bytes, highest, 1))).collect();
    page.gap()?;
    page.line(&[
        (Paint::Bold, "Resident: "),
        (Paint::Dim, "0 s "),
        (Paint::Cyan, &curve),
        (Paint::Dim, &format!(" {last}")),
    ])
}

/// A size for a narrow label: no decimals.
fn short(bytes: u64) -> String {
    let text = units::size(bytes);
    match text.split_once(' ') {
        Some((_, unit)) => format!("{}{}", number(&text), &unit[..1]),
        None => text,
    }
}

fn number(text: &str) -> String {
    let number = text.split(' ').next().unwrap_or_default();
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        number.to_owned()
    }
}

/// A row of signs below the axis, and what they mean.
fn marks(page: &mut Page<'_>, view: &TimelineView, end: f64, columns: usize) -> io::Result<()> {
    let mut row = vec![' '; columns];
    let mut meaning = Vec::new();
    for (what, sign, text) in [
        ("snapshot", 's', "s heap snapshot"),
        ("killed", 'X', "X killed, memory ran out"),
    ] {
        for mark in view.marks.iter().filter(|mark| mark.what == what) {
            let at = (mark.seconds / end.max(1e-9) * columns as f64) as usize;
            if let Some(cell) = row.get_mut(at.min(columns - 1)) {
                *cell = sign;
            }
            if !meaning.contains(&text) {
                meaning.push(text);
            }
        }
    }
    if meaning.is_empty() {
        return Ok(());
    }
    let row: String = row.into_iter().collect();
    page.line(&[(Paint::Plain, &format!("{}  {row}", " ".repeat(LABEL)))])?;
    page.line(&[(Paint::Dim, &format!("{}  {}", " ".repeat(LABEL), meaning.join(", ")))])
}

/// A line for each of the largest processes: its curve, its highest memory, its command.
pub(super) fn curves(page: &mut Page<'_>, report: &Report, view: &TimelineView) -> io::Result<()> {
    let mut largest: Vec<_> = view.processes.iter().collect();
    largest.sort_by_key(|process| (std::cmp::Reverse(process.peak_rss_bytes), process.number));
    let top = largest.first().map_or(0, |process| process.peak_rss_bytes);
    if largest.len() < 2 {
        return Ok(());
    }
    page.heading("Resident memory of the largest processes:")?;
    for process in largest.iter().take(CURVES) {
        let point = |point: &crate::model::PointView| {
            let of_this = point.processes.iter().find(|one| one.number == process.number);
            (point.seconds, of_this.map_or(0, |one| one.rss_bytes))
        };
        let columns = by_column(view.points.iter().map(point), view.end(), CURVE);
        let curve: String = columns.into_iter().map(|bytes| block(eighths(bytes, top, 1))).collect();
        let figures = format!(
            "  {}  {}  ",
            pad_start(&process.pid.to_string(), 8),
            pad_start(&units::size(process.peak_rss_bytes), 9)
        );
        let known = report.processes.iter().find(|known| known.pid == process.pid);
        let argv = known.map_or(&process.argv, |known| &known.argv);
        page.line(&[
            (Paint::Plain, &figures),
            (Paint::Cyan, &curve),
            (Paint::Plain, "  "),
            (Paint::Plain, &names::command(argv)),
        ])?;
    }
    let rest = largest.len().saturating_sub(CURVES);
    if rest > 0 {
        page.line(&[(Paint::Dim, &format!("  and {rest} smaller ones"))])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_the_highest_and_holds_it() {
        let points = [(0.0, 1), (0.1, 9), (0.2, 2), (2.0, 5), (4.0, 3)];
        assert_eq!(by_column(points.into_iter(), 4.0, 4), [9, 9, 5, 3]);
        assert_eq!(by_column([].into_iter(), 0.0, 2), [0, 0]);
        assert_eq!(by_column([(0.0, 7)].into_iter(), 0.0, 2), [7, 7]);
    }

    #[test]
    fn heights_are_eighths() {
        assert_eq!(eighths(0, 100, 2), 0);
        assert_eq!(eighths(1, 1 << 40, 2), 1);
        assert_eq!(eighths(50, 100, 2), 8);
        assert_eq!(eighths(100, 100, 2), 16);
        assert_eq!(short(300 << 20), "300M");
        assert_eq!(short(3 << 29), "1.5G");
    }
}
