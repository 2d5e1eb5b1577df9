//! A baseline: what a run needed, small enough to be kept in git and to be read in a review.
//!
//! Sites are in the order of their names, one a line, so that a change of one is one changed line. Files are named from where
//! a person knows them (below the folder of the run, below `site-packages`), so a baseline is good on other machines. Figures
//! are rounded: the peak to four digits, all others to three.

mod compare;
pub(crate) mod whole;

pub use compare::{Comparison, objection};

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{Namer, Naming, Origin};
use crate::model::{FindingKind, Link, Mode, Report, Severity, Site};
use crate::words::names;

/// The value of [`Baseline::schema`].
pub const SCHEMA: &str = "deadweight.baseline/1";

/// A site with less than 1 % of the peak (one part in 100) is left out,
const SMALLEST_PART: u64 = 100;
/// and those after the first 40.
const MOST_SITES: usize = 40;

/// What a run needed.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Baseline {
    /// Name and version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Version of its Python.
    pub python: Option<String>,
    /// How it was recorded; null if it was only watched.
    pub mode: Option<Mode>,
    /// The peak.
    pub peak: Peak,
    /// Where the peak came from, by the user's own lines; in the order of their names.
    pub sites: Vec<BaselineSite>,
    /// What was found, in the order of kinds and names.
    pub findings: Vec<BaselineFinding>,
}

/// The peak of a baseline.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct Peak {
    /// Heap of all processes.
    pub heap_bytes: Option<u64>,
    /// Standard error of `heap_bytes`; 0 in an exact run.
    pub heap_error_bytes: Option<u64>,
    /// Highest resident memory of the process tree.
    pub rss_bytes: Option<u64>,
}

/// A line of the user's own, and how much of the peak came from it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, JsonSchema, Serialize, Deserialize)]
pub struct BaselineSite {
    /// From where a person knows it.
    pub file: String,
    /// The function.
    pub function: String,
    /// Line, where there is one.
    pub line: Option<u32>,
    /// How much.
    pub bytes: u64,
}

/// A finding.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize, Deserialize)]
pub struct BaselineFinding {
    /// What.
    pub kind: FindingKind,
    /// How grave.
    pub severity: Severity,
    /// How much.
    pub bytes: Option<u64>,
    /// Type of the objects.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// From the root to the object, or around the cycle.
    pub chain: Vec<Link>,
    /// Whether the chain is a cycle.
    pub cycle: bool,
    /// The user's own line that it was made at.
    pub site: Option<BaselineSite>,
}

/// Bytes, rounded to this number of significant digits.
fn rounded(bytes: u64, digits: u32) -> u64 {
    let length = bytes.checked_ilog10().map_or(1, |log| log + 1);
    let step = 10u64.saturating_pow(length.saturating_sub(digits));
    bytes.saturating_add(step / 2) / step * step
}

impl Baseline {
    /// Makes the baseline of a capture that is named so.
    ///
    /// # Errors
    /// Why it can be none, in one sentence.
    pub fn of(name: &str, report: &Report) -> Result<Baseline, String> {
        let trouble = match report.run.watched {
            true => whole::unseen_end(name, report),
            false => whole::objection(name, report),
        };
        if let Some(why) = trouble.or_else(|| whole::ran_out(report)) {
            return Err(why);
        }
        let namer = Namer::new(&Origin::from(&report.run), Naming::default());
        let site = |site: &Site| BaselineSite {
            file: namer.file(&site.at.file),
            function: site.at.function.clone(),
            line: site.at.line,
            bytes: rounded(site.bytes, 3),
        };
        let least = report.peak.heap_bytes.unwrap_or(0) / SMALLEST_PART;
        let large = report.peak.user_sites.iter().filter(|site| site.bytes >= least.max(1));
        let mut sites: Vec<BaselineSite> = large.take(MOST_SITES).map(site).collect();
        sites.sort();
        let finding = |found: &crate::Finding| BaselineFinding {
            kind: found.kind,
            severity: found.severity,
            bytes: found.bytes.map(|bytes| rounded(bytes, 3)),
            type_name: found.type_name.clone(),
            chain: found.chain.clone(),
            cycle: found.cycle == Some(true),
            site: found.user_sites.first().or(found.sites.first()).map(site),
        };
        let mut findings: Vec<BaselineFinding> = report.findings.iter().map(finding).collect();
        findings.sort_by_cached_key(|found| {
            let chain: Vec<String> = found
                .chain
                .iter()
                .map(|link| format!("{}{}", link.type_name, link.edge))
                .collect();
            (found.kind.word(), found.type_name.clone(), chain, found.site.clone())
        });
        Ok(Baseline {
            schema: SCHEMA.to_owned(),
            argv: short_argv(report),
            python: report.run.python.clone(),
            mode: Some(report.run.mode).filter(|_| !report.run.watched),
            peak: Peak {
                heap_bytes: report
                    .peak
                    .heap_bytes
                    .filter(|_| !report.run.watched)
                    .map(|bytes| rounded(bytes, 4)),
                heap_error_bytes: report
                    .peak
                    .heap_error_bytes
                    .filter(|_| !report.run.watched)
                    .map(|bytes| rounded(bytes, 2)),
                rss_bytes: report.peak.rss_bytes.map(|bytes| rounded(bytes, 4)),
            },
            sites,
            findings,
        })
    }

