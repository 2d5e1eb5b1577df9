//! One file for each command of `deadweight`, and what `run` and `watch` print at the end (`end_of_run`). A command joins
//! what the other folders offer: it may import all of them, and only `main` imports commands.

pub mod baseline;
pub mod check;
pub mod diff;
pub mod end_of_run;
pub mod explain;
pub mod heap;
pub mod report;
pub mod run;
pub mod snapshot;
pub mod watch;
