//! The report and the recorded stacks in the formats of other programs: JSON, collapsed stacks, flame graph, speedscope, a
//! picture of the timeline. Views: they judge nothing.

pub mod collapsed;
pub mod flamegraph;
pub mod json;
pub mod speedscope;
pub mod timeline_svg;
