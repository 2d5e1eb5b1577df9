//! The verdicts.

use super::asked::{Asked, Compared, Forbidden, Limit};
use super::culprit::Culprit;
use super::model::{Check, Checked, Judgement, Rule, SCHEMA, Verdict};
use crate::baseline;
use crate::baseline::whole;
use crate::model::{FindingKind, Process, Report, Severity, Site};
use crate::words::{exit, names, units};

/// So many standard errors are the sampling error of a figure: it is further off in one run of twenty.
const ERRORS: f64 = 2.0;
/// An unrecorded process below this size says nothing about the program's memory.
const SMALL: u64 = 8 << 20;
/// Kinds that only a heap snapshot can rule out.
const BY_SNAPSHOT: [FindingKind; 4] = [
    FindingKind::CyclicGarbage,
    FindingKind::Uncollectable,
    FindingKind::GrowingHolder,
    FindingKind::NativeLeak,
];
/// Kinds that explain a high heap.
const OF_HEAP: [FindingKind; 5] = [
    FindingKind::CyclicGarbage,
    FindingKind::Uncollectable,
    FindingKind::GrowingHolder,
    FindingKind::NativeLeak,
    FindingKind::PeakSpike,
];
/// And high resident memory besides.
const OF_RESIDENT: [FindingKind; 8] = [
    FindingKind::CyclicGarbage,
    FindingKind::Uncollectable,
    FindingKind::GrowingHolder,
    FindingKind::NativeLeak,
    FindingKind::PeakSpike,
    FindingKind::AllocatorSlack,
    FindingKind::FileMapping,
    FindingKind::ChildProcess,
];

/// Judges each capture, named as the user named it.
pub fn check(asked: &Asked, captures: &[(String, &Report)]) -> Check {
    let captures: Vec<Checked> = captures
        .iter()
        .map(|(name, report)| Judge { name, report }.all(asked))
        .collect();
    Check {
        schema: SCHEMA,
        verdict: gravest(captures.iter().map(|checked| checked.verdict)),
        captures,
    }
}

fn gravest(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.max().unwrap_or(Verdict::Holds)
}

/// One capture.
struct Judge<'a> {
    name: &'a str,
    report: &'a Report,
}

