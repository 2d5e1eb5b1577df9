//! How text may look where it is going.

use std::env;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use deadweight_report::text::Style;

/// Columns where nobody says how many there are.
const WIDTH: usize = 100;

/// The style for this stream: the terminal's width; colours on a terminal unless `NO_COLOR` or `TERM=dumb` say no,
/// and anywhere if `CLICOLOR_FORCE` says so.
pub fn style(stream: &(impl AsFd + IsTerminal)) -> Style {
    let width = terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0));
    let says = |name| env::var_os(name).filter(|value| !value.is_empty());
    let color = if says("NO_COLOR").is_some() {
        false
    } else if says("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        true
    } else {
        stream.is_terminal() && says("TERM").is_some_and(|term| term != "dumb")
    };
    Style {
        width: width.filter(|&width| width > 0).unwrap_or(WIDTH),
        color,
    }
}
