//! The machine-readable report: the contract `deadweight.report/1`.

use std::io::{self, Write};

use crate::Report;

/// Writes one JSON object, indented, with a line end after it.
///
/// # Errors
/// If `out` fails.
pub fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
