//! What the resident memory at the peak was made of: a short table, and what the biggest item asks for.

use std::io;

use super::layout::{Page, Paint, pad_end, pad_start};
use crate::model::{Ledger, Report};
use crate::words::units;

/// Items below 2 % of the whole (one part in 50) are summed up.
const SMALLEST_PART: u64 = 50;

/// An item: how it is called, its bytes, and advice if it is the biggest.
type Item = (&'static str, Option<u64>, Option<&'static str>);

fn items(ledger: &Ledger) -> [Item; 8] {
    let slack = ledger.slack.unwrap_or_default();
    let of_slack = match slack.malloc_heap.max(slack.malloc_arenas).max(slack.pymalloc) {
        most if most == slack.malloc_arenas => {
            "Most of it was freed and kept in malloc's arenas: MALLOC_ARENA_MAX=2 makes them fewer, malloc_trim(0) gives \
             free pages back."
        }
        most if most == slack.pymalloc => {
            "Most of it was freed and kept by Python's allocator: a few small objects hold on to many arenas."
        }
        _ => "Most of it was freed and kept by malloc: malloc_trim(0) gives free pages back.",
    };
    [
        ("Python objects", ledger.python_objects, None),
        ("native blocks", ledger.native_blocks, None),
        ("freed, kept by allocators", ledger.allocator_slack, Some(of_slack)),
        (
            "mapped files, libraries",
            ledger.file_backed,
            Some("Most of it are pages of files: the kernel drops unchanged ones when memory gets scarce."),
        ),
        (
            "shared memory",
            ledger.shared_memory,
            Some("Most of it is shared memory: it stays until the last process closes and unlinks it."),
        ),
        (
            "thread stacks",
            ledger.thread_stacks,
            Some("Most of it are stacks: start fewer threads, or give them less with threading.stack_size()."),
        ),
        (
            "deadweight itself",
            ledger.deadweight,
            Some("Most of it is deadweight's own: a larger --interval needs less."),
        ),
        (
            "unexplained",
            ledger.unexplained,
            Some(
                "Most of it cannot be told: memory of processes that were not recorded, of allocators that a library brings \
                 along, or from before the recording.",
            ),
        ),
    ]
}

/// The table. Nothing where nothing was looked at.
pub(super) fn table(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let ledger = &report.peak.ledger;
    let Some(total) = ledger.total.filter(|total| *total > 0) else {
        return Ok(());
    };
    if ledger.unexplained.is_none() {
        return Ok(());
    }
    page.heading(&format!("Resident memory at the peak ({}):", units::size(total)))?;
    let mut items: Vec<(&str, u64, Option<&str>)> = items(ledger)
        .into_iter()
        .filter_map(|(name, bytes, advice)| Some((name, bytes?, advice)))
        .collect();
    items.sort_by_key(|(_, bytes, _)| std::cmp::Reverse(*bytes));
    // What is unexplained is never hidden.
    let is_shown =
        |item: &&(&str, u64, Option<&str>)| item.1 >= total / SMALLEST_PART || (item.0 == "unexplained" && item.1 > 0);
    let shown: Vec<_> = items.iter().filter(is_shown).copied().collect();
    let columns = shown.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let error = ledger.error_bytes.filter(|error| *error > 0);
    for (name, bytes, _) in &shown {
        let percent = format!("  {}  ", pad_start(&units::percent(*bytes, total), 6));
        let size = format!("{}  ", pad_start(&units::size(*bytes), 8));
        let estimated = matches!(*name, "Python objects" | "native blocks" | "freed, kept by allocators");
        let error = error
            .filter(|_| estimated)
            .map_or_else(String::new, |error| format!("  ± {}", units::size(error)));
        let name = pad_end(name, columns);
        page.line(&[
            (Paint::Plain, &percent),
            (Paint::Bold, &size),
            (Paint::Plain, &name),
            (Paint::Dim, &error),
        ])?;
    }
    if let Some((_, _, Some(advice))) = shown.first() {
        page.wrapped((Paint::Plain, "  "), "  ", (Paint::Dim, advice))?;
    }
    Ok(())
}
