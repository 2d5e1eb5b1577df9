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
pub mod text;
pub(crate) mod whole;

pub use asked::{Asked, Compared, Forbidden, Limit};
pub use culprit::{Culprit, CulpritFinding, CulpritLine};
pub use judge::check;

use std::io::{self, Write};

use serde::Serialize;

/// The value of [`Check::schema`].
pub const SCHEMA: &str = "deadweight.check/1";

/// Whether something holds. Of several verdicts the last of these decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It cannot be known from this capture.
    Unjudged,
    /// It does not.
    Broken,
}

/// What was found about all captures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Check {
    /// Name and version of this form.
    pub schema: &'static str,
    /// Of all captures.
    pub verdict: Verdict,
    /// In the order in which they were given.
    pub captures: Vec<Checked>,
}

impl Check {
    /// Writes it as one JSON object, with a line end after it.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

/// What was found about one capture.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Checked {
    /// The capture as it was named.
    pub capture: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder it was started in.
    pub cwd: Option<String>,
    /// Start of the run in UTC, as RFC 3339 has it.
    pub started: Option<String>,
    /// Of all that was asked.
    pub verdict: Verdict,
    /// In the order: peak, resident memory, growth, forbidden findings, baseline.
    pub judgements: Vec<Judgement>,
    /// What to bear in mind, one sentence each.
    pub notes: Vec<String>,
}

/// What is asked of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `--max-peak`.
    MaxPeak,
    /// `--max-rss`.
    MaxRss,
    /// `--max-growth`.
    MaxGrowth,
    /// `--forbid`.
    Forbid,
    /// `--baseline`: the peak, or resident memory where only that was watched.
    BaselinePeak,
    /// `--baseline`: findings that it does not have.
    BaselineFindings,
}

/// The verdict on one thing that was asked of one capture.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Judgement {
    /// What.
    pub rule: Rule,
    /// What was asked, in the words of the command line: `--max-peak 2.00 GiB`.
    pub asked: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// One sentence: what was measured, and how it compares.
    pub says: String,
    /// What was measured, where it is a number of bytes.
    pub measured_bytes: Option<u64>,
    /// Its standard error; 0 in an exact run.
    pub error_bytes: Option<u64>,
    /// The most that is allowed.
    pub limit_bytes: Option<u64>,
    /// What to bear in mind, one sentence each.
    pub notes: Vec<String>,
    /// Who it was, where it does not hold.
    pub culprit: Option<Culprit>,
}
