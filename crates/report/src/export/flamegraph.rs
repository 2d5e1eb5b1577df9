//! A flame graph: one SVG file that opens in a browser, with search and zoom.

use std::io::{self, Write};

use deadweight_analysis::Analysis;
use inferno::flamegraph::color::{BackgroundColor, BasicPalette};
use inferno::flamegraph::{Options, Palette, from_lines};

use crate::export::collapsed::{self, Metric};
use crate::words::{names, units};

/// Frames narrower than this share of the picture, in percent, are left out.
pub(crate) const NARROWEST_PERCENT: f64 = 0.1;

const EMPTY: &str = r##"<?xml version="1.0" standalone="no"?>
<svg version="1.1" width="1200" height="80" viewBox="0 0 1200 80" xmlns="http://www.w3.org/2000/svg">
<rect x="0" y="0" width="1200" height="80" fill="#f8f8f8"/>
<text x="600" y="45" text-anchor="middle" font-family="monospace" font-size="14">No memory was recorded.</text>
</svg>
"##;

/// A picture that says that there is nothing to draw.
pub(crate) fn nothing(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(EMPTY.as_bytes())
}

/// Draws the memory in `metric` as a flame graph under `title`; a frame's width is its bytes.
///
/// # Errors
/// If `out` fails.
pub fn render(analysis: &Analysis, metric: Metric, title: &str, out: &mut dyn Write) -> io::Result<()> {
    let stacks = collapsed::lines(analysis, metric);
    if stacks.is_empty() {
        return nothing(out);
    }
    let total = stacks.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    let lines: Vec<String> = stacks.iter().map(|(stack, bytes)| format!("{stack} {bytes}")).collect();
    let mut options = Options::default();
    options.title = names::clean(title).into_owned();
    options.subtitle = Some(match metric {
        Metric::Peak => format!("{} live at the peak; the wider, the more bytes", units::size(total)),
        Metric::Allocated => format!(
            "{} allocated over the whole run; the wider, the more bytes",
            units::size(total)
        ),
    });
    "bytes".clone_into(&mut options.count_name);
    options.min_width = NARROWEST_PERCENT;
    options.colors = Palette::Basic(BasicPalette::Mem);
    options.bgcolors = Some(BackgroundColor::Flat((255, 255, 255).into()));
    // The same function has the same colour in every picture, so that two of them can be compared.
    options.hash = true;
    from_lines(&mut options, lines.iter().map(String::as_str), out).map_err(io::Error::other)
}
