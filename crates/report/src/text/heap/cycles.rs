//! Cycles of unreachable objects.

use std::io;

use super::super::layout::{Page, Paint, columns, pad_start};
use super::fields::{SIZE, amount, field, fields, objects, sites, tails, times};
use crate::heap::{CycleRow, HeapReport};
use crate::model::Link;
use crate::words::{names, units};

/// `DataFrame.ww → Accessor._dataframe → DataFrame`.
fn around(cycle: &[Link]) -> String {
    let mut text: String = cycle
        .iter()
        .map(|step| format!("{}{} → ", step.type_name, step.edge))
        .collect();
    text.push_str(cycle.first().map_or("", |first| &first.type_name));
    text
}

/// One line for each of the heaviest.
pub(super) fn brief(page: &mut Page<'_>, cycles: &[CycleRow]) -> io::Result<()> {
    for (heading, freeable) in [
        ("Cycles of garbage (the collector would free them):", true),
        ("Cycles that the collector will never free:", false),
    ] {
        let rows = cycles.iter().filter(|row| row.freeable_by_gc == freeable);
        // What the interpreter and every library leave behind is no news.
        let rows: Vec<&CycleRow> = rows.filter(|row| row.share_of_heap >= 0.001).take(5).collect();
        if rows.is_empty() {
            continue;
        }
        page.heading(heading)?;
        for row in rows {
            let size = format!("  {}  ", pad_start(&units::size(row.retained.bytes), SIZE));
            let indent = " ".repeat(columns(&size) + 2);
            let text = format!("{}: {}", times(row.instances, &row.type_name), around(&row.cycle));
            page.wrapped((Paint::Bold, &size), &indent, (Paint::Plain, &names::clean(&text)))?;
        }
    }
    Ok(())
}

/// Everything about each.
pub(super) fn whole(page: &mut Page<'_>, cycles: &[CycleRow], report: &HeapReport) -> io::Result<()> {
    if cycles.is_empty() {
        let text = match report.snapshot.complete {
            true => "There are no cycles of unreachable objects in this snapshot.",
            false => "The snapshot is not whole, so nobody can tell what is garbage in it.",
        };
        page.gap()?;
        return page.wrapped((Paint::Plain, ""), "", (Paint::Plain, text));
    }
    for (at, row) in cycles.iter().enumerate() {
        cycle(page, at + 1, row, report)?;
    }
    Ok(())
}

fn cycle(page: &mut Page<'_>, number: usize, row: &CycleRow, report: &HeapReport) -> io::Result<()> {
    let what = if row.freeable_by_gc { "garbage" } else { "never freed" };
    page.gap()?;
    let title = format!("{number}. {} {what}: ", units::size(row.retained.bytes));
    let kept = format!(
        "{} that only this cycle keeps alive",
        times(row.instances, &row.type_name)
    );
    let paint = if row.freeable_by_gc { Paint::Yellow } else { Paint::Red };
    page.wrapped((paint, &title), "   ", (Paint::Bold, &names::clean(&kept)))?;
    page.gap()?;
    for (at, step) in row.cycle.iter().enumerate() {
        let arrow = if at == 0 { "       " } else { "     → " };
        page.line(&[
            (Paint::Dim, arrow),
            (Paint::Plain, &names::clean(&step.type_name)),
            (Paint::Cyan, &names::clean(&step.edge)),
        ])?;
    }
    let first = row.cycle.first().map_or("", |first| &first.type_name);
    page.line(&[(Paint::Dim, "     ↺ "), (Paint::Plain, &names::clean(first))])?;
    page.gap()?;
    let whole = report.snapshot.all.bytes;
    let garbage = match row.freeable_by_gc {
        true => report.snapshot.garbage.bytes,
        false => report.snapshot.uncollectable.bytes,
    };
    let mut text = format!(
        "{} in {}: {} of what is {what}, {} of the heap",
        amount(&row.retained),
        objects(row.retained.objects),
        units::percent(row.retained.bytes, garbage),
        units::percent(row.retained.bytes, whole)
    );
    if row.instances > 1 {
        text.push_str(&format!(
            "; {} for each",
            units::size(row.retained.bytes / row.instances)
        ));
    }
    field(page, "Keeps", &text)?;
    let from = |step: usize| {
        row.cycle
            .get(step)
            .map_or_else(String::new, |step| step.type_name.clone())
    };
    fields(page, "Most of it", &tails(&row.tails, from))?;
    if row.held_beside.bytes > row.retained.bytes / 50 {
        let text = format!(
            "{} is held by objects of the same knot beside the cycle",
            amount(&row.held_beside)
        );
        field(page, "Also", &text)?;
    }
    fields(page, "Made at", &sites(&row.user_sites, report))?;
    if row.user_sites.first().map(|site| &site.at) != row.sites.first().map(|site| &site.at) {
        fields(page, "by", &sites(&row.sites, report))?;
    }
    if let Some((oldest, youngest)) = row.age_seconds {
        let text = match oldest - youngest < 0.005 {
            true => format!(
                "its memory was allocated {} before the snapshot",
                units::duration(oldest)
            ),
            false => format!(
                "its memory was allocated {} to {} before the snapshot: it cannot have been garbage for longer",
                units::duration(youngest),
                units::duration(oldest)
            ),
        };
        field(page, "Age", &text)?;
    }
    let collector = match row.freeable_by_gc {
        true => format!(
            "would free it, but has not come: it counts objects, not bytes, and this is {} for it ({} of all)",
            objects(row.tracked_objects),
            units::percent(row.tracked_objects, report.snapshot.all.objects)
        ),
        false => "cannot see the whole cycle and will never free it".to_owned(),
    };
    field(page, "Collector", &collector)?;
    field(page, "Fix", &row.suggestion)?;
    let heaviest = row.heaviest.iter().filter_map(|instance| {
        let address = instance.address.as_ref()?;
        Some(format!("{address} ({})", units::size(instance.bytes)))
    });
    let heaviest: Vec<String> = heaviest.take(3).collect();
    if !heaviest.is_empty() {
        field(page, "Instances", &heaviest.join(", "))?;
    }
    field(page, "Fingerprint", &row.fingerprint)
}
