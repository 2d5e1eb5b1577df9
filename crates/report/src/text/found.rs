//! A finding as a few lines: what, how it is held, where it was made, what to do.

use std::io;

use super::layout::{Page, Paint};
use crate::model::{Finding, Link, Report, Severity, Site};
use crate::{names, units};

/// Lines where the memory was made.
const SITES: usize = 2;
/// Steps of a chain; of a longer one the middle is left out.
const STEPS: usize = 8;

/// The findings that should be looked at.
pub(super) fn grave(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let is_grave = |found: &&Finding| found.severity != Severity::Low;
    let grave: Vec<&Finding> = report.findings.iter().filter(is_grave).collect();
    if !grave.is_empty() {
        page.heading("Found:")?;
    }
    for found in grave {
        let paint = if found.severity == Severity::High {
            Paint::Red
        } else {
            Paint::Yellow
        };
        page.wrapped((paint, "  ! "), "    ", (Paint::Plain, &names::clean(&found.title)))?;
        // A cycle is drawn in the title.
        if !found.chain.is_empty() && found.cycle != Some(true) {
            let chain = format!("Held by: {}", drawn(&found.chain));
            page.wrapped((Paint::Plain, "    "), "      ", (Paint::Plain, &names::clean(&chain)))?;
        }
        if let Some(made) = made(found, report) {
            page.wrapped((Paint::Plain, "    "), "      ", (Paint::Plain, &names::clean(&made)))?;
        }
        if let Some(suggestion) = &found.suggestion {
            page.wrapped((Paint::Plain, "    "), "    ", (Paint::Dim, &names::clean(suggestion)))?;
        }
    }
    Ok(())
}

/// `frame main<local titles> → list[0]`.
fn drawn(chain: &[Link]) -> String {
    let step = |link: &Link| format!("{}{}", link.type_name, link.edge);
    let mut steps: Vec<String> = chain.iter().map(step).collect();
    if steps.len() > STEPS {
        let gap = steps.len() - STEPS + 1;
        steps.splice(STEPS / 2..STEPS / 2 + gap, ["…".to_owned()]);
    }
    steps.join(" → ")
}

/// Where the memory of a finding out of heap snapshots was made, by the user's lines.
fn made(found: &Finding, report: &Report) -> Option<String> {
    found.freeable_by_gc?;
    let one = |site: &Site| {
        let place = names::location(&site.at, report.run.cwd.as_deref());
        format!("{place} in {} ({})", site.at.function, units::size(site.bytes))
    };
    let sites: Vec<String> = found.user_sites.iter().take(SITES).map(one).collect();
    (!sites.is_empty()).then(|| format!("Made at {}.", sites.join(", ")))
}