impl Judge<'_> {
    fn all(&self, asked: &Asked) -> Checked {
        let mut judgements = Vec::new();
        judgements.extend(asked.max_peak.as_ref().map(|limit| self.peak(limit)));
        judgements.extend(asked.max_rss.as_ref().map(|limit| self.rss(limit)));
        judgements.extend(asked.max_growth.as_ref().map(|limit| self.growth(limit)));
        judgements.extend(asked.forbid.iter().map(|forbidden| self.forbidden(forbidden)));
        if let Some(compared) = &asked.baseline {
            judgements.extend(self.baseline(compared));
        }
        Checked {
            capture: self.name.to_owned(),
            argv: self.report.run.argv.clone(),
            cwd: self.report.run.cwd.clone(),
            started: self.report.run.started.clone(),
            verdict: gravest(judgements.iter().map(|judgement| judgement.verdict)),
            judgements,
            notes: self.notes(),
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let end = exit::bad_end(&self.report.run.exit);
        if let Some(end) = end.filter(|_| whole::ran_out(self.report).is_none()) {
            let program = names::program(&self.report.run.argv);
            notes.push(format!(
                "{program} {end}: what it would have needed otherwise is not known."
            ));
        }
        let is_missing = |process: &&Process| !process.recorded && process.peak_rss_bytes >= Some(SMALL);
        let missing = self.report.processes.iter().filter(is_missing);
        if let Some(process) = missing.max_by_key(|process| process.peak_rss_bytes)
            && !self.report.run.watched
        {
            notes.push(format!(
                "The heap of {} was not recorded and is in none of the figures; {} of it was resident.",
                names::process(process.pid, &process.argv),
                units::size(process.peak_rss_bytes.unwrap_or(0))
            ));
        }
        notes
    }

    fn objection(&self) -> Option<String> {
        whole::objection(self.name, self.report)
    }

    fn peak(&self, limit: &Limit) -> Judgement {
        let asked = format!("--max-peak {limit}");
        let (Some(heap), None) = (self.report.peak.heap_bytes, self.objection()) else {
            return unjudged(Rule::MaxPeak, asked, self.objection().unwrap_or_default());
        };
        let error = self.report.peak.heap_error_bytes.unwrap_or(0);
        let says = format!("The peak was {} of heap{}", units::size(heap), with_error(error));
        let mut judged = against(Rule::MaxPeak, asked, says, (heap, error), limit);
        judged.notes.extend(self.close(heap, error, limit.bytes));
        self.blame(&mut judged, || self.of_peak().explained(self.report, &OF_HEAP, heap));
        self.doubt(judged)
    }

    fn rss(&self, limit: &Limit) -> Judgement {
        let asked = format!("--max-rss {limit}");
        let (name, report) = (self.name, self.report);
        if let Some(says) = whole::unseen_end(name, report) {
            return unjudged(Rule::MaxRss, asked, says);
        }
        let Some(rss) = report.peak.rss_bytes else {
            let says = format!("Resident memory was not measured in {name}: run the program again.");
            return unjudged(Rule::MaxRss, asked, says);
        };
        // Without deadweight the program would not have it.
        let own = report.peak.ledger.deadweight.unwrap_or(0).min(rss);
        let says = match own {
            0 => format!("Resident memory reached {}", units::size(rss)),
            own => format!(
                "Resident memory reached {} without deadweight's own {}",
                units::size(rss - own),
                units::size(own)
            ),
        };
        let mut judged = against(Rule::MaxRss, asked, says, (rss - own, 0), limit);
        self.blame(&mut judged, || {
            let mut culprit = self.of_peak().explained(report, &OF_RESIDENT, rss);
            culprit.resident = match report.run.watched {
                true => Some("`deadweight watch` knows no lines: `deadweight run` does.".to_owned()),
                false => self.made_of(),
            };
            culprit
        });
        self.doubt(judged)
    }

    /// The largest part of resident memory, where that is not what the lines made.
    fn made_of(&self) -> Option<String> {
        let ledger = &self.report.peak.ledger;
        let parts = [
            ("freed memory that allocators kept", ledger.allocator_slack),
            ("mapped files and libraries", ledger.file_backed),
            ("shared memory", ledger.shared_memory),
            ("unexplained", ledger.unexplained),
        ];
        let (what, bytes) = parts
            .into_iter()
            .filter_map(|(what, bytes)| Some((what, bytes?)))
            .max_by_key(|part| part.1)?;
        let live = ledger
            .python_objects
            .unwrap_or(0)
            .saturating_add(ledger.native_blocks.unwrap_or(0));
        (bytes >= SMALL && bytes > live / 4).then(|| format!("{} of it was {what}.", units::size(bytes)))
    }

    fn growth(&self, limit: &Limit) -> Judgement {
        let asked = format!("--max-growth {limit}");
        if let Some(objection) = self.objection() {
            return unjudged(Rule::MaxGrowth, asked, objection);
        }
        let Some(growth) = &self.report.growth else {
            let says = format!(
                "The run of {} was too short to tell growth: make it at least a second long.",
                self.name
            );
            return unjudged(Rule::MaxGrowth, asked, says);
        };
        let (grown, error) = (growth.bytes(), growth.error_bytes);
        let grew = match grown {
            0 => "did not grow".to_owned(),
            grown => format!("grew by {}{}", units::size(grown), with_error(error)),
        };
        let says = format!(
            "The live heap {grew}, from {} in the second quarter of the run to {} in the last one (medians)",
            units::size(growth.from_bytes),
            units::size(growth.to_bytes)
        );
        let mut judged = against(Rule::MaxGrowth, asked, says, (grown, error), limit);
        judged.notes.extend(self.close(grown, error, limit.bytes));
        self.blame(&mut judged, || {
            let sites = growth.sites.iter().map(|site| (site, None));
            Culprit::of_sites(sites, self.report).explained(self.report, &BY_SNAPSHOT, grown)
        });
        self.doubt(judged)
    }

    fn forbidden(&self, forbidden: &Forbidden) -> Judgement {
        let asked = format!("--forbid {forbidden}");
        if let Some(objection) = self.objection() {
            return unjudged(Rule::Forbid, asked, objection);
        }
        let found = || self.report.findings.iter().filter(|found| forbidden.is(found));
        let grave = found().find(|found| found.severity != Severity::Low);
        let mut judged = Judgement {
            rule: Rule::Forbid,
            asked,
            verdict: Verdict::Holds,
            says: format!("There is no {forbidden}."),
            measured_bytes: None,
            error_bytes: None,
            limit_bytes: None,
            notes: Vec::new(),
            culprit: None,
        };
        if let Some(found) = grave {
            judged.verdict = Verdict::Broken;
            judged.says = names::clean(&found.title).into_owned();
            judged.measured_bytes = found.bytes;
            judged.culprit = Some(Culprit::of_finding(found, self.report));
            return judged;
        }
        if let Some(low) = found().next() {
            judged.says = format!("There is no {forbidden} above low severity.");
            judged
                .notes
                .push(format!("Small enough to be normal: {}", names::clean(&low.title)));
        } else if BY_SNAPSHOT.contains(&forbidden.kind) && self.report.run.heap_snapshots == 0 {
            judged.verdict = Verdict::Unjudged;
            judged.says = format!(
                "{} has no heap snapshot, and without one {} is not seen: none was taken because of --no-snapshots, because the \
                 program is too small or ended too early, or because all of its memory changed all the time.",
                self.name,
                forbidden.kind.word()
            );
        }
        self.doubt(judged)
    }

    fn baseline(&self, compared: &Compared) -> Vec<Judgement> {
        let asked = format!(
            "--baseline {} --tolerance {}",
            compared.name,
            units::share(compared.tolerance).replace(' ', "")
        );
        if let Some(objection) = baseline::objection(&compared.baseline, &compared.name, (self.name, self.report)) {
            return vec![unjudged(Rule::BaselinePeak, asked, objection)];
        }
        let watched = self.report.run.watched;
        if let Some(objection) = self.objection().filter(|_| !watched) {
            return vec![unjudged(Rule::BaselinePeak, asked, objection)];
        }
        let comparison = baseline::Comparison::of(&compared.baseline, self.report);
        let mut all = vec![self.baseline_peak(&asked, compared, &comparison)];
        if !watched {
            all.push(self.baseline_findings(&compared.name, &comparison));
        }
        for judged in &mut all {
            judged.notes.extend(comparison.notes.clone());
        }
        all
    }

    fn baseline_peak(&self, asked: &str, compared: &Compared, comparison: &baseline::Comparison<'_>) -> Judgement {
        let peak = &compared.baseline.peak;
        let report = self.report;
        let (what, before, after) = if report.run.watched {
            let figures = (
                peak.rss_bytes.map(|bytes| (bytes, 0)),
                report.peak.rss_bytes.map(|bytes| (bytes, 0)),
            );
            ("Resident memory reached", figures.0, figures.1)
        } else {
            let with = |bytes: Option<u64>, error: Option<u64>| Some((bytes?, error.unwrap_or(0)));
            (
                "The peak was",
                with(peak.heap_bytes, peak.heap_error_bytes),
                with(report.peak.heap_bytes, report.peak.heap_error_bytes),
            )
        };
        let (Some((before, before_error)), Some((after, error))) = (before, after) else {
            let says = format!("{} has no figure of the peak: make the baseline again.", compared.name);
            return unjudged(Rule::BaselinePeak, asked.to_owned(), says);
        };
        let allowed = (before as f64 * (1.0 + compared.tolerance)).round() as u64;
        let margin = ERRORS * (error as f64).hypot(before_error as f64 * (1.0 + compared.tolerance));
        let is_beyond = after > allowed;
        let verdict = match is_beyond && (after - allowed) as f64 > margin {
            true => Verdict::Broken,
            false => Verdict::Holds,
        };
        let tolerance = units::share(compared.tolerance);
        let change = match after > before {
            true => format!("{} more than", units::percent(after - before, before)),
            false if after == before => "as much as".to_owned(),
            false => format!("{} less than", units::percent(before - after, before)),
        };
        let mut judged = Judgement {
            rule: Rule::BaselinePeak,
            asked: asked.to_owned(),
            verdict,
            says: format!(
                "{what} {}{}, {change} the {} of the baseline; {tolerance} more is allowed.",
                units::size(after),
                with_error(error),
                units::size(before)
            ),
            measured_bytes: Some(after),
            error_bytes: Some(error),
            limit_bytes: Some(allowed),
            notes: Vec::new(),
            culprit: None,
        };
        if is_beyond && verdict == Verdict::Holds {
            judged.notes.push(format!(
                "That is more than allowed by {}, which the sampling error of both (± {}) can explain; `deadweight run --exact` \
                 would tell.",
                units::size(after - allowed),
                units::size(margin as u64)
            ));
        }
        self.blame(&mut judged, || {
            let sites = comparison.grown.iter().map(|(site, before)| (*site, Some(*before)));
            let mut culprit = Culprit::of_sites(sites, report);
            culprit.finding = comparison.came.first().map(|found| (*found).into());
            match culprit.finding {
                Some(_) => culprit,
                None => culprit.explained(report, &OF_HEAP, after),
            }
        });
        self.doubt(judged)
    }

    fn baseline_findings(&self, name: &str, comparison: &baseline::Comparison<'_>) -> Judgement {
        let mut judged = Judgement {
            rule: Rule::BaselineFindings,
            asked: format!("--baseline {name}: no new finding"),
            verdict: Verdict::Holds,
            says: "There is no finding that the baseline does not have.".to_owned(),
            measured_bytes: None,
            error_bytes: None,
            limit_bytes: None,
            notes: Vec::new(),
            culprit: None,
        };
        if let Some(first) = comparison.came.first() {
            judged.verdict = Verdict::Broken;
            judged.measured_bytes = first.bytes;
            judged.says = format!("The baseline does not have this: {}", names::clean(&first.title));
            judged.culprit = Some(Culprit::of_finding(first, self.report));
            let others = comparison.came.iter().skip(1);
            judged
                .notes
                .extend(others.map(|found| format!("Nor this: {}", names::clean(&found.title))));
        }
        judged
    }

    /// The user's lines with most of the peak.
    fn of_peak(&self) -> Culprit {
        let sites = self.report.peak.user_sites.iter();
        Culprit::of_sites(sites.map(|site: &Site| (site, None)), self.report)
    }

    fn blame(&self, judged: &mut Judgement, culprit: impl FnOnce() -> Culprit) {
        if judged.verdict == Verdict::Broken {
            judged.culprit = Some(culprit());
        }
    }

    /// What holds only because memory ran out is not known to hold.
    fn doubt(&self, mut judged: Judgement) -> Judgement {
        if judged.verdict == Verdict::Holds
            && let Some(why) = whole::ran_out(self.report)
        {
            judged.verdict = Verdict::Unjudged;
            judged.notes.push(why);
        }
        judged
    }

    /// Whether the limit lies within the error.
    fn close(&self, measured: u64, error: u64, limit: u64) -> Option<String> {
        let margin = ERRORS * error as f64;
        (measured.abs_diff(limit) as f64 <= margin && error > 0).then(|| {
            format!(
                "The limit lies within the sampling error of this figure (± {}, two standard errors), so it may be the other way \
                 round; `deadweight run --exact` would tell.",
                units::size(margin as u64)
            )
        })
    }
}

