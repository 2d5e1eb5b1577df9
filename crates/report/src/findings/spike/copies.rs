//! Blocks of the same size that are live at once: a table or an array, and what was made out of it.

use std::collections::BTreeSet;

use crate::attribution::rows::{Row, Rows};
use crate::findings::thresholds as limit;
use crate::words::names;
use crate::words::units;

/// Lines that are named.
const LINES: usize = 3;

/// The large blocks that a row had live at the peak: their size, and how many. `None` if they were of several sizes.
fn large_blocks(row: &Row<'_>) -> Option<(u64, u64)> {
    let (size, bytes) = (row.amounts.largest_bytes, row.amounts.peak.bytes);
    // What stays to the end is no copy: buffers of libraries.
    if size < limit::COPY_LEAST_BYTES || row.amounts.end.bytes > limit::COPY_STAYS.of(bytes) {
        return None;
    }
    let count = (bytes + size / 2) / size;
    let rest = bytes.abs_diff(count * size);
    (count > 0 && rest <= limit::COPY_REST_OF_BLOCK.of(size)).then_some((size, count))
}

fn is_same(a: u64, b: u64) -> bool {
    a.abs_diff(b) <= limit::COPY_SIZES_DIFFER.of(a.max(b))
}

/// A sentence about copies, if several blocks of the size of the largest one of these rows were live in the process, made
/// in different places, and are much of the spike.
pub(super) fn find(rows: &Rows<'_>, of: &[&Row<'_>], spike: u64, cwd: Option<&str>) -> Option<String> {
    let sized = of.iter().filter_map(|row| Some((large_blocks(row)?.0, row.process)));
    let (size, process) = sized.max()?;
    let of_process = rows.list.iter().filter(|row| row.process == process);
    let same: Vec<(&Row<'_>, u64)> = of_process
        .filter_map(|row| large_blocks(row).map(|(other, count)| (row, other, count)))
        .filter(|(_, other, _)| is_same(size, *other))
        .map(|(row, _, count)| (row, count))
        .collect();
    let count: u64 = same.iter().map(|(_, count)| count).sum();
    let makers: BTreeSet<_> = same.iter().map(|(row, _)| (row.inner.file, row.inner.line)).collect();
    if !(2..=limit::COPIES_MOST_BLOCKS).contains(&count)
        || makers.len() < 2
        || count * size < limit::COPIES_LEAST_OF_SPIKE.of(spike)
    {
        return None;
    }
    let lines: BTreeSet<String> = same
        .iter()
        .map(|(row, _)| names::location(&names::line(&row.user), cwd))
        .collect();
    let mut lines: Vec<String> = lines.into_iter().collect();
    let more = if lines.len() > LINES { ", …" } else { "" };
    lines.truncate(LINES);
    Some(format!(
        "{count} blocks of {} were live at the same time: something and copies of it, made at {}{more}.",
        units::size(size),
        lines.join(", ")
    ))
}
