//! A picture for Graphviz.

use std::io::{self, Write};

use super::picture::{Part, Picture};
use crate::words::names;

/// Writes one directed graph in the DOT language, each panel a cluster.
///
/// # Errors
/// If `out` fails.
pub fn render(picture: &Picture, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph heap {{")?;
    writeln!(
        out,
        "  rankdir=LR; labelloc=t; fontname=Helvetica; label={};",
        quoted(&[&picture.title])
    )?;
    writeln!(out, "  node [shape=box, style=\"rounded,filled\", fontname=Helvetica];")?;
    writeln!(out, "  edge [fontname=Courier, fontsize=11];")?;
    for (number, panel) in picture.panels.iter().enumerate() {
        writeln!(out, "  subgraph cluster_{number} {{")?;
        let notes: Vec<String> = panel
            .notes
            .iter()
            .map(|(label, text)| format!("{label}: {text}"))
            .collect();
        let mut lines = vec![panel.heading.as_str(), panel.subject.as_str()];
        lines.extend(notes.iter().map(String::as_str));
        writeln!(out, "    label={}; color=\"#d5dae3\";", quoted(&lines))?;
        for (at, node) in panel.nodes.iter().enumerate() {
            let fill = match node.part {
                Part::Root => "#e6f4ea",
                Part::Holder => "#f1f3f4",
                Part::Focus => "#fff3d6",
                Part::Cycle => "#fdeeee",
                Part::Tail => "#e8f0fe",
            };
            let label = match node.text.as_str() {
                "" => quoted(&[&node.title]),
                text => quoted(&[&node.title, text]),
            };
            let tooltip = quoted(&[&node.full]);
            writeln!(
                out,
                "    n{number}_{at} [label={label}, tooltip={tooltip}, fillcolor=\"{fill}\"];"
            )?;
        }
        for edge in &panel.edges {
            let (from, to) = (edge.from, edge.to);
            let label = quoted(&edge.label.split('\n').collect::<Vec<&str>>());
            let style = match edge.closes {
                true => ", color=\"#c5221f\", fontcolor=\"#c5221f\", penwidth=2.5",
                false => "",
            };
            writeln!(out, "    n{number}_{from} -> n{number}_{to} [label={label}{style}];")?;
        }
        writeln!(out, "  }}")?;
    }
    writeln!(out, "}}")
}

/// Lines as a string of the DOT language.
fn quoted(lines: &[&str]) -> String {
    let escaped = |line: &&str| names::clean(line).replace('\\', "\\\\").replace('"', "\\\"");
    let lines: Vec<String> = lines.iter().map(escaped).collect();
    format!("\"{}\"", lines.join("\\n"))
}
