//! The report as a person reads it in a terminal.

mod diff;
mod found;
mod heap;
pub(crate) mod layout;
mod ledger;
mod plot;
mod regions;
mod style;
mod tables;

use std::io::{self, Write};

use deadweight_analysis::manifest::ExitKind;

pub use self::diff::diff;
pub use self::heap::heap;
use self::layout::{Page, Paint, columns};
pub use self::style::Style;
use self::style::{Extent, LONG, SHORT};
use crate::model::{Mode, Report, Site};
use crate::words::exit::bad_end;
use crate::words::{names, units};

/// Shares below one part in this many are left out of the short lists.
const SMALLEST_PART: u64 = 100;

/// The 15 to 30 lines at the end of a run: how it ended, the peak, the lines it came from, what was found, what
/// could not be measured, and [`Report::next_step`].
///
/// No line is wider than the style's width, except a next step that is longer by itself: it is there to be copied.
///
/// # Errors
/// If `out` fails.
pub fn diagnosis(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(style, out);
    write(&mut page, report, &SHORT)?;
    next_step(&mut page, report)
}

/// The whole report: everything that the diagnosis has with longer lists, the call tree of the peak, what was
/// allocated and freed again, what was live at the end, and the processes.
///
/// # Errors
/// If `out` fails.
pub fn full(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    write(&mut Page::new(style, out), report, &LONG)
}

fn write(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    ending(page, report)?;
    if report.run.watched {
        watched(page, report, extent)?;
        return warnings(page, report, extent);
    }
    match report.peak.heap_bytes {
        Some(heap) if heap > 0 => {
            peak(page, report, heap)?;
            ledger::table(page, report)?;
            found::actionable(page, report, extent)?;
            lines(page, report, heap, extent)?;
            if extent.tables {
                page.heading("Call tree of the peak (outermost call first):")?;
                tables::call_tree(page, report, heap)?;
            }
            churn(page, report, heap, extent)?;
            if extent.tables {
                end(page, report, extent)?;
                over_time(page, report, extent)?;
            } else if let Some(view) = &report.timeline {
                plot::sparkline(page, view)?;
            }
            found::notes(page, report, extent)?;
        }
        _ => {
            nothing(page, report)?;
            found::actionable(page, report, extent)?;
            found::notes(page, report, extent)?;
        }
    }
    regions::table(page, report, extent.regions)?;
    if report.processes.len() > 1 {
        page.heading(&format!("Processes ({}):", report.processes.len()))?;
        tables::processes(page, report, extent.processes, extent.tables)?;
    }
    warnings(page, report, extent)
}

fn ending(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let program = names::program(&report.run.argv);
    let after = report
        .run
        .seconds
        .map(|seconds| format!(" after {}", units::duration(seconds)));
    let after = after.as_deref().unwrap_or("");
    let unseen = match report.processes.first() {
        Some(started) if report.run.watched && report.end_was_seen && started.ended_seconds.is_none() => {
            "and still ran when watching it ended"
        }
        _ => "its end was not seen",
    };
    let (paint, text) = match bad_end(&report.run.exit) {
        Some(end) => (Paint::Red, format!("{program} {end}{after}")),
        None if report.run.exit.kind == ExitKind::Ok => (Paint::Bold, format!("{program} ended normally{after}")),
        None => {
            let ran = report
                .run
                .seconds
                .map(|seconds| format!(" ran for {},", units::duration(seconds)));
            (
                Paint::Bold,
                format!("{program}{} {unseen}", ran.as_deref().unwrap_or(":")),
            )
        }
    };
    page.wrapped((Paint::Dim, "deadweight: "), "  ", (paint, &text))
}

/// What `deadweight watch` has seen.
fn watched(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    let peak = &report.peak;
    let mut text = match peak.rss_bytes {
        Some(rss) => format!("{} resident", units::size(rss)),
        None => "nothing was seen of it".to_owned(),
    };
    if let Some(seconds) = peak.rss_seconds {
        text.push_str(&format!(" at {}", units::duration(seconds)));
    }
    if report.processes.len() > 1 {
        let processes = units::count(report.processes.len() as u64, "process", "processes");
        text.push_str(&format!(", {processes} in the whole run"));
    }
    page.wrapped((Paint::Bold, "Peak: "), "  ", (Paint::Plain, &text))?;
    found::actionable(page, report, extent)?;
    over_time(page, report, extent)?;
    let text = "This capture has a timeline only, no allocations: `deadweight run` records which lines the memory came \
                from.";
    page.gap()?;
    page.wrapped((Paint::Plain, ""), "  ", (Paint::Dim, text))
}

fn over_time(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    let Some(view) = report.timeline.as_ref().filter(|view| view.highest() > 0) else {
        return Ok(());
    };
    page.heading("Resident memory of all processes over time:")?;
    plot::total(page, view, if extent.tables { 10 } else { 6 })?;
    plot::curves(page, report, view)
}

