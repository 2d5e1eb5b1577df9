//! The table of regions.

use std::io;

use super::layout::{Page, Paint, columns, cut_end, pad_start};
use crate::model::{Mode, Report};
use crate::regions::{Row, rows};
use crate::units;

/// Errors are left out where the width is below this.
const WIDE: usize = 90;

/// Columns that a name has at least.
const NAME_LEAST: usize = 12;

/// At most `most` regions, if there are any.
pub(super) fn table(page: &mut Page<'_>, report: &Report, most: usize) -> io::Result<()> {
    let rows = rows(&report.regions);
    if rows.is_empty() {
        return Ok(());
    }
    let errors = report.run.mode == Mode::Sampled && page.width >= WIDE;
    page.heading("Regions (each one's own allocations):")?;
    let cells: Vec<Vec<String>> = rows.iter().take(most).map(|row| cells(row, errors)).collect();
    let header: Vec<String> = ["peak", "growth", "churn", "entries", "time"]
        .map(str::to_owned)
        .to_vec();
    let width = |column: usize| {
        let all = cells.iter().chain([&header]);
        all.filter_map(|row| row.get(column))
            .map(|cell| columns(cell))
            .max()
            .unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..header.len()).map(width).collect();
    // Without the last columns where there is no room for a name.
    while widths.len() > 1 && 4 + widths.iter().map(|width| width + 2).sum::<usize>() + NAME_LEAST > page.width {
        widths.pop();
    }
    let line = |row: &[String]| {
        let padded = row.iter().zip(&widths).map(|(cell, &width)| pad_start(cell, width));
        format!("  {}  ", padded.collect::<Vec<_>>().join("  "))
    };
    let header = line(&header);
    page.line(&[(Paint::Dim, &header), (Paint::Dim, "region")])?;
    let room = page.width.saturating_sub(columns(&header));
    for (row, cells) in rows.iter().zip(&cells) {
        let name = cut_end(row.name, room);
        page.line(&[(Paint::Plain, &line(cells)), (Paint::Cyan, &name)])?;
    }
    if rows.len() > most {
        let rest = format!("  and {} more", rows.len() - most);
        page.line(&[(Paint::Dim, &rest)])?;
    }
    for note in notes(&rows) {
        page.wrapped((Paint::Plain, "  "), "  ", (Paint::Dim, &note))?;
    }
    Ok(())
}

fn cells(row: &Row<'_>, errors: bool) -> Vec<String> {
    let with = |text: String, error: u64| match errors {
        true => format!("{text} ± {}", units::size(error)),
        false => text,
    };
    let (growth, variance) = row.growth;
    let size = units::size(growth.unsigned_abs());
    let signed = if growth < 0 { format!("-{size}") } else { size };
    vec![
        with(units::size(row.peak.bytes), row.peak.error_bytes()),
        with(signed, variance.sqrt().round() as u64),
        units::size(row.churn),
        row.entries.to_string(),
        units::duration(row.seconds),
    ]
}

fn notes(rows: &[Row<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    for row in rows.iter().filter(|row| row.unfinished > 0 && !row.is_function) {
        let times = units::count(row.unfinished, "time", "times");
        notes.push(format!("{} was entered {times} and not left before the end.", row.name));
    }
    if rows.iter().any(|row| row.is_function) {
        notes.push(
            "Functions are known by the recorded stacks: times are approximate, and calls that follow closely are one."
                .to_owned(),
        );
    }
    let most = rows.iter().map(|row| row.processes).max().unwrap_or(0);
    if most > 1 {
        notes.push(format!(
            "They were entered in up to {most} processes: the peak is the highest, all else the sum."
        ));
    }
    notes
}
