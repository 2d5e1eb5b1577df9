//! The tables: memory by line, the call tree, the processes.

use std::io;

use super::layout::{Page, Paint, columns, cut_end, cut_start, pad_end, pad_start};
use crate::model::{CallNode, Mode, Process, Report, Site};
use crate::words::{names, units};

const PERCENT_COLUMNS: usize = 6;
const SIZE_COLUMNS: usize = 8;
/// Errors are left out of the lines where the width is below this; the peak's own is always there.
const WIDE: usize = 76;
/// Functions are left out where they would have less room than this.
const FUNCTION_LEAST: usize = 8;

/// Lines of the call tree.
const TREE_LINES: usize = 80;

/// Widths for a location and a function side by side that want `left` and `right` columns and have `room`. Where
/// both do not fit, the function gets up to two fifths, as far as the location keeps the `least` columns that a
/// file's name and line take; a function with less than [`FUNCTION_LEAST`] is left out.
fn share_out(room: usize, left: usize, least: usize, right: usize) -> (usize, usize) {
    let gap = 2;
    if left + gap + right <= room {
        return (left, right);
    }
    let beside = |width: usize| room.saturating_sub(gap + width);
    let function = right.min(beside(left).max(room * 2 / 5)).min(beside(least));
    if function < right.min(FUNCTION_LEAST) {
        return (left.min(room), 0);
    }
    (left.min(beside(function)), function)
}

/// Columns of a location whose path is cut down to the file's name.
fn least(location: &str) -> usize {
    let name = names::file_name(location);
    if name.len() < location.len() {
        columns(name) + 2
    } else {
        columns(name)
    }
}

/// Lines with their share of `whole`, at most `most` of them.
pub(super) fn sites(page: &mut Page<'_>, report: &Report, sites: &[Site], whole: u64, most: usize) -> io::Result<()> {
    let cwd = report.run.cwd.as_deref();
    let sites = &sites[..sites.len().min(most)];
    let errors = report.run.mode == Mode::Sampled && page.width >= WIDE;
    let error = |site: &Site| match errors {
        true => format!("± {}", units::size(site.error_bytes)),
        false => String::new(),
    };
    let error_columns = sites.iter().map(|site| columns(&error(site))).max().unwrap_or(0);
    let location = |site: &Site| names::location(&site.at, cwd);
    let function = |site: &Site| names::clean(&site.at.function).into_owned();
    let left = sites.iter().map(|site| columns(&location(site))).max().unwrap_or(0);
    let names = sites.iter().map(|site| least(&location(site))).max().unwrap_or(0);
    let right = sites.iter().map(|site| columns(&function(site))).max().unwrap_or(0);
    let used = 2 + PERCENT_COLUMNS + 2 + SIZE_COLUMNS + 2 + if errors { error_columns + 2 } else { 0 };
    let (left, right) = share_out(page.width.saturating_sub(used), left, names, right);
    for site in sites {
        let percent = format!("  {}  ", pad_start(&units::percent(site.bytes, whole), PERCENT_COLUMNS));
        let size = format!("{}  ", pad_start(&units::size(site.bytes), SIZE_COLUMNS));
        let error = match errors {
            true => format!("{}  ", pad_end(&error(site), error_columns)),
            false => String::new(),
        };
        let location = pad_end(&cut_start(&location(site), left), left);
        let function = if right > 0 {
            format!("  {}", cut_end(&function(site), right))
        } else {
            String::new()
        };
        page.line(&[
            (Paint::Plain, &percent),
            (Paint::Bold, &size),
            (Paint::Dim, &error),
            (Paint::Cyan, &location),
            (Paint::Plain, &function),
        ])?;
    }
    Ok(())
}

/// The call tree. A frame that calls only one other stands straight above it, so that long chains stay readable.
pub(super) fn call_tree(page: &mut Page<'_>, report: &Report, whole: u64) -> io::Result<()> {
    let mut left = TREE_LINES;
    branch(page, report, &report.peak.tree, whole, "", &mut left)?;
    if left == 0 {
        page.line(&[(Paint::Dim, "  (the rest is left out; the flame graph has all of it)")])?;
    }
    Ok(())
}

