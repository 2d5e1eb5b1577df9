//! What a view may know: plain data. Imports no other folder.

mod regions;
mod report;
mod timeline;

pub use regions::{RegionSpan, RegionView, Source};
pub use report::{
    CallNode, Churn, End, Finding, FindingKind, Growth, Ledger, LedgerFile, Line, Link, Mode, Peak, Process, Report,
    Run, SCHEMA, Severity, Site, Slack,
};
pub use timeline::{LimitView, MarkView, PointView, ProcessPoint, SpanView, TimelineView};
