//! A picture as SVG: one file that needs nothing else.
//!
//! Texts are measured in columns, because nobody knows the fonts of the reader: code is set in a monospaced font, and
//! everything else is given more room than it usually takes.

mod place;

use std::fmt::Write as _;
use std::io::{self, Write};

use self::place::{Arrow, Placed, place};
use super::picture::{Panel, Part, Picture};
use crate::words::names;

const MARGIN: f64 = 28.0;
const SANS: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
const MONO: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const RED: &str = "#c5221f";
const INK: &str = "#202124";
const GREY: &str = "#5f6368";
const LINE: &str = "#80868b";
const PANEL: &str = "#fafbfc";
const NOTE_LINE: f64 = 20.0;
/// Room for a letter of the title.
const TITLE_LETTER: f64 = 9.6;

/// Writes the picture.
///
/// # Errors
/// If `out` fails.
pub fn render(picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    let placed: Vec<Placed> = picture.panels.iter().map(place).collect();
    let title = picture.title.chars().count() as f64 * TITLE_LETTER - 48.0;
    let content = placed.iter().map(|panel| panel.width).fold(title.max(520.0), f64::max);
    let width = content + 2.0 * MARGIN + 48.0;
    let (mut body, mut y) = (String::new(), 84.0);
    for (panel, placed) in picture.panels.iter().zip(&placed) {
        y += draw_panel(&mut body, panel, placed, y, width) + 24.0;
    }
    if picture.panels.is_empty() {
        let text = "Nothing to draw: there is no cycle and no large holder in this snapshot.";
        body.push_str(&label(MARGIN, y, text, 14, GREY, ""));
        y += 30.0;
    }
    let (w, h) = (width.ceil(), (y + 8.0).ceil());
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" font-family="{SANS}">"#
    )?;
    writeln!(out, "<title>{}</title>", escaped(&picture.title))?;
    writeln!(
        out,
        r##"<defs>{}{}</defs><rect width="{w}" height="{h}" fill="#ffffff"/>"##,
        marker("arrow", LINE),
        marker("back", RED)
    )?;
    write!(
        out,
        "{}",
        label(MARGIN, 40.0, &picture.title, 16, INK, r#" font-weight="600""#)
    )?;
    let legend = "Boxes: objects of one type. Arrows: the reference that leads from one to the next, as source.";
    write!(out, "{}", label(MARGIN, 62.0, legend, 12, GREY, ""))?;
    writeln!(out, "{body}</svg>")
}

fn marker(id: &str, color: &str) -> String {
    format!(
        r#"<marker id="{id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5 L10,5 L0,9.5 z" fill="{color}"/></marker>"#
    )
}

