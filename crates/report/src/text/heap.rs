//! What a heap snapshot was asked for, as a person reads it in a terminal.

mod cycles;
mod fields;

use std::io::{self, Write};

use deadweight_heap::short_type;

use self::fields::{SIZE, amount, fields, objects, sites, tails, times};
use super::layout::{Page, Paint, columns, cut_end, pad_end, pad_start};
use super::style::Style;
use crate::heap::{HeapReport, Held, HolderRow, Nearby, ObjectRow, ObjectView, TailRow, TypeRow, TypeView};
use crate::model::{Link, Site};
use crate::words::{names, units};

const COUNT: usize = 10;
const PERCENT: usize = 6;
/// Writes the answer.
///
/// # Errors
/// If `out` fails.
pub fn heap(report: &HeapReport, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let page = &mut Page::new(style, out);
    snapshot(page, report)?;
    let brief = report.types.is_some();
    if let Some(list) = &report.cycles {
        match brief {
            true => cycles::brief(page, list)?,
            false => cycles::whole(page, list, report)?,
        }
    }
    if let Some(holders) = &report.holders {
        self::holders(page, holders, report)?;
    }
    if let Some(types) = &report.types {
        self::types(page, types)?;
    }
    if let Some(view) = &report.type_view {
        of_type(page, view, report)?;
    }
    if let Some(view) = &report.object {
        object(page, view, report)?;
    }
    if !report.warnings.is_empty() {
        page.heading("Warnings:")?;
        for warning in &report.warnings {
            page.wrapped((Paint::Yellow, "  - "), "    ", (Paint::Plain, &names::clean(warning)))?;
        }
    }
    if !report.next_steps.is_empty() {
        page.heading("Next:")?;
        for step in &report.next_steps {
            page.whole(&format!("  {}", names::clean(step)))?;
        }
    }
    Ok(())
}

fn snapshot(page: &mut Page<'_>, report: &HeapReport) -> io::Result<()> {
    let row = &report.snapshot;
    let mut text = format!("of pid {}", row.pid);
    if let Some(seconds) = row.seconds {
        text.push_str(&format!(", taken {} after the start", units::duration(seconds)));
    }
    if let Some(peak) = row.peak_seconds {
        text.push_str(&format!(" (the peak was at {})", units::duration(peak)));
    }
    if let Some(pause) = row.pause_seconds {
        text.push_str(&format!("; the program stood still for {:.1} ms", pause * 1000.0));
    }
    let title = format!("Heap snapshot {} ", row.number);
    page.wrapped((Paint::Bold, &title), "  ", (Paint::Plain, &text))?;
    let all = &row.all;
    let mut text = format!("{} in {}", units::size(all.bytes), objects(all.objects));
    text.push_str(&format!(
        ": {} in Python objects, {} in native memory.",
        units::size(all.python_bytes),
        units::size(all.native_bytes)
    ));
    if row.complete {
        text.push_str(&match row.garbage.bytes {
            0 => " No garbage.".to_owned(),
            bytes => format!(
                " {} of it ({}) is garbage that the collector would free.",
                units::size(bytes),
                units::percent(bytes, all.bytes)
            ),
        });
    }
    // Every library leaves a few objects behind that native code has lost.
    if row.uncollectable.bytes > all.bytes / 1000 {
        let bytes = units::size(row.uncollectable.bytes);
        text.push_str(&format!(" {bytes} can never be freed."));
    }
    page.wrapped((Paint::Plain, ""), "  ", (Paint::Plain, &text))?;
    let mut others = Vec::new();
    if row.numbers.len() > 1 {
        let numbers: Vec<String> = row.numbers.iter().map(u32::to_string).collect();
        others.push(format!("Snapshots of this process: {} (--at).", numbers.join(", ")));
    }
    if !row.other_pids.is_empty() {
        let pids: Vec<String> = row.other_pids.iter().map(u32::to_string).collect();
        others.push(format!("Other processes with snapshots: {} (--pid).", pids.join(", ")));
    }
    match others.is_empty() {
        true => Ok(()),
        false => page.wrapped((Paint::Plain, ""), "  ", (Paint::Dim, &others.join(" "))),
    }
}