fn with_error(error: u64) -> String {
    match error {
        0 => String::new(),
        error => format!(" (± {})", units::size(error)),
    }
}

fn unjudged(rule: Rule, asked: String, says: String) -> Judgement {
    Judgement {
        rule,
        asked,
        verdict: Verdict::Unjudged,
        says,
        measured_bytes: None,
        error_bytes: None,
        limit_bytes: None,
        notes: Vec::new(),
        culprit: None,
    }
}

/// The verdict on a figure that has a limit; `says` is the beginning of the sentence.
fn against(rule: Rule, asked: String, says: String, (measured, error): (u64, u64), limit: &Limit) -> Judgement {
    let verdict = match measured > limit.bytes {
        true => Verdict::Broken,
        false => Verdict::Holds,
    };
    let how = if measured > limit.bytes {
        let over = measured - limit.bytes;
        let share = match limit.bytes {
            0 => String::new(),
            whole => format!(" ({})", units::percent(over, whole)),
        };
        format!("{}{share} above the limit of {limit}", units::size(over))
    } else if measured == limit.bytes {
        format!("exactly the limit of {limit}")
    } else {
        format!("{} below the limit of {limit}", units::size(limit.bytes - measured))
    };
    Judgement {
        rule,
        asked,
        verdict,
        says: format!("{says}, {how}."),
        measured_bytes: Some(measured),
        error_bytes: Some(error),
        limit_bytes: Some(limit.bytes),
        notes: Vec::new(),
        culprit: None,
    }
}
