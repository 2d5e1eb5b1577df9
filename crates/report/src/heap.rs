//! Heap snapshots looked into: [`HeapReport`], and the views of it: text ([`crate::text::heap`]), JSON, DOT and SVG.

mod build;
pub mod dot;
mod model;
mod picture;
pub mod svg;

use std::io::{self, Write};

use crate::model::Site;

pub use build::{Question, Source, build};
pub use model::{
    CycleRow, HeapReport, Held, HolderRow, Instance, Memory, Nearby, ObjectRow, ObjectView, Reference, SCHEMA,
    SnapshotRow, Step, TailRow, TypeRow, TypeView,
};
pub use picture::{Panel, Picture, picture};

/// The sites without those that hardly count beside the first one.
pub(crate) fn worth(sites: &[Site]) -> impl Iterator<Item = &Site> {
    let least = sites.first().map_or(0, |first| first.bytes / 50);
    sites.iter().filter(move |site| site.bytes >= least)
}

/// Writes the report as one JSON object, indented, with a line end after it.
///
/// # Errors
/// If `out` fails.
pub fn json(report: &HeapReport, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