fn holders(page: &mut Page<'_>, holders: &[HolderRow], report: &HeapReport) -> io::Result<()> {
    page.heading("Who holds most of what is reachable:")?;
    if holders.is_empty() {
        return page.line(&[(Paint::Dim, "  nobody holds a large part")]);
    }
    let whole = report.snapshot.all.bytes;
    for row in holders {
        let share = format!("  {}  ", pad_start(&units::percent(row.retained.bytes, whole), PERCENT));
        let size = format!("{}  ", pad_start(&units::size(row.retained.bytes), SIZE));
        let what = match (&row.element_type, row.elements) {
            (Some(kind), Some(count)) => format!("{} of {}", short_type(&row.type_name), times(count, kind)),
            _ => short_type(&row.type_name).to_owned(),
        };
        let indent = " ".repeat(columns(&share) + columns(&size) + 2);
        let text = format!("{}: {what}", row.expression);
        page.wrapped(
            (Paint::Bold, &format!("{share}{size}")),
            &indent,
            (Paint::Plain, &names::clean(&text)),
        )?;
    }
    Ok(())
}

fn types(page: &mut Page<'_>, types: &[TypeRow]) -> io::Result<()> {
    page.heading("By type:")?;
    let row = |parts: [&str; 5]| {
        let [count, unreachable, shallow, retained, native] = parts;
        format!(
            "  {}  {}  {}  {}  {}  ",
            pad_start(count, COUNT),
            pad_start(unreachable, COUNT),
            pad_start(shallow, SIZE),
            pad_start(retained, SIZE),
            pad_start(native, SIZE)
        )
    };
    let header = row(["count", "of garbage", "shallow", "retained", "native"]);
    page.line(&[(Paint::Dim, &header), (Paint::Dim, "type")])?;
    for kind in types {
        let unreachable = match kind.unreachable {
            0 => "-".to_owned(),
            count => units::grouped(count),
        };
        let native = match kind.retained.native_bytes {
            0 => "-".to_owned(),
            bytes => units::size(bytes),
        };
        let figures = row([
            &units::grouped(kind.count),
            &unreachable,
            &units::size(kind.shallow_bytes),
            &units::size(kind.retained.bytes),
            &native,
        ]);
        page.line(&[(Paint::Plain, &figures), (Paint::Cyan, &names::clean(&kind.type_name))])?;
    }
    Ok(())
}

/// The way to an object.
fn path(page: &mut Page<'_>, path: &[Link], to: &str, standing: &str) -> io::Result<()> {
    let indent = "      ";
    if path.is_empty() {
        let text = match standing {
            "live" => "nothing in the snapshot: native code or the interpreter refers to it".to_owned(),
            "unowned" => "nobody: no Python object leads to it".to_owned(),
            _ => format!("itself alone, by a cycle ({standing})"),
        };
        return page.wrapped((Paint::Plain, indent), indent, (Paint::Dim, &text));
    }
    let label = match standing {
        "live" => indent.to_owned(),
        other => format!("{indent}{other}: "),
    };
    let steps: Vec<String> = path
        .iter()
        .map(|step| format!("{}{}", step.type_name, step.edge))
        .collect();
    let text = format!("{} → {to}", steps.join(" → "));
    let below = format!("{indent}  ");
    page.wrapped((Paint::Dim, &label), &below, (Paint::Plain, &names::clean(&text)))
}

fn of_type(page: &mut Page<'_>, view: &TypeView, report: &HeapReport) -> io::Result<()> {
    let census = &view.census;
    let name = view.names.first().map_or("", |name| short_type(name));
    page.gap()?;
    let mut text = format!(
        "{} ({} by themselves); with all that only they keep: {}, {} of the heap.",
        objects(census.count),
        units::size(census.shallow_bytes),
        amount(&census.retained),
        units::percent(census.retained.bytes, report.snapshot.all.bytes)
    );
    if census.unreachable > 0 {
        text.push_str(&format!(
            " Unreachable: {} of them.",
            units::grouped(census.unreachable)
        ));
    }
    let title = format!("{}: ", view.names.join(", "));
    page.wrapped((Paint::Bold, &names::clean(&title)), "  ", (Paint::Plain, &text))?;
    if view.names.len() > 1 {
        let text = "Several types have this name; give one with its module to see it alone.";
        page.wrapped((Paint::Plain, ""), "  ", (Paint::Dim, text))?;
    }
    page.heading("Who holds them:")?;
    for held in &view.paths {
        way(page, held, name)?;
    }
    if view.more_paths > 0 {
        let text = format!(
            "  and {} (--top)",
            units::count(view.more_paths as u64, "more way", "more ways")
        );
        page.line(&[(Paint::Dim, &text)])?;
    }
    if !view.referrers.is_empty() {
        page.heading("Who refers to them directly:")?;
        for referrer in &view.referrers {
            page.line(&[
                (
                    Paint::Plain,
                    &format!("  {}  ", pad_start(&units::grouped(referrer.count), COUNT)),
                ),
                (Paint::Plain, &names::clean(short_type(&referrer.type_name))),
                (Paint::Cyan, &names::clean(&referrer.edge)),
            ])?;
        }
    }
    below(page, &view.tails, name, &view.user_sites, report)?;
    if !report.holders_first {
        page.heading("The heaviest:")?;
        for object in &view.heaviest {
            row(page, object, "")?;
        }
    }
    Ok(())
}

