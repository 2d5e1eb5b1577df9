//! What a picture shows, merged by type and edge: boxes in columns, and arrows. [`super::svg`] and [`super::dot`] draw
//! it.
//!
//! A cycle stands in one column, top to bottom; its last reference leads back up, and what hangs off its objects stands
//! beside them. A type or an object stands between who holds it and where its memory is.

use deadweight_heap::short_type;

use super::model::{CycleRow, HeapReport, Held, HolderRow, Memory, TailRow};
use crate::model::{Link, Site};
use crate::words::{names, units};

/// Panels of a picture.
const MOST_CYCLES: usize = 4;
/// Boxes of a cycle; of a longer one the middle is left out.
const MOST_STEPS: usize = 9;
/// Ways to the objects of a type, and branches below them.
const MOST_WAYS: usize = 6;
const MOST_TAILS: usize = 5;
/// References between two boxes that are named.
const MOST_LABELS: usize = 3;
/// Lines where the memory was made.
const SITES: usize = 2;
/// Smaller parts of a panel's memory get no box.
const SMALLEST_PART: u64 = 50;

/// A picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Picture {
    /// What it is of.
    pub title: String,
    /// Its panels, one below the other.
    pub panels: Vec<Panel>,
}

/// Boxes and arrows that belong together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Panel {
    /// How much memory it is about.
    pub heading: String,
    /// What it is about.
    pub subject: String,
    /// Label and text of the lines below the boxes.
    pub notes: Vec<(&'static str, String)>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// What the boxes' sizes are parts of.
    pub(super) whole: u64,
}

/// What a box stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    Root,
    Holder,
    Focus,
    /// On a cycle.
    Cycle,
    Tail,
}

/// A box.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub part: Part,
    pub column: usize,
    /// The type's short name, and how many.
    pub title: String,
    /// The whole name.
    pub full: String,
    /// More about it.
    pub text: String,
    /// Bytes that its bar shows.
    pub bytes: Option<u64>,
}

/// An arrow.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub label: String,
    /// It leads back to the first box of the cycle.
    pub closes: bool,
}

/// The picture of what was asked: of the cycles, of a type, of an object, or of who holds most.
pub fn picture(report: &HeapReport) -> Picture {
    let snapshot = &report.snapshot;
    let time = snapshot
        .seconds
        .map(|seconds| format!(", {} after the start", units::duration(seconds)));
    let title = format!(
        "Heap of pid {}{}: {} in {}",
        snapshot.pid,
        time.unwrap_or_default(),
        units::size(snapshot.all.bytes),
        units::count(snapshot.all.objects, "object", "objects")
    );
    let mut panels = Vec::new();
    let cycles = report.cycles.iter().flatten().take(MOST_CYCLES);
    // After the first one, only what is worth a look; in an overview, only what is worth one beside the rest.
    let first = report
        .cycles
        .iter()
        .flatten()
        .next()
        .map_or(0, |first| first.retained.bytes);
    let least = match report.types {
        Some(_) => (first / 100).max(snapshot.all.bytes / 100),
        None => first / 100,
    };
    panels.extend(
        cycles
            .filter(|row| row.retained.bytes >= least)
            .map(|row| cycle(row, report)),
    );
    if let Some(view) = &report.type_view {
        let name = view.names.first().map_or("", |name| short_type(name));
        let mut panel = Panel {
            heading: format!(
                "{} held by {}",
                units::size(view.census.retained.bytes),
                times(view.census.count, name)
            ),
            subject: split(&view.census.retained),
            notes: made(&view.user_sites, report),
            whole: view.census.retained.bytes,
            ..Panel::default()
        };
        let full = view.names.join(", ");
        let focus = panel.focus(name, &full, view.census.count, &view.census.retained);
        panel.ways(&view.paths, focus);
        panel.tails(&view.tails, |_| Some(focus));
        panels.push(panel);
    }
    if let Some(view) = &report.object {
        let object = &view.object;
        let name = short_type(&object.type_name);
        let mut panel = Panel {
            heading: format!("{} held by one {name}", units::size(object.retained.bytes)),
            subject: format!(
                "{}{}",
                object
                    .address
                    .as_deref()
                    .map(|address| format!("at {address}; "))
                    .unwrap_or_default(),
                split(&object.retained)
            ),
            notes: made(&view.user_sites, report),
            whole: object.retained.bytes,
            ..Panel::default()
        };
        let focus = panel.focus(name, &object.type_name, 1, &object.retained);
        let way = Held {
            path: object.path.clone(),
            standing: object.standing,
            retained: object.retained,
        };
        panel.ways(&[way], focus);
        panel.tails(&view.tails, |_| Some(focus));
        panels.push(panel);
    }
    if let Some(holders) = report.holders.as_ref().filter(|holders| !holders.is_empty()) {
        panels.push(held(holders, report));
    }
    Picture { title, panels }
}

/// `12 × DataFrame`, or the name alone.
fn times(count: u64, name: &str) -> String {
    match count {
        1 => name.to_owned(),
        _ => format!("{} × {name}", units::grouped(count)),
    }
}

