//! Amounts, places and named fields, as every part of the text has them.

use std::io;

use deadweight_heap::short_type;

use crate::heap::{HeapReport, Memory, TailRow, worth};
use crate::model::Site;
use crate::text::layout::{Page, Paint, pad_end};
use crate::words::{names, units};

pub(super) const SIZE: usize = 8;
/// Places of each thing.
const SITES: usize = 3;
/// Branches of a cycle.
const TAILS: usize = 4;

pub(super) fn objects(count: u64) -> String {
    units::count(count, "object", "objects")
}

/// `92.0 MiB (61.6 MiB native)`.
pub(super) fn amount(memory: &Memory) -> String {
    match memory.native_bytes {
        0 => units::size(memory.bytes),
        native if native >= memory.bytes / 100 * 99 => format!("{} (native)", units::size(memory.bytes)),
        native => format!("{} ({} native)", units::size(memory.bytes), units::size(native)),
    }
}

/// `12 × DataFrame`.
pub(super) fn times(count: u64, type_name: &str) -> String {
    match count {
        1 => short_type(type_name).to_owned(),
        _ => format!("{} × {}", units::grouped(count), short_type(type_name)),
    }
}

pub(super) fn field(page: &mut Page<'_>, name: &str, text: &str) -> io::Result<()> {
    let label = format!("   {}", pad_end(name, 12));
    page.wrapped(
        (Paint::Dim, &label),
        &" ".repeat(15),
        (Paint::Plain, &names::clean(text)),
    )
}

/// Fields whose name stands at the first line only.
pub(super) fn fields(page: &mut Page<'_>, name: &str, texts: &[String]) -> io::Result<()> {
    for (at, text) in texts.iter().enumerate() {
        field(page, if at == 0 { name } else { "" }, text)?;
    }
    Ok(())
}

pub(super) fn sites(sites: &[Site], report: &HeapReport) -> Vec<String> {
    let one = |site: &Site| {
        let place = names::location(&site.at, report.cwd.as_deref());
        format!("{place} in {} ({})", site.at.function, units::size(site.bytes))
    };
    worth(sites).take(SITES).map(one).collect()
}

pub(super) fn tails(tails: &[TailRow], from: impl Fn(usize) -> String) -> Vec<String> {
    let one = |tail: &TailRow| {
        let what = times(tail.retained.objects, &tail.type_name);
        format!("{}{}: {what}, {}", from(tail.step), tail.edge, amount(&tail.retained))
    };
    tails.iter().take(TAILS).map(one).collect()
}
