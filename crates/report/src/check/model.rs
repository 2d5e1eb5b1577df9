//! What a check found: plain data, and its JSON.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::culprit::Culprit;

/// The value of [`Check::schema`].
pub const SCHEMA: &str = "deadweight.check/1";

/// Whether something holds. Of several verdicts the last of these decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, JsonSchema, Serialize)]
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
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct Check {
    /// Name and version of this form.
    #[schemars(extend("const" = SCHEMA))]
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
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, JsonSchema, Serialize)]
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
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
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
