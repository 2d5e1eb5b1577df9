//! A run against a baseline.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::{Baseline, BaselineFinding, BaselineSite};
use crate::identity::{Namer, Naming, Numbered, Origin, Place, pair};
use crate::model::{Finding, FindingKind, Line, Mode, Report, Severity, Site};
use crate::words::names;

/// What a run has and the baseline has not.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison<'a> {
    /// The user's own lines that more of the peak came from, with what they had before; the one that grew most first.
    pub grown: Vec<(&'a Site, u64)>,
    /// Findings above low severity that the baseline does not have.
    pub came: Vec<&'a Finding>,
    /// What to bear in mind, one sentence each.
    pub notes: Vec<String>,
}

/// The program without its arguments and folder: what makes two runs comparable.
fn program(argv: &[String]) -> String {
    let first = argv.first().map_or("", String::as_str);
    let is_option = |word: &String| word.starts_with('-') && !matches!(word.as_str(), "-m" | "-c" | "-");
    // `deadweight run -- python -u bench.py`
    if names::file_name(first).starts_with("python") {
        let mut rest = &argv[1..];
        while let Some(word) = rest.first().filter(|word| is_option(word)) {
            let takes_value = matches!(word.as_str(), "-X" | "-W");
            rest = rest.get(1 + usize::from(takes_value)..).unwrap_or_default();
        }
        if !rest.is_empty() {
            return program(rest);
        }
    }
    match first {
        // Code has no name.
        "-c" => format!("python -c {}", argv.get(1).map_or("", String::as_str)),
        _ => names::program(argv),
    }
}

fn mode(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Sampled) => "a sampled run",
        Some(Mode::Exact) => "an exact run (--exact)",
        None => "a watched run (`deadweight watch`)",
    }
}

/// Why the two cannot be compared, in one sentence; both are named as the user named them.
pub fn objection(baseline: &Baseline, baseline_name: &str, (name, report): (&str, &Report)) -> Option<String> {
    let (before, after) = (program(&baseline.argv), program(&report.run.argv));
    if before != after {
        return Some(format!(
            "The baseline {baseline_name} is of another program: it is of {before}, and {name} is of {after}."
        ));
    }
    let of_report = Some(report.run.mode).filter(|_| !report.run.watched);
    (baseline.mode != of_report).then(|| {
        format!(
            "The baseline {baseline_name} is of {}, and {name} is of {}: record both in the same way.",
            mode(baseline.mode),
            mode(of_report)
        )
    })
}

impl BaselineSite {
    fn line(&self) -> Line {
        Line {
            file: self.file.clone(),
            line: self.line,
            function: self.function.clone(),
        }
    }
}

impl BaselineFinding {
    /// As a finding of a report, as far as its identity depends on it.
    fn finding(&self) -> Finding {
        let site = |site: &BaselineSite| Site {
            at: site.line(),
            bytes: site.bytes,
            error_bytes: 0,
            blocks: 0,
            stack: Vec::new(),
        };
        Finding {
            kind: self.kind,
            severity: self.severity,
            title: String::new(),
            bytes: self.bytes,
            share_of_peak: None,
            count: None,
            type_name: self.type_name.clone(),
            pid: None,
            sites: Vec::new(),
            user_sites: self.site.iter().map(site).collect(),
            chain: self.chain.clone(),
            cycle: Some(self.cycle),
            freeable_by_gc: None,
            lingered_seconds: None,
            evidence: Vec::new(),
            suggestion: None,
        }
    }
}

/// `3.11` of `3.11.7`.
fn minor(version: &str) -> &str {
    let mut dots = version.match_indices('.');
    dots.nth(1).map_or(version, |(at, _)| &version[..at])
}

