//! The timeline as a picture: one SVG file.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::model::TimelineView;
use crate::words::{names, units};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 980.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 340.0;
/// Processes with a curve of their own, and their colours (Okabe and Ito, "Color Universal Design").
const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// Rows of regions.
const BANDS: usize = 3;
/// Lines across the picture.
const STEPS: u32 = 4;

/// Draws the memory of all processes as an area, the largest ones as lines, and the limit, under `title`.
///
/// # Errors
/// If `out` fails.
pub fn render(view: &TimelineView, title: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(picture(view, title).as_bytes())
}

fn escaped(text: &str) -> String {
    let clean = names::clean(text);
    clean
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn picture(view: &TimelineView, title: &str) -> String {
    let end = view.end().max(1e-3);
    let limit = view.group_limit().filter(|limit| *limit / 2 <= view.highest());
    let top = view.highest().max(limit.unwrap_or(0)).max(1) as f64 * 1.05;
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * (seconds / end).clamp(0.0, 1.0);
    let y = |bytes: f64| BOTTOM - (BOTTOM - TOP) * (bytes / top).clamp(0.0, 1.0);
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<?xml version=\"1.0\" standalone=\"no\"?>\n<svg version=\"1.1\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 \
         {WIDTH} {HEIGHT}\" xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>\n",
        escaped(title)
    );
    for step in 0..=STEPS {
        let part = f64::from(step) / f64::from(STEPS);
        let (bytes, seconds) = (top / 1.05 * part, end * part);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            LEFT - 8.0,
            y(bytes) + 4.0,
            units::size(bytes as u64),
            x(seconds),
            BOTTOM + 18.0,
            units::duration(seconds),
            y = y(bytes),
        );
    }
    let points = view.points.iter().map(|point| (point.seconds, point.rss_bytes));
    let line = path(points, x, y);
    let _ = writeln!(
        svg,
        "<path d=\"{line} L{:.1} {BOTTOM} L{LEFT} {BOTTOM} Z\" fill=\"#e8eef4\" stroke=\"none\"/>\n\
         <path d=\"{line}\" fill=\"none\" stroke=\"#333333\" stroke-width=\"1.5\"/>",
        view.points.last().map_or(LEFT, |point| x(point.seconds)),
    );
    let mut largest: Vec<_> = view.processes.iter().collect();
    largest.sort_by_key(|process| (std::cmp::Reverse(process.peak_rss_bytes), process.number));
    let legend = |svg: &mut String, at: usize, color: &str, text: &str| {
        let (column, row) = (at / 3, at % 3);
        let (left, base) = (LEFT + 300.0 * column as f64, BOTTOM + 42.0 + 16.0 * row as f64);
        let short: String = text.chars().take(44).collect();
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{color}\"/><text x=\"{}\" y=\"{base}\">{}</text>",
            base - 9.0,
            left + 15.0,
            escaped(&short)
        );
    };
    legend(&mut svg, 0, "#333333", "all processes together");
    let curves = if largest.len() > 1 { largest.as_slice() } else { &[] };
    for (at, (process, color)) in curves.iter().zip(COLORS).enumerate() {
        let of_this = view.points.iter().filter_map(|point| {
            let one = point.processes.iter().find(|one| one.number == process.number)?;
            Some((point.seconds, one.rss_bytes))
        });
        let _ = writeln!(
            svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{color}\"/>",
            path(of_this, x, y)
        );
        let text = format!("{} {}", process.pid, names::command(&process.argv));
        legend(&mut svg, at + 1, color, &text);
    }
    if let Some(limit) = limit {
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#cc0000\" stroke-dasharray=\"6 4\"/>\
             <text x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#cc0000\">limit {}</text>",
            y(limit as f64) - 5.0,
            units::size(limit),
            y = y(limit as f64),
        );
    }
    bands(&mut svg, view, x);
    for mark in view.marks.iter().filter(|mark| mark.until_seconds.is_none()) {
        let (at, color) = (
            x(mark.seconds),
            if mark.what == "killed" { "#cc0000" } else { "#999999" },
        );
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\" stroke=\"{color}\" \
             stroke-dasharray=\"2 3\"><title>{} {}</title></line>",
            escaped(&mark.what),
            mark.pid
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Regions as bars above the curve; those at the same time stand above each other.
fn bands(svg: &mut String, view: &TimelineView, x: impl Fn(f64) -> f64) {
    let mut ends = [f64::NEG_INFINITY; BANDS];
    for mark in &view.marks {
        let (Some(until), Some(name)) = (mark.until_seconds, &mark.name) else {
            continue;
        };
        let row = ends.iter().position(|end| *end <= mark.seconds).unwrap_or(BANDS - 1);
        if let Some(end) = ends.get_mut(row) {
            *end = end.max(until);
        }
        let color = COLORS.get(row % COLORS.len()).copied().unwrap_or("#999999");
        let (left, right) = (x(mark.seconds), x(until));
        let top = TOP - 6.0 * (row + 1) as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"5\" fill=\"{color}\"><title>{} {} to {}</title></rect>",
            (right - left).max(1.0),
            escaped(name),
            units::duration(mark.seconds),
            units::duration(until),
        );
    }
}

fn path(points: impl Iterator<Item = (f64, u64)>, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for (seconds, bytes) in points {
        let verb = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{verb}{:.1} {:.1} ", x(seconds), y(bytes as f64));
    }
    if path.is_empty() {
        path = format!("M{LEFT} {BOTTOM} ");
    }
    path.truncate(path.trim_end().len());
    path
}