/// The calls of one frame; `rails` are the lines that lead past them to the calls of the frames further out.
fn branch(
    page: &mut Page<'_>,
    report: &Report,
    nodes: &[CallNode],
    whole: u64,
    rails: &str,
    left: &mut usize,
) -> io::Result<()> {
    let forks = nodes.len() > 1 && columns(rails) < page.width / 4;
    for (index, node) in nodes.iter().enumerate() {
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let (mark, rail) = match index + 1 == nodes.len() {
            _ if !forks => ("", ""),
            false => ("├ ", "│ "),
            true => ("└ ", "  "),
        };
        tree_line(page, report, node, whole, &format!("{rails}{mark}"))?;
        branch(page, report, &node.children, whole, &format!("{rails}{rail}"), left)?;
    }
    Ok(())
}

fn tree_line(page: &mut Page<'_>, report: &Report, node: &CallNode, whole: u64, rails: &str) -> io::Result<()> {
    let percent = format!("  {}  ", pad_start(&units::percent(node.bytes, whole), PERCENT_COLUMNS));
    let size = format!("{}  ", pad_start(&units::size(node.bytes), SIZE_COLUMNS));
    let used = columns(&percent) + columns(&size) + columns(rails);
    let function = names::clean(&node.at.function).into_owned();
    let location = match node.at.file.as_str() {
        "" | "<native>" | "<python>" | "<unknown>" => String::new(),
        _ => names::location(&node.at, report.run.cwd.as_deref()),
    };
    let (left, right) = share_out(
        page.width.saturating_sub(used),
        columns(&location),
        least(&location),
        columns(&function),
    );
    let function = if right > 0 || location.is_empty() {
        let room = if location.is_empty() {
            page.width.saturating_sub(used)
        } else {
            right
        };
        format!("{}  ", cut_end(&function, room))
    } else {
        String::new()
    };
    page.line(&[
        (Paint::Plain, &percent),
        (Paint::Bold, &size),
        (Paint::Dim, rails),
        (Paint::Plain, &function),
        (Paint::Cyan, &cut_start(&location, left)),
    ])
}

/// The processes, at most `most` of them; `exits` adds a line for each one that ended otherwise than well.
pub(super) fn processes(page: &mut Page<'_>, report: &Report, most: usize, exits: bool) -> io::Result<()> {
    let amount = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), units::size);
    let row = |pid: &str, heap: &str, resident: &str| {
        format!(
            "  {}  {}  {}  ",
            pad_start(pid, 8),
            pad_start(heap, 9),
            pad_start(resident, 9)
        )
    };
    let header = row("pid", "peak heap", "resident");
    page.line(&[(Paint::Dim, &header), (Paint::Dim, "command")])?;
    let mut shown: Vec<&Process> = report.processes.iter().collect();
    // The started one stays first, then the largest.
    if let Some(children) = shown.get_mut(1..) {
        children.sort_by_key(|process| {
            let size = process.peak_heap_bytes.max(process.peak_rss_bytes);
            (std::cmp::Reverse(size), process.pid)
        });
    }
    for process in shown.iter().take(most) {
        let figures = row(
            &process.pid.to_string(),
            &if process.recorded {
                amount(process.peak_heap_bytes)
            } else {
                "unknown".to_owned()
            },
            &amount(process.peak_rss_bytes),
        );
        page.line(&[(Paint::Plain, &figures), (Paint::Plain, &names::command(&process.argv))])?;
        if let Some(end) = crate::words::exit::bad_end(&process.exit).filter(|_| exits) {
            let indent = " ".repeat(12);
            page.wrapped((Paint::Plain, &indent), &indent, (Paint::Red, &end))?;
        }
    }
    if shown.len() > most {
        let rest = format!("  and {} more", shown.len() - most);
        page.line(&[(Paint::Dim, &rest)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::share_out;

    #[test]
    fn shares_never_exceed_the_room() {
        for room in 0..80 {
            for left in 0..80 {
                for right in 0..40 {
                    let (location, function) = share_out(room, left, left.min(16), right);
                    let taken = location + if function > 0 { function + 2 } else { 0 };
                    assert!(taken <= room.max(location), "{room} {left} {right}");
                    assert!(location <= left.min(room) && function <= right, "{room} {left} {right}");
                }
            }
        }
    }

    #[test]
    fn a_files_name_comes_before_a_function() {
        assert_eq!(share_out(30, 37, 17, 21), (17, 11));
        assert_eq!(share_out(20, 37, 17, 21), (20, 0));
        assert_eq!(share_out(80, 37, 17, 21), (37, 21));
        assert_eq!(share_out(48, 37, 17, 21), (27, 19));
    }
}
