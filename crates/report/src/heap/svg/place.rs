//! Where boxes and arrows go.
//!
//! Boxes stand in columns. A box stands in the middle of the boxes that it leads to in the next column, if there are
//! any, and else below the box before it. Boxes of a cycle share one column, in their order; its last arrow goes round
//! them on the left.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::heap::picture::{Edge, Node, Panel, Part};

/// Columns of a box's title.
pub(super) const LONGEST_TITLE: usize = 34;
pub(super) const LABEL_LINE: f64 = 15.0;

const TITLE: f64 = 8.6;
const TEXT: f64 = 6.9;
const CODE: f64 = 7.4;
/// Columns of one line of an arrow's label.
const LABEL: usize = 34;
const LABEL_LINES: usize = 5;
const BETWEEN_ROWS: f64 = 22.0;
/// Least room between two boxes of a cycle.
const BETWEEN_STEPS: f64 = 58.0;
const LEAST_GAP: f64 = 70.0;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Box {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Box {
    fn middle(&self) -> f64 {
        self.y + self.height / 2.0
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Arrow {
    pub path: String,
    pub lines: Vec<String>,
    pub label_x: f64,
    pub label_y: f64,
    pub anchor: &'static str,
    pub closes: bool,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Placed {
    pub boxes: Vec<Box>,
    pub arrows: Vec<Arrow>,
    pub width: f64,
    pub height: f64,
}

/// The beginning of a text in at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect();
    format!("{kept}…")
}

/// The text in lines of at most `width` columns, broken before `.` and `[` (or at `at`, which is left out).
pub(super) fn wrapped(text: &str, width: usize, at: char) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for c in text.chars() {
        let begins = match at {
            ' ' => c == ' ',
            _ => matches!(c, '.' | '[' | '<'),
        };
        match parts.last_mut() {
            Some(part) if !begins => part.push(c),
            _ => parts.push(c.to_string()),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.width() + part.width() <= width => line.push_str(&part),
            _ => lines.push(part.trim_start().to_owned()),
        }
    }
    lines
}

/// The lines of an arrow's label; of a longer one the middle is left out.
fn label_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.split('\n').flat_map(|label| wrapped(label, LABEL, '.')).collect();
    if lines.len() > LABEL_LINES {
        let gap = lines.len() - LABEL_LINES + 1;
        lines.splice(LABEL_LINES / 2..LABEL_LINES / 2 + gap, ["…".to_owned()]);
    }
    lines.iter().map(|line| cut(line, LABEL + 8)).collect()
}

fn size(node: &Node) -> (f64, f64) {
    let title = node.title.width().min(LONGEST_TITLE) as f64 * TITLE;
    let text = node.text.width() as f64 * TEXT;
    let height = match (node.text.is_empty(), node.bytes) {
        (true, None) => 36.0,
        (true, Some(_)) => 46.0,
        (false, None) => 52.0,
        (false, Some(_)) => 62.0,
    };
    (title.max(text).max(76.0) + 28.0, height)
}

/// Places everything.
pub(super) fn place(panel: &Panel) -> Placed {
    let sizes: Vec<(f64, f64)> = panel.nodes.iter().map(size).collect();
    let mut boxes: Vec<Box> = sizes
        .iter()
        .map(|&(width, height)| Box {
            width,
            height,
            ..Box::default()
        })
        .collect();
    let rows = rows(panel, &mut boxes);
    let left = columns(panel, &mut boxes);
    let width = boxes.iter().map(|rect| rect.x + rect.width).fold(0.0, f64::max);
    let mut arrows = arrows(panel, &boxes, left);
    // Labels may stand above the first box and below the last one.
    let top = arrows
        .iter()
        .map(|arrow| arrow.label_y - LABEL_LINE)
        .fold(0.0, f64::min);
    if top < 0.0 {
        boxes.iter_mut().for_each(|rect| rect.y -= top);
        arrows = self::arrows(panel, &boxes, left);
    }
    let bottom = |arrow: &Arrow| arrow.label_y + arrow.lines.len() as f64 * LABEL_LINE;
    Placed {
        width,
        height: arrows.iter().map(bottom).fold(rows - top, f64::max),
        boxes,
        arrows,
    }
}

fn arrows(panel: &Panel, boxes: &[Box], left: f64) -> Vec<Arrow> {
    let arrow = |edge: &Edge| {
        let (from, to) = (boxes[edge.from], boxes[edge.to]);
        let lines = label_lines(&edge.label);
        match edge.closes {
            true => back(&from, &to, lines, left),
            false if panel.nodes[edge.from].column == panel.nodes[edge.to].column => down(&from, &to, lines),
            false => {
                let alone = panel
                    .edges
                    .iter()
                    .filter(|other| other.from == edge.from && !other.closes)
                    .count()
                    == 1;
                across(&from, &to, lines, alone)
            }
        }
    };
    panel.edges.iter().map(arrow).collect()
}

/// Gives every box its `y`; returns the height.
fn rows(panel: &Panel, boxes: &mut [Box]) -> f64 {
    let last = panel.nodes.iter().map(|node| node.column).max().unwrap_or(0);
    let is_cycle = panel.nodes.iter().any(|node| node.part == Part::Cycle);
    let mut height: f64 = 0.0;
    // The cycle's or the last column first: the others follow it.
    let order: Vec<usize> = match is_cycle {
        true => (0..=last).collect(),
        false => (0..=last).rev().collect(),
    };
    if is_cycle {
        return cycle_rows(panel, boxes);
    }
    for column in order {
        let mut members: Vec<usize> = (0..boxes.len())
            .filter(|&at| panel.nodes[at].column == column)
            .collect();
        let wish = |at: usize, boxes: &[Box]| -> Option<f64> {
            let to = panel
                .edges
                .iter()
                .filter(|edge| edge.from == at && panel.nodes[edge.to].column > column);
            let middles: Vec<f64> = to.map(|edge| boxes[edge.to].middle()).collect();
            (!middles.is_empty()).then(|| middles.iter().sum::<f64>() / middles.len() as f64)
        };
        let wishes: Vec<Option<f64>> = members.iter().map(|&at| wish(at, boxes)).collect();
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| wishes[a].unwrap_or(f64::MAX).total_cmp(&wishes[b].unwrap_or(f64::MAX)));
        let wishes: Vec<Option<f64>> = order.iter().map(|&at| wishes[at]).collect();
        members = order.iter().map(|&at| members[at]).collect();
        // Together they stand around the mean of what they wish.
        let total: f64 = members.iter().map(|&at| room(panel, at, boxes)).sum();
        let known: Vec<f64> = wishes.iter().flatten().copied().collect();
        let mean = match known.is_empty() {
            true => total / 2.0,
            false => known.iter().sum::<f64>() / known.len() as f64,
        };
        let mut y = mean - total / 2.0;
        let spread = members.len() > 1 && known.len() == members.len();
        for (&at, wish) in members.iter().zip(&wishes) {
            let own = room(panel, at, boxes);
            let wished = wish.filter(|_| spread).map_or(y, |wish| (wish - own / 2.0).max(y));
            let start = if spread { wished } else { y };
            boxes[at].y = start + (own - boxes[at].height) / 2.0;
            y = start + own;
        }
    }
    let top = boxes.iter().map(|rect| rect.y).fold(f64::MAX, f64::min);
    for rect in boxes.iter_mut() {
        rect.y -= top.min(f64::MAX / 2.0);
        height = height.max(rect.y + rect.height);
    }
    height
}