    /// Reads a baseline that [`Baseline::render`] wrote.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence that begins with its name.
    pub fn read(text: &[u8]) -> Result<Baseline, String> {
        const MAKE: &str = "`deadweight baseline CAPTURE -o FILE` makes one";
        let value: serde_json::Value = serde_json::from_slice(text)
            .map_err(|error| format!("is no baseline, it is not JSON ({error}): {MAKE}"))?;
        match value["schema"].as_str() {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with("deadweight.baseline/") => {
                return Err(format!("was made by a newer deadweight ({other}): update deadweight"));
            }
            Some(other) => return Err(format!("is no baseline but a {other}: {MAKE}")),
            None => return Err(format!("is no baseline: {MAKE}")),
        }
        serde_json::from_value(value).map_err(|error| format!("is a damaged baseline ({error}): {MAKE}"))
    }

    /// Writes it as JSON, one line for each site and finding.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn render(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{{")?;
        writeln!(out, "  \"schema\": {},", spaced(&self.schema)?)?;
        writeln!(out, "  \"argv\": {},", spaced(&self.argv)?)?;
        writeln!(out, "  \"python\": {},", spaced(&self.python)?)?;
        writeln!(out, "  \"mode\": {},", spaced(&self.mode)?)?;
        writeln!(out, "  \"peak\": {},", spaced(&self.peak)?)?;
        list(out, "sites", &self.sites, ",")?;
        list(out, "findings", &self.findings, "")?;
        writeln!(out, "}}")
    }

    /// What names depend on.
    fn origin(&self) -> Origin {
        Origin {
            argv: self.argv.clone(),
            cwd: None,
            python: self.python.clone(),
        }
    }
}

/// One element a line.
fn list<T: Serialize>(out: &mut dyn Write, name: &str, elements: &[T], end: &str) -> io::Result<()> {
    if elements.is_empty() {
        return writeln!(out, "  \"{name}\": []{end}");
    }
    writeln!(out, "  \"{name}\": [")?;
    for (at, element) in elements.iter().enumerate() {
        let comma = if at + 1 < elements.len() { "," } else { "" };
        writeln!(out, "    {}{comma}", spaced(element)?)?;
    }
    writeln!(out, "  ]{end}")
}

/// JSON in one line, with a space after each comma and colon.
fn spaced<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The program and its arguments, paths below the folder of the run without it.
fn short_argv(report: &Report) -> Vec<String> {
    let cwd = report.run.cwd.as_deref();
    let word = |word: &String| names::short_path(word, cwd).to_owned();
    report.run.argv.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_to_digits() {
        for (bytes, digits, round) in [
            (195_035_136, 4, 195_000_000),
            (195_065_136, 4, 195_100_000),
            (999_951, 4, 1_000_000),
            (123, 3, 123),
            (1235, 3, 1240),
            (0, 3, 0),
            (u64::MAX, 3, 18_400_000_000_000_000_000),
        ] {
            assert_eq!(rounded(bytes, digits), round, "{bytes}");
        }
    }
}