fn nothing(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let text = match report.peak.heap_bytes {
        None if report.warnings.is_empty() => {
            "Nothing was recorded. Usually that means that the program is not Python, is linked statically, or ended \
             before Python had started."
        }
        None => "Nothing was recorded; the warnings say what is known about it.",
        Some(_) => "No memory was recorded: there was no allocation large or frequent enough to be sampled.",
    };
    page.wrapped((Paint::Plain, ""), "  ", (Paint::Plain, text))?;
    if let Some(rss) = report.peak.rss_bytes {
        let text = format!("Seen from outside, resident memory was at most {}.", units::size(rss));
        page.wrapped((Paint::Plain, ""), "  ", (Paint::Plain, &text))?;
    }
    Ok(())
}

fn peak(page: &mut Page<'_>, report: &Report, heap: u64) -> io::Result<()> {
    let peak = &report.peak;
    let mut text = format!("{} of heap", units::size(heap));
    if report.run.mode == Mode::Sampled {
        let error = peak.heap_error_bytes.unwrap_or(0);
        text.push_str(&format!(" (estimated, ± {})", units::size(error)));
    }
    if let Some(seconds) = peak.seconds {
        text.push_str(&format!(" at {}", units::duration(seconds)));
    }
    let process = report.processes.iter().find(|process| Some(process.pid) == peak.pid);
    if let Some(process) = process.filter(|_| report.processes.len() > 1) {
        let part = process.heap_at_peak_bytes.unwrap_or(0);
        let who = names::process(process.pid, &process.argv);
        match part >= heap {
            true => text.push_str(&format!(", all in {who}")),
            false => text.push_str(&format!(", {} of it in {who}", units::percent(part, heap))),
        }
    }
    if let Some(rss) = peak.rss_bytes {
        text.push_str(&format!("; resident at most {}", units::size(rss)));
    }
    page.wrapped((Paint::Bold, "Peak: "), "  ", (Paint::Plain, &text))
}

/// The sites that are large enough to be worth a line, at least one.
fn worth(sites: &[Site], whole: u64) -> &[Site] {
    let large = sites
        .iter()
        .take_while(|site| site.bytes >= whole / SMALLEST_PART)
        .count();
    &sites[..large.max(1).min(sites.len())]
}

fn lines(page: &mut Page<'_>, report: &Report, heap: u64, extent: &Extent) -> io::Result<()> {
    let user = worth(&report.peak.user_sites, heap);
    let inner = worth(&report.peak.sites, heap);
    page.heading("Where it came from (your lines):")?;
    tables::sites(page, report, user, heap, extent.sites)?;
    let shown = |sites: &[Site]| {
        sites
            .iter()
            .take(extent.sites)
            .map(|site| site.at.clone())
            .collect::<Vec<_>>()
    };
    if shown(user) != shown(inner) {
        page.heading("Allocated there by (innermost lines):")?;
        tables::sites(page, report, inner, heap, extent.sites)?;
    }
    Ok(())
}

fn churn(page: &mut Page<'_>, report: &Report, heap: u64, extent: &Extent) -> io::Result<()> {
    let churn = &report.churn;
    if churn.bytes < heap / 10 || churn.bytes == 0 {
        return Ok(());
    }
    let mut text = units::size(churn.bytes);
    if extent.tables {
        text.push_str(&format!(" in {}:", units::count(churn.blocks, "block", "blocks")));
    } else if let Some(most) = churn.sites.first() {
        let cwd = report.run.cwd.as_deref();
        text.push_str(&format!(
            ", {} of it at {}",
            units::percent(most.bytes, churn.bytes),
            names::location(&most.at, cwd)
        ));
    }
    page.gap()?;
    page.wrapped(
        (Paint::Bold, "Allocated and freed again: "),
        "  ",
        (Paint::Plain, &text),
    )?;
    if extent.tables {
        tables::sites(
            page,
            report,
            worth(&churn.sites, churn.bytes),
            churn.bytes,
            extent.sites,
        )?;
    }
    Ok(())
}

fn end(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    let Some(bytes) = report.end.heap_bytes else {
        return Ok(());
    };
    page.gap()?;
    page.wrapped(
        (Paint::Bold, "Live at the end: "),
        "  ",
        (Paint::Plain, &units::size(bytes)),
    )?;
    tables::sites(page, report, worth(&report.end.sites, bytes), bytes, extent.sites)
}

fn warnings(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    if report.warnings.is_empty() {
        return Ok(());
    }
    page.heading("Warnings:")?;
    for warning in report.warnings.iter().take(extent.warnings) {
        page.wrapped((Paint::Yellow, "  - "), "    ", (Paint::Plain, &names::clean(warning)))?;
    }
    let rest = report.warnings.len().saturating_sub(extent.warnings);
    if rest > 0 {
        let text = format!("  - and {rest} more in the whole report");
        page.line(&[(Paint::Dim, &text)])?;
    }
    Ok(())
}

fn next_step(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let Some(step) = report.next_step.as_deref().map(names::clean) else {
        return Ok(());
    };
    page.gap()?;
    if columns("Next: ") + columns(&step) <= page.width {
        page.line(&[(Paint::Bold, "Next: "), (Paint::Plain, &step)])
    } else {
        page.line(&[(Paint::Bold, "Next:")])?;
        page.whole(&step)
    }
}
