//! The table of regions.

use std::collections::BTreeMap;
use std::io;

use deadweight_analysis::Amount;

use super::layout::{Page, Paint, columns, cut_end, pad_start};
use crate::model::{Mode, RegionView, Report, Source};
use crate::words::units;

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

/// The regions of one name in all processes: what a table has of them.
#[derive(Clone, Debug)]
struct Row<'a> {
    name: &'a str,
    is_function: bool,
    entries: u64,
    unfinished: u64,
    seconds: f64,
    processes: usize,
    peak: Amount,
    growth: (i64, f64),
    churn: u64,
}

/// One row for each name, the one that needed most first. Peaks are the highest, all else is summed up.
fn rows(views: &[RegionView]) -> Vec<Row<'_>> {
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