/// `92.0 MiB, all of it native`.
fn split(memory: &Memory) -> String {
    let native = match (memory.native_bytes, memory.bytes) {
        (0, _) => "all of it Python objects".to_owned(),
        (native, all) if native >= all / 100 * 99 => "nearly all of it native memory".to_owned(),
        (native, _) => format!("{} of it native memory", units::size(native)),
    };
    match memory.objects {
        0 => native,
        objects => format!("{}, {native}", units::count(objects, "object", "objects")),
    }
}

fn made(sites: &[Site], report: &HeapReport) -> Vec<(&'static str, String)> {
    let one = |site: &Site| {
        let place = names::location(&site.at, report.cwd.as_deref());
        // A size stays in one line.
        let size = units::size(site.bytes).replace(' ', "\u{a0}");
        format!("{place} in {} ({size})", names::clean(&site.at.function))
    };
    let made: Vec<String> = super::worth(sites).take(SITES).map(one).collect();
    match made.is_empty() {
        true => Vec::new(),
        false => vec![("Made at", made.join(", "))],
    }
}

fn cycle(row: &CycleRow, report: &HeapReport) -> Panel {
    let name = short_type(&row.type_name);
    let state = match row.freeable_by_gc {
        true => "garbage",
        false => "unreachable and never freed",
    };
    let mut panel = Panel {
        heading: format!("{} {state}", units::size(row.retained.bytes)),
        subject: format!(
            "{} kept alive only by this cycle; {}",
            times(row.instances, name),
            split(&row.retained)
        ),
        notes: made(&row.user_sites, report),
        whole: row.retained.bytes,
        ..Panel::default()
    };
    panel.notes.push(("Fix", row.suggestion.clone()));
    let count = row.cycle.len();
    let (head, tail) = match count > MOST_STEPS {
        true => (MOST_STEPS / 2, MOST_STEPS - MOST_STEPS / 2 - 1),
        false => (count, 0),
    };
    // The box of each step that has one.
    let mut boxes = vec![None; count];
    let mut last: Option<(usize, String)> = None;
    for (at, step) in row.cycle.iter().enumerate() {
        let label = step.edge.clone();
        if (head..count - tail).contains(&at) {
            if at == head {
                let gap = format!("… {} more steps", count - head - tail);
                let node = panel.node(Part::Cycle, 0, &gap, "", String::new(), None);
                panel.follow(&mut last, node, label);
            } else if let Some((_, last)) = &mut last {
                *last = label;
            }
            continue;
        }
        let own = row.held_by_step.get(at).map(|memory| memory.bytes);
        let text = own.map_or_else(String::new, |bytes| format!("holds {}", units::size(bytes)));
        let title = times(row.instances, &step.type_name);
        let node = panel.node(Part::Cycle, 0, &title, &step.type_name, text, None);
        boxes[at] = Some(node);
        panel.follow(&mut last, node, label);
    }
    if let (Some((from, label)), Some(to)) = (last, boxes.first().copied().flatten()) {
        panel.edges.push(Edge {
            from,
            to,
            label,
            closes: true,
        });
    }
    panel.tails(&row.tails, |step| boxes.get(step).copied().flatten());
    if row.held_beside.bytes > row.retained.bytes / SMALLEST_PART {
        let text = format!("{} held by others in the same knot", units::size(row.held_beside.bytes));
        panel.notes.insert(0, ("Also", text));
    }
    panel
}

/// Who holds most: root, holder, elements.
fn held(holders: &[HolderRow], report: &HeapReport) -> Panel {
    let whole = report.snapshot.all.bytes;
    let shown: Vec<&HolderRow> = holders.iter().take(MOST_WAYS).collect();
    let bytes = shown
        .iter()
        .map(|holder| holder.retained.bytes)
        .fold(0, u64::saturating_add);
    let mut panel = Panel {
        heading: format!(
            "{} held by {}",
            units::size(bytes),
            match shown.len() {
                1 => "one holder".to_owned(),
                many => format!("{many} holders"),
            }
        ),
        subject: format!("{} of the heap", units::percent(bytes, whole)),
        whole,
        ..Panel::default()
    };
    for holder in shown {
        let Some((last, before)) = holder.path.split_last() else {
            continue;
        };
        let name = short_type(&holder.type_name);
        let text = format!("holds {}", units::size(holder.retained.bytes));
        let node = panel.node(
            Part::Focus,
            2,
            name,
            &holder.type_name,
            text,
            Some(holder.retained.bytes),
        );
        panel.way(before, "live", node);
        if let (Some(kind), Some(count)) = (&holder.element_type, holder.elements) {
            let title = times(count, short_type(kind));
            let element = panel.node(Part::Tail, 3, &title, kind, String::new(), None);
            panel.edges.push(Edge {
                from: node,
                to: element,
                label: anywhere(&last.edge),
                closes: false,
            });
        }
    }
    panel
}

/// Where only C code knows a reference, its place there says nothing.
fn in_c(edge: &str) -> &str {
    match edge.strip_suffix(" (in C)") {
        Some(place) if place.starts_with(".reference ") || place.starts_with(".byte ") => ".(in C)",
        _ => edge,
    }
}