fn way(page: &mut Page<'_>, held: &Held, name: &str) -> io::Result<()> {
    let size = format!("  {}  ", pad_start(&units::size(held.retained.bytes), SIZE));
    page.line(&[
        (Paint::Bold, &size),
        (Paint::Bold, &names::clean(&times(held.retained.objects, name))),
    ])?;
    path(page, &held.path, name, held.standing)
}

fn below(page: &mut Page<'_>, list: &[TailRow], name: &str, made: &[Site], report: &HeapReport) -> io::Result<()> {
    let tails = tails(list, |_| name.to_owned());
    let made = sites(made, report);
    if !tails.is_empty() || !made.is_empty() {
        page.heading("What they keep:")?;
        fields(page, "Most of it", &tails)?;
        fields(page, "Made at", &made)?;
    }
    Ok(())
}

/// One object in a table.
fn row(page: &mut Page<'_>, object: &ObjectRow, before: &str) -> io::Result<()> {
    let figures = format!(
        "  {}  {}  ",
        pad_start(&units::size(object.retained.bytes), SIZE),
        pad_end(object.address.as_deref().unwrap_or(""), 14)
    );
    let standing = match object.standing {
        "live" => String::new(),
        other => format!("  {other}"),
    };
    page.line(&[
        (Paint::Plain, &figures),
        (Paint::Cyan, &names::clean(before)),
        (Paint::Plain, &names::clean(short_type(&object.type_name))),
        (Paint::Dim, &standing),
    ])
}

fn object(page: &mut Page<'_>, view: &ObjectView, report: &HeapReport) -> io::Result<()> {
    let object = &view.object;
    let name = short_type(&object.type_name);
    page.gap()?;
    let place = object.address.as_deref().map(|address| format!(" at {address}"));
    let title = format!("{}{}: ", object.type_name, place.unwrap_or_default());
    let standing = match object.standing {
        "live" => "reachable",
        other => other,
    };
    let text = format!(
        "{standing}; {} by itself, {} with all that only it keeps.",
        units::size(object.shallow_bytes),
        amount(&object.retained)
    );
    page.wrapped((Paint::Bold, &names::clean(&title)), "  ", (Paint::Plain, &text))?;
    page.heading("Held by:")?;
    path(page, &object.path, name, object.standing)?;
    nearby(page, "Who refers to it", &view.referrers, view.referrer_count, true)?;
    nearby(page, "What it refers to", &view.references, view.reference_count, false)?;
    let tails = tails(&view.tails, |_| name.to_owned());
    let made = sites(&view.user_sites, report);
    if !tails.is_empty() || !made.is_empty() {
        page.heading("What it keeps:")?;
        fields(page, "Most of it", &tails)?;
        fields(page, "Made at", &made)?;
    }
    Ok(())
}

fn nearby(page: &mut Page<'_>, heading: &str, list: &[Nearby], count: u64, inward: bool) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let shown = match list.len() as u64 {
        len if len < count => format!("{heading} ({} of {}):", list.len(), units::grouped(count)),
        _ => format!("{heading}:"),
    };
    page.heading(&shown)?;
    for near in list {
        let object = &near.object;
        let figures = format!(
            "  {}  {}  ",
            pad_start(&units::size(object.retained.bytes), SIZE),
            pad_end(object.address.as_deref().unwrap_or(""), 14)
        );
        let kind = names::clean(short_type(&object.type_name)).into_owned();
        let edge = cut_end(&names::clean(&near.edge), 60);
        let only = if near.only_way && !inward {
            "  kept by it alone"
        } else {
            ""
        };
        let spans = match inward {
            true => [
                (Paint::Plain, kind.as_str()),
                (Paint::Cyan, edge.as_str()),
                (Paint::Dim, only),
            ],
            false => [
                (Paint::Cyan, edge.as_str()),
                (Paint::Plain, " → "),
                (Paint::Plain, kind.as_str()),
            ],
        };
        let mut line = vec![(Paint::Plain, figures.as_str())];
        line.extend(spans);
        if !inward {
            line.push((Paint::Dim, only));
        }
        page.line(&line)?;
    }
    Ok(())
}