/// How much height a box takes in its column, its arrows' labels included.
fn room(panel: &Panel, at: usize, boxes: &[Box]) -> f64 {
    let labels = panel.edges.iter().filter(|edge| edge.from == at || edge.to == at);
    let lines = labels.map(|edge| label_lines(&edge.label).len()).max().unwrap_or(0);
    boxes[at].height.max(lines as f64 * LABEL_LINE + 12.0) + BETWEEN_ROWS
}

fn cycle_rows(panel: &Panel, boxes: &mut [Box]) -> f64 {
    let mut y: f64 = 0.0;
    let steps: Vec<usize> = (0..boxes.len())
        .filter(|&at| panel.nodes[at].part == Part::Cycle)
        .collect();
    for &step in &steps {
        let tails: Vec<usize> = panel
            .edges
            .iter()
            .filter(|edge| edge.from == step && panel.nodes[edge.to].part == Part::Tail)
            .map(|edge| edge.to)
            .collect();
        let beside: f64 = tails.iter().map(|&tail| room(panel, tail, boxes)).sum();
        let own = boxes[step].height.max(beside - BETWEEN_ROWS);
        boxes[step].y = y + (own - boxes[step].height) / 2.0;
        let mut at = y + (own - (beside - BETWEEN_ROWS)).max(0.0) / 2.0;
        for tail in tails {
            let room = room(panel, tail, boxes);
            boxes[tail].y = at + (room - BETWEEN_ROWS - boxes[tail].height) / 2.0;
            at += room;
        }
        let label = panel
            .edges
            .iter()
            .find(|edge| edge.from == step && panel.nodes[edge.to].part == Part::Cycle);
        let lines = label.map_or(0, |edge| label_lines(&edge.label).len());
        y += own + BETWEEN_STEPS.max(lines as f64 * LABEL_LINE + 24.0);
    }
    boxes.iter().map(|rect| rect.y + rect.height).fold(0.0, f64::max) + if steps.len() == 1 { 10.0 } else { 0.0 }
}

