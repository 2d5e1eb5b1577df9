//! What a run's memory looked like, as a [`Report`], and the views of it: text, JSON, collapsed stacks, flame
//! graph, speedscope.
//!
//! [`build()`] joins what the replay answers ([`deadweight_analysis::Analysis`]), what heap snapshots answer
//! ([`deadweight_heap::SnapshotAnswer`]) and what the supervisor saw ([`deadweight_analysis::manifest::Manifest`]). A view writes to the `Write` that it is given and does nothing
//! else: no files, no terminal, no clock.
//!
//! [`diff::compare`] puts two of them side by side; [`identity`] decides what is the same place or finding in both.
//!
//! # Constraints
//! - [`json`] is the contract `deadweight.report/1`: field names are fixed, others may be
//!   added, a missing fact is null.
//! - The same input gives the same bytes: every list has an order, ties included.
//! - Names come out of the user's program. Whatever stands in them, a terminal gets no control character and an
//!   SVG stays well-formed.
//! - Sizes, percents and durations are worded in one place only (`units`).
//!
//! # What it does not do
//! It replays nothing and reads no heap: it judges what those who do answer.
//!
//! # Example
//! ```
//! use deadweight_analysis::{Analysis, Peak};
//! use deadweight_report::{BuildOptions, build, json, text};
//!
//! let nothing = Analysis {
//!     exact: false,
//!     interval_bytes: 65_536,
//!     peak: Peak::default(),
//!     moments: Vec::new(),
//!     processes: Vec::new(),
//!     warnings: Vec::new(),
//! };
//! let report = build(None, &nothing, &[], &BuildOptions::default());
//! let mut out = Vec::new();
//! json::render(&report, &mut out)?;
//! assert!(out.starts_with(b"{\n  \"schema\": \"deadweight.report/1\""));
//!
//! let mut out = Vec::new();
//! text::diagnosis(&report, &text::Style { width: 80, color: false }, &mut out)?;
//! assert!(String::from_utf8(out).unwrap().contains("Nothing was recorded"));
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod attribution;
pub mod baseline;
mod build;
pub mod check;
pub mod diff;
mod export;
mod findings;
pub mod heap;
pub mod identity;
pub mod json_schema;
mod knowledge;
mod make_report;
mod model;
pub mod text;
mod words;

pub use export::collapsed::Metric;
pub use export::{collapsed, flamegraph, json, speedscope, timeline_svg};
pub use findings::evidence::snapshot_of_peak;
pub use knowledge::installed::Disk;
pub use make_report::{BuildOptions, build};
pub use model::{
    CallNode, Churn, End, Finding, FindingKind, Growth, Ledger, LedgerFile, Line, Link, Mode, Peak, Process,
    RegionSpan, RegionView, Report, Run, SCHEMA, Severity, Site, Slack, Source, TimelineView,
};
pub use words::units;