/// Draws a panel with its upper edge at `y`; returns its height.
fn draw_panel(out: &mut String, panel: &Panel, placed: &Placed, y: f64, width: f64) -> f64 {
    let (left, inner) = (MARGIN + 24.0, width - 2.0 * MARGIN);
    let columns = ((inner - 48.0 - 76.0) / 7.0) as usize;
    let notes: Vec<(&str, Vec<String>)> = panel
        .notes
        .iter()
        .map(|(name, text)| (*name, place::wrapped(&names::clean(text), columns.max(30), ' ')))
        .collect();
    let note_lines: usize = notes.iter().map(|(_, lines)| lines.len()).sum();
    let boxes = y + 78.0;
    let height = 78.0 + placed.height + 26.0 + note_lines as f64 * NOTE_LINE + 14.0;
    let _ = writeln!(
        out,
        r##"<rect x="{MARGIN}" y="{y:.1}" width="{inner:.1}" height="{height:.1}" rx="12" fill="{PANEL}" stroke="#dfe3e8"/>"##
    );
    out.push_str(&label(left, y + 34.0, &panel.heading, 20, INK, r#" font-weight="700""#));
    out.push_str(&label(left, y + 56.0, &panel.subject, 13, GREY, ""));
    let shift = (inner - 48.0 - placed.width).max(0.0) / 2.0;
    let _ = writeln!(
        out,
        r#"<g transform="translate({:.1},{boxes:.1})">"#,
        left + shift.min(160.0)
    );
    for arrow in &placed.arrows {
        draw_arrow(out, arrow);
    }
    for (node, rect) in panel.nodes.iter().zip(&placed.boxes) {
        let (fill, stroke, bar) = colors(node.part);
        let place::Box { x, y, width, height } = *rect;
        let strong = if matches!(node.part, Part::Cycle | Part::Focus) {
            2.0
        } else {
            1.2
        };
        let _ = writeln!(out, "<g><title>{}</title>", escaped(&node.full));
        let _ = writeln!(
            out,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="8" fill="{fill}" stroke="{stroke}" stroke-width="{strong}"/>"#
        );
        let center = x + width / 2.0;
        let middle = r#" text-anchor="middle" font-weight="600""#;
        let title = place::cut(&node.title, place::LONGEST_TITLE);
        let first = if node.text.is_empty() {
            y + height / 2.0 + 5.0
        } else {
            y + 22.0
        };
        out.push_str(&label(center, first, &title, 14, INK, middle));
        out.push_str(&label(
            center,
            y + 40.0,
            &node.text,
            12,
            GREY,
            r#" text-anchor="middle""#,
        ));
        if let Some(bytes) = node.bytes.filter(|_| panel.whole > 0) {
            let part = (bytes as f64 / panel.whole as f64).min(1.0);
            let (from, room) = (x + 10.0, width - 20.0);
            for (length, color) in [(room, "#ffffff"), (room * part, bar)] {
                let _ = writeln!(
                    out,
                    r#"<rect x="{from:.1}" y="{:.1}" width="{length:.1}" height="5" rx="2.5" fill="{color}"/>"#,
                    y + height - 12.0
                );
            }
        }
        out.push_str("</g>\n");
    }
    out.push_str("</g>\n");
    let mut at = boxes + placed.height + 34.0;
    for (name, lines) in notes {
        out.push_str(&label(left, at, name, 13, INK, r#" font-weight="600""#));
        for line in lines {
            out.push_str(&label(left + 76.0, at, &line, 13, INK, ""));
            at += NOTE_LINE;
        }
    }
    height
}

fn draw_arrow(out: &mut String, arrow: &Arrow) {
    let (color, width, marker) = match arrow.closes {
        true => (RED, 3.0, "back"),
        false => (LINE, 1.6, "arrow"),
    };
    let _ = writeln!(
        out,
        r#"<path d="{}" fill="none" stroke="{color}" stroke-width="{width}" marker-end="url(#{marker})"/>"#,
        arrow.path
    );
    let (ink, weight) = if arrow.closes {
        (RED, " font-weight=\"700\"")
    } else {
        (INK, "")
    };
    let mut y = arrow.label_y;
    for line in &arrow.lines {
        let style = format!(r#" text-anchor="{}" font-family="{MONO}"{weight}"#, arrow.anchor);
        // A rim of the background's colour where it crosses a line: a text of its own, because many readers do not know
        // `paint-order` and would draw the rim over the letters.
        let rim = format!("{style} stroke=\"{PANEL}\" stroke-width=\"4\"");
        out.push_str(&label(arrow.label_x, y, line, 12, PANEL, &rim));
        out.push_str(&label(arrow.label_x, y, line, 12, ink, &style));
        y += place::LABEL_LINE;
    }
    if arrow.closes {
        let style = format!(r#" text-anchor="{}""#, arrow.anchor);
        out.push_str(&label(arrow.label_x, y + 2.0, "closes the cycle", 12, RED, &style));
    }
}

fn colors(part: Part) -> (&'static str, &'static str, &'static str) {
    match part {
        Part::Root => ("#e6f4ea", "#34a853", "#34a853"),
        Part::Holder => ("#f1f3f4", "#9aa0a6", "#9aa0a6"),
        Part::Focus => ("#fff3d6", "#f29900", "#f29900"),
        Part::Cycle => ("#fdeeee", "#d96560", "#d96560"),
        Part::Tail => ("#e8f0fe", "#4a7fd6", "#4a7fd6"),
    }
}

fn label(x: f64, y: f64, text: &str, size: u32, fill: &str, style: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\"{style}>{}</text>\n",
            escaped(text)
        ),
    }
}

fn escaped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in names::clean(text).chars() {
        match c {
            '&' => kept.push_str("&amp;"),
            '<' => kept.push_str("&lt;"),
            '>' => kept.push_str("&gt;"),
            '"' => kept.push_str("&quot;"),
            c => kept.push(c),
        }
    }
    kept
}
