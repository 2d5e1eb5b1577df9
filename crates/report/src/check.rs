//! `deadweight check`: whether what a run needed stays within what was asked.
//!
//! # Rules
//! - A limit on the heap is judged by the estimate. Where the limit lies within the sampling error (two standard errors), that is
//!   said: a third verdict there would be one more way to fail that nobody can repair.
//! - A baseline is another measurement, so a rise that the sampling errors of both explain is none.
//! - A recording that is not whole proves nothing, neither that a limit holds nor that it does not: what is missing may be
//!   blocks or their ends. The same goes for a run that memory ran out of, unless it went beyond the limit before.
//! - Findings of low severity break nothing: healthy programs have them.

mod asked;
mod culprit;
pub mod github;
mod judge;
pub mod junit;
pub mod markdown;
mod model;
pub mod text;

pub use asked::{Asked, Compared, Forbidden, Limit};
pub use culprit::{Culprit, CulpritFinding, CulpritLine};
pub use judge::check;
pub use model::{Check, Checked, Judgement, Rule, SCHEMA, Verdict};
