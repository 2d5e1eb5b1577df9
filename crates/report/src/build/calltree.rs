//! The call tree of the heap at the peak: who called whom, all processes together.

use std::collections::HashMap;

use deadweight_analysis::FrameName;

use crate::attribution::rows::Rows;
use crate::model::CallNode;
use crate::words::names;

/// Children below this share of the peak are left out: one part in a hundred.
const SMALLEST_PART: u64 = 100;
/// Frames further inside than this are summed up in their caller, so that recursion in the program stays finite here.
const DEEPEST: usize = 120;

struct Node<'a> {
    frame: FrameName<'a>,
    bytes: u64,
    children: Vec<usize>,
}

/// The outermost calls with everything below them.
pub(crate) fn build(rows: &Rows<'_>) -> Vec<CallNode> {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut roots = Vec::new();
    let mut known: HashMap<(Option<usize>, FrameName<'_>), usize> = HashMap::new();
    let mut total: u64 = 0;
    for row in rows.list.iter().filter(|row| row.amounts.peak.bytes > 0) {
        let bytes = row.amounts.peak.bytes;
        total = total.saturating_add(bytes);
        let mut parent = None;
        for frame in rows.frames(row).into_iter().rev().take(DEEPEST) {
            let at = *known.entry((parent, frame)).or_insert_with(|| {
                nodes.push(Node {
                    frame,
                    bytes: 0,
                    children: Vec::new(),
                });
                let at = nodes.len() - 1;
                match parent {
                    Some(caller) => nodes[caller].children.push(at),
                    None => roots.push(at),
                }
                at
            });
            nodes[at].bytes = nodes[at].bytes.saturating_add(bytes);
            parent = Some(at);
        }
    }
    finish(&nodes, roots, total / SMALLEST_PART)
}

/// The nodes of a level that are large enough, the heaviest first. Goes as deep as the tree, at most [`DEEPEST`].
fn finish(nodes: &[Node<'_>], mut level: Vec<usize>, least: u64) -> Vec<CallNode> {
    level.retain(|at| nodes[*at].bytes >= least.max(1));
    level.sort_by(|a, b| {
        let (a, b) = (&nodes[*a], &nodes[*b]);
        let place = |node: &Node<'_>| {
            (
                node.frame.file.to_owned(),
                node.frame.line,
                node.frame.function.to_owned(),
            )
        };
        b.bytes.cmp(&a.bytes).then_with(|| place(a).cmp(&place(b)))
    });
    level
        .into_iter()
        .map(|at| CallNode {
            at: names::line(&nodes[at].frame),
            bytes: nodes[at].bytes,
            children: finish(nodes, nodes[at].children.clone(), least),
        })
        .collect()
}