fn anywhere(edge: &str) -> String {
    let is_place = edge.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match is_place {
        Some(place) if place.bytes().all(|byte| byte.is_ascii_digit()) => "[…]".to_owned(),
        _ => edge.to_owned(),
    }
}

impl Panel {
    fn node(&mut self, part: Part, column: usize, title: &str, full: &str, text: String, bytes: Option<u64>) -> usize {
        self.nodes.push(Node {
            part,
            column,
            title: names::clean(title).into_owned(),
            full: names::clean(full).into_owned(),
            text: names::clean(&text).into_owned(),
            bytes,
        });
        self.nodes.len() - 1
    }

    fn follow(&mut self, last: &mut Option<(usize, String)>, to: usize, label: String) {
        if let Some((from, label)) = last.replace((to, label)) {
            self.edges.push(Edge {
                from,
                to,
                label,
                closes: false,
            });
        }
    }

    fn focus(&mut self, name: &str, full: &str, count: u64, retained: &Memory) -> usize {
        let text = format!("holds {}", units::size(retained.bytes));
        self.node(Part::Focus, 2, &times(count, name), full, text, Some(retained.bytes))
    }

    fn ways(&mut self, ways: &[Held], focus: usize) {
        for way in ways.iter().take(MOST_WAYS) {
            self.way(&way.path, way.standing, focus);
        }
        if let Some(rest) = ways.len().checked_sub(MOST_WAYS).filter(|rest| *rest > 0) {
            self.notes.push(("Also", format!("{rest} more ways to them")));
        }
    }

    /// A root, the last holder, and the arrows from one to the other and on to `to`.
    fn way(&mut self, path: &[Link], standing: &str, to: usize) {
        let Some((first, _)) = path.split_first() else {
            let text = "no reference in the snapshot leads here".to_owned();
            let node = match standing {
                "garbage" | "uncollectable" => {
                    self.shared(Part::Root, 1, "only themselves", format!("a cycle, {standing}"))
                }
                _ => self.shared(Part::Root, 1, "native code or interpreter", text),
            };
            return self.arrow(node, to, String::new());
        };
        let text = match standing {
            "live" => String::new(),
            other => other.to_owned(),
        };
        let (Some((last, before)), true) = (path.split_last(), path.len() > 1) else {
            // Next to what it holds: an arrow past a column would go through its boxes.
            let root = self.shared(Part::Root, 1, &first.type_name, text);
            return self.arrow(root, to, in_c(&first.edge).to_owned());
        };
        let root = self.shared(Part::Root, 0, &first.type_name, text);
        let expression: String = before.iter().map(|step| in_c(&step.edge)).collect();
        // The same holder on the same way has one box.
        let known = self
            .edges
            .iter()
            .find(|edge| edge.from == root && edge.label == expression && self.nodes[edge.to].title == last.type_name);
        let holder = match known {
            Some(edge) => edge.to,
            None => {
                let holder = self.node(Part::Holder, 1, &last.type_name, &last.type_name, String::new(), None);
                self.arrow(root, holder, expression);
                holder
            }
        };
        self.arrow(holder, to, in_c(&last.edge).to_owned());
    }

    /// The box of this part and name, a new one if there is none.
    fn shared(&mut self, part: Part, column: usize, title: &str, text: String) -> usize {
        let cleaned = names::clean(title);
        let is_same = |node: &Node| (node.part, node.column, node.title.as_str()) == (part, column, &*cleaned);
        let known = self.nodes.iter().position(is_same);
        known.unwrap_or_else(|| self.node(part, column, title, title, text, None))
    }

    fn arrow(&mut self, from: usize, to: usize, label: String) {
        let edge = Edge {
            from,
            to,
            label,
            closes: false,
        };
        // Several references between two boxes are one arrow.
        match self
            .edges
            .iter_mut()
            .find(|other| (other.from, other.to, other.closes) == (from, to, false))
        {
            Some(known) if known.label.split('\n').any(|label| label == edge.label) => {}
            Some(known) if known.label.split('\n').count() < MOST_LABELS => {
                known.label.push('\n');
                known.label.push_str(&edge.label);
            }
            Some(known) if known.label.ends_with("\n…") => {}
            Some(known) => known.label.push_str("\n…"),
            None => self.edges.push(edge),
        }
    }

    fn tails(&mut self, tails: &[TailRow], of: impl Fn(usize) -> Option<usize>) {
        let least = self.whole / SMALLEST_PART;
        let large = tails.iter().filter(|tail| tail.retained.bytes > least.max(1));
        for tail in large.take(MOST_TAILS) {
            let Some(from) = of(tail.step) else { continue };
            let memory = &tail.retained;
            let native = match memory.native_bytes {
                0 => "",
                native if native >= memory.bytes / 100 * 99 => ", native",
                _ => ", partly native",
            };
            let title = times(memory.objects, short_type(&tail.type_name));
            let text = format!("{}{native}", units::size(memory.bytes));
            let column = self.nodes[from].column + 1;
            let node = self.node(Part::Tail, column, &title, &tail.type_name, text, Some(memory.bytes));
            self.arrow(from, node, tail.edge.clone());
        }
    }
}
