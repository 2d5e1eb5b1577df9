//! Collapsed stacks: `outer;…;inner bytes`, one line a stack, as flame graph tools read them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use deadweight_analysis::{Analysis, FrameName, StackAmounts};

use crate::attribution::frames::frames;
use crate::words::names;

/// Which memory a picture of stacks shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Metric {
    /// What was live at the peak of the whole tree.
    #[default]
    Peak,
    /// Everything that was ever allocated.
    Allocated,
}

impl Metric {
    pub(crate) fn bytes(self, amounts: &StackAmounts) -> u64 {
        match self {
            Metric::Peak => amounts.peak.bytes,
            Metric::Allocated => amounts.allocated.bytes,
        }
    }
}

/// Writes one line a stack: frames as `function (file:line)`, then a space and the bytes. Lines are sorted; stacks
/// that read the same are one line. If more than one process was recorded, the process is the outermost frame.
/// In names `;` becomes `,`, and control characters are left out.
///
/// # Errors
/// If `out` fails.
pub fn render(analysis: &Analysis, metric: Metric, out: &mut dyn Write) -> io::Result<()> {
    for (stack, bytes) in lines(analysis, metric) {
        writeln!(out, "{stack} {bytes}")?;
    }
    Ok(())
}

/// The collapsed stacks with their bytes, none of them 0.
pub(crate) fn lines(analysis: &Analysis, metric: Metric) -> BTreeMap<String, u64> {
    let several = analysis.processes.len() > 1;
    let mut lines = BTreeMap::new();
    for process in &analysis.processes {
        for (index, amounts) in process.amounts.iter().enumerate() {
            let bytes = metric.bytes(amounts);
            if bytes == 0 {
                continue;
            }
            let mut parts: Vec<String> = frames(process, index).into_iter().map(frame).collect();
            if several {
                parts.push(separator_free(&names::process(process.id.pid, &process.argv)));
            }
            parts.reverse();
            let total: &mut u64 = lines.entry(parts.join(";")).or_default();
            *total = total.saturating_add(bytes);
        }
    }
    lines
}

/// A frame's text: `function (file:line)`, or only the function where there is no file.
fn frame(frame: FrameName<'_>) -> String {
    separator_free(&names::frame(&frame))
}

fn separator_free(text: &str) -> String {
    text.replace(';', ",")
}
