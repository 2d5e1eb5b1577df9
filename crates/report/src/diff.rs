//! Two captures side by side: [`compare()`] makes a [`Diff`], and the views of it are text, JSON, Markdown and a
//! differential flame graph.
//!
//! What is the same place, call path or finding, [`crate::identity`] decides; whether a change is more than chance,
//! `significance`.

mod compare;
mod findings;
pub mod flamegraph;
pub mod markdown;
mod matching;
mod measured;
mod model;
mod notes;
mod resident;
mod significance;
pub(crate) mod words;

use std::io::{self, Write};

pub use compare::compare;
pub use measured::{Input, Recorded};
pub use model::{
    Diff, Figure, FindingChange, PathChange, Rigour, SCHEMA, Side, SiteChange, Standing, Totals, Trend, TypeChange,
};

/// Writes the comparison as one JSON object, indented, with a line end after it.
///
/// # Errors
/// If `out` fails.
pub fn json(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, diff)?;
    writeln!(out)
}