impl Comparison<'_> {
    /// Compares a run with a baseline that [`objection`] has nothing against.
    pub fn of<'a>(baseline: &Baseline, report: &'a Report) -> Comparison<'a> {
        let (before, after) = (baseline.origin(), Origin::from(&report.run));
        let naming = Naming::between(&before, &after);
        let (old, new) = (Namer::new(&before, naming), Namer::new(&after, naming));
        let known: HashSet<_> = baseline
            .findings
            .iter()
            .map(|found| old.fingerprint(&found.finding()))
            .collect();
        let came = report.findings.iter().filter(|found| {
            found.severity != Severity::Low
                && found.kind != FindingKind::OutOfMemory
                && !known.contains(&new.fingerprint(found))
        });
        let mut notes = Vec::new();
        if let (Some(old), Some(new)) = (&baseline.python, &report.run.python)
            && minor(old) != minor(new)
        {
            notes.push(format!(
                "The baseline is of Python {old}, this run of Python {new}: objects differ in size."
            ));
        }
        if baseline.argv != super::short_argv(report) && after.argv != baseline.argv {
            notes.push(format!(
                "The baseline is of `{}`, this run of `{}`: the arguments differ.",
                names::clean(&baseline.argv.join(" ")),
                names::clean(&report.run.argv.join(" "))
            ));
        }
        Comparison {
            grown: grown((&baseline.sites, &old), (&report.peak.user_sites, &new)),
            came: came.collect(),
            notes,
        }
    }
}

/// The lines that grew, with what they had before.
fn grown<'a>((before, old): (&[BaselineSite], &Namer), (after, new): (&'a [Site], &Namer)) -> Vec<(&'a Site, u64)> {
    type Lines = (Vec<Numbered>, Vec<Numbered>, Vec<usize>);
    let mut places: BTreeMap<Place, Lines> = BTreeMap::new();
    for site in before {
        let place = places.entry(old.place(&site.line())).or_default();
        add(&mut place.0, site.line, site.bytes);
    }
    for (index, site) in after.iter().enumerate() {
        let place = places.entry(new.innermost(&site.at, &site.stack)).or_default();
        if add(&mut place.1, site.at.line, site.bytes) {
            place.2.push(index);
        }
    }
    let mut grown = Vec::new();
    for (before, now, sites) in places.values() {
        let pairs = pair(before, now);
        for (at, site) in sites.iter().enumerate() {
            let old = pairs.iter().find(|(_, new)| *new == at);
            let had = old.and_then(|(old, _)| before.get(*old)).map_or(0, |line| line.bytes);
            if let Some(site) = after.get(*site).filter(|site| site.bytes > had) {
                grown.push((site, had));
            }
        }
    }
    grown.sort_by_key(|(site, had)| Reverse(site.bytes - had));
    grown
}

/// Adds to the line, or as a new one, which is told.
fn add(lines: &mut Vec<Numbered>, line: Option<u32>, bytes: u64) -> bool {
    let line = line.unwrap_or(0);
    match lines.iter_mut().find(|known| known.line == line) {
        Some(known) => {
            known.bytes = known.bytes.saturating_add(bytes);
            false
        }
        None => {
            lines.push(Numbered { line, bytes });
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> String {
        program(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_program_is_known_without_its_folder_interpreter_and_arguments() {
        assert_eq!(named(&["/ci/bench.py", "--fast"]), named(&["bench.py"]));
        assert_eq!(
            named(&["/usr/bin/python3.11", "-u", "-X", "dev", "a/bench.py"]),
            "bench.py"
        );
        assert_eq!(named(&["python3", "-m", "pytest", "-x"]), named(&["-m", "pytest"]));
        assert_eq!(named(&["python3"]), "python3");
        assert_ne!(named(&["-c", "a()"]), named(&["-c", "b()"]));
        assert_ne!(named(&["-m", "a"]), named(&["-m", "b"]));
    }

    #[test]
    fn versions_are_compared_without_their_patches() {
        assert_eq!(minor("3.11.7"), "3.11");
        assert_eq!(minor("3.11"), "3.11");
        assert_eq!(minor("3.15.0a2"), "3.15");
    }
}
