//! A finding as a few lines: what, how it is held, where it was made, what to do.

use std::io;

use super::layout::{Page, Paint};
use super::style::Extent;
use crate::model::{Finding, FindingKind, Report, Severity, Site};
use crate::words::chain::drawn;
use crate::words::{names, units};

/// Lines where the memory was made.
const SITES: usize = 2;
/// Sentences of evidence in the short text.
const EVIDENCE: usize = 2;
/// The findings that should be looked at.
pub(super) fn actionable(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    let is_actionable = |found: &&Finding| found.severity != Severity::Low;
    let actionable: Vec<&Finding> = report.findings.iter().filter(is_actionable).collect();
    if !actionable.is_empty() {
        page.heading("Found:")?;
    }
    for found in actionable {
        let paint = if found.severity == Severity::High {
            Paint::Red
        } else {
            Paint::Yellow
        };
        page.wrapped((paint, "  ! "), "    ", (Paint::Plain, &title(found)))?;
        // A cycle is drawn in the title.
        if !found.chain.is_empty() && found.cycle != Some(true) {
            let what = match found.kind {
                FindingKind::Uncollectable => "Perhaps a cycle",
                _ => "Held by",
            };
            let chain = format!("{what}: {}", drawn(&found.chain));
            page.wrapped((Paint::Plain, "    "), "      ", (Paint::Plain, &names::clean(&chain)))?;
        }
        if let Some(made) = made(found, report) {
            page.wrapped((Paint::Plain, "    "), "      ", (Paint::Plain, &names::clean(&made)))?;
        }
        for sentence in evidence(found, extent) {
            page.wrapped(
                (Paint::Plain, "    "),
                "      ",
                (Paint::Plain, &names::clean(sentence)),
            )?;
        }
        if let Some(suggestion) = &found.suggestion {
            page.wrapped((Paint::Plain, "    "), "    ", (Paint::Dim, &names::clean(suggestion)))?;
        }
    }
    Ok(())
}

/// The title with the kind, as `deadweight explain` takes it.
fn title(found: &Finding) -> String {
    format!("{} [{}]", names::clean(&found.title), found.kind.word())
}

/// The sentences of evidence that there is room for.
fn evidence<'a>(found: &'a Finding, extent: &Extent) -> &'a [String] {
    let room = if extent.tables { usize::MAX } else { EVIDENCE };
    &found.evidence[..found.evidence.len().min(room)]
}

/// The findings that a healthy run may have.
pub(super) fn notes(page: &mut Page<'_>, report: &Report, extent: &Extent) -> io::Result<()> {
    let is_note = |found: &&Finding| found.severity == Severity::Low;
    let notes: Vec<&Finding> = report.findings.iter().filter(is_note).collect();
    if !notes.is_empty() {
        page.heading("Good to know:")?;
    }
    for (number, found) in notes.into_iter().enumerate() {
        page.wrapped((Paint::Plain, "  - "), "    ", (Paint::Plain, &title(found)))?;
        if extent.tables {
            for sentence in &found.evidence {
                page.wrapped(
                    (Paint::Plain, "    "),
                    "      ",
                    (Paint::Plain, &names::clean(sentence)),
                )?;
            }
        }
        // In the short text, the largest spike has its remedy too: often it is all that there is to say.
        let has_remedy = extent.tables || number == 0 && found.kind == FindingKind::PeakSpike;
        if let Some(suggestion) = found.suggestion.as_ref().filter(|_| has_remedy) {
            page.wrapped((Paint::Plain, "    "), "    ", (Paint::Dim, &names::clean(suggestion)))?;
        }
    }
    Ok(())
}

/// Where the memory was made, by the user's lines: of findings out of heap snapshots, and of a program that was killed.
fn made(found: &Finding, report: &Report) -> Option<String> {
    if found.kind == FindingKind::OutOfMemory {
        let most = found.user_sites.first()?;
        let place = names::location(&most.at, report.run.cwd.as_deref());
        let size = units::size(most.bytes);
        return Some(format!(
            "Most of its memory came from {place} in {} ({size}).",
            most.at.function
        ));
    }
    found.freeable_by_gc?;
    let one = |site: &Site| {
        let place = names::location(&site.at, report.run.cwd.as_deref());
        format!("{place} in {} ({})", site.at.function, units::size(site.bytes))
    };
    let sites: Vec<String> = found.user_sites.iter().take(SITES).map(one).collect();
    (!sites.is_empty()).then(|| format!("Made at {}.", sites.join(", ")))
}