/// Gives every box its `x`; returns the room to the left of the first column.
fn columns(panel: &Panel, boxes: &mut [Box]) -> f64 {
    let closing = panel.edges.iter().find(|edge| edge.closes);
    let left = closing.map_or(0.0, |edge| {
        let longest = label_lines(&edge.label)
            .iter()
            .map(|line| line.width())
            .max()
            .unwrap_or(0);
        longest.max(16) as f64 * CODE + 76.0
    });
    let last = panel.nodes.iter().map(|node| node.column).max().unwrap_or(0);
    let mut x = left;
    for column in 0..=last {
        let members: Vec<usize> = (0..boxes.len())
            .filter(|&at| panel.nodes[at].column == column)
            .collect();
        if members.is_empty() {
            continue;
        }
        let width = members.iter().map(|&at| boxes[at].width).fold(0.0, f64::max);
        for &at in &members {
            // Tails begin at one line, other boxes stand in the middle of their column.
            boxes[at].x = match panel.nodes[at].part {
                Part::Tail => x,
                _ => x + (width - boxes[at].width) / 2.0,
            };
        }
        let leaving = panel
            .edges
            .iter()
            .filter(|edge| panel.nodes[edge.from].column == column && panel.nodes[edge.to].column > column);
        let longest = leaving
            .flat_map(|edge| label_lines(&edge.label))
            .map(|line| line.width())
            .max();
        x += width
            + longest
                .map_or(0.0, |columns| columns as f64 * CODE + 36.0)
                .max(LEAST_GAP);
    }
    left
}

fn down(from: &Box, to: &Box, lines: Vec<String>) -> Arrow {
    let (x, y0, y1) = (from.x + from.width / 2.0, from.y + from.height, to.y - 2.0);
    let height = lines.len() as f64 * LABEL_LINE;
    Arrow {
        path: format!("M{x:.1},{y0:.1} L{x:.1},{y1:.1}"),
        label_x: x + 12.0,
        label_y: (y0 + y1) / 2.0 - height / 2.0 + 11.0,
        lines,
        anchor: "start",
        closes: false,
    }
}

/// The label stands beside the end where the arrow is alone and level: on the side that it does not turn to.
fn across(from: &Box, to: &Box, lines: Vec<String>, from_alone: bool) -> Arrow {
    let (x0, x1) = (from.x + from.width, to.x - 2.0);
    let (y0, y1) = (from.middle(), to.middle());
    let bend = (x1 - x0) / 2.2;
    let height = lines.len() as f64 * LABEL_LINE;
    let level = (y0 - y1).abs() < 1.0;
    let above = |y: f64| y - height + LABEL_LINE - 6.0;
    let below = |y: f64| y + 15.0;
    let (label_x, label_y, anchor) = match (level, from_alone, y1 > y0) {
        (true, ..) => ((x0 + x1) / 2.0, above(y0), "middle"),
        (_, true, true) => (x0 + 12.0, above(y0), "start"),
        (_, true, false) => (x0 + 12.0, below(y0), "start"),
        (_, false, true) => (x1 - 14.0, below(y1), "end"),
        (_, false, false) => (x1 - 14.0, above(y1), "end"),
    };
    let (a, b) = (x0 + bend, x1 - bend);
    Arrow {
        path: format!("M{x0:.1},{y0:.1} C{a:.1},{y0:.1} {b:.1},{y1:.1} {x1:.1},{y1:.1}"),
        lines,
        label_x,
        label_y,
        anchor,
        closes: false,
    }
}

fn back(from: &Box, to: &Box, lines: Vec<String>, left: f64) -> Arrow {
    let (y0, mut y1) = (from.middle(), to.middle());
    if (y0 - y1).abs() < 1.0 {
        y1 -= 14.0;
    }
    let y0 = if y1 < to.middle() { y0 + 14.0 } else { y0 };
    let x = (left - 44.0).min(from.x.min(to.x) - 30.0);
    let mut path = String::new();
    let radius = 16.0_f64.min((y0 - y1).abs() / 2.0);
    let _ = write!(
        path,
        "M{:.1},{y0:.1} L{:.1},{y0:.1} Q{x:.1},{y0:.1} {x:.1},{:.1} L{x:.1},{:.1} Q{x:.1},{y1:.1} {:.1},{y1:.1} L{:.1},{y1:.1}",
        from.x,
        x + radius,
        y0 - radius,
        y1 + radius,
        x + radius,
        to.x - 2.0
    );
    let height = (lines.len() + 1) as f64 * LABEL_LINE;
    Arrow {
        path,
        label_x: x - 12.0,
        label_y: (y0 + y1) / 2.0 - height / 2.0 + 11.0,
        lines,
        anchor: "end",
        closes: true,
    }
}
