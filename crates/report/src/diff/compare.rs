//! Joins two sides: pairs what is the same, and judges each pair.

use std::collections::BTreeMap;

use deadweight_analysis::Amount;

use super::findings::{self, FindingRow};
use super::matching::{self, Row, joined};
use super::measured::{Input, Measured, Objects, Recorded};
use super::model::{Diff, Figure, PathChange, Rigour, SCHEMA, Side, SiteChange, Totals, Trend, TypeChange};
use super::notes;
use super::resident;
use super::significance::{self, Estimate, FALSE_ALARMS, Rule, judge, median, order, unknown};
use crate::identity::{Namer, Naming, Origin};
use crate::model::{FindingKind, Line, Mode};

/// Rows of a list; what did not change fills it up to this number.
const MOST: usize = 50;

/// Compares.
///
/// # Errors
/// One sentence that says why the two cannot be compared.
pub fn compare(before: &Input<'_>, after: &Input<'_>) -> Result<Diff, String> {
    for side in [before, after] {
        let is_known = |run: &Recorded<'_>| run.report.peak.heap_bytes.or(run.report.peak.rss_bytes).is_some();
        if side.runs.is_empty() || !side.runs.iter().all(is_known) {
            return Err(format!(
                "{} has no memory in it: nothing was recorded, and nothing was seen from outside",
                side.name
            ));
        }
    }
    let naming = naming(before, after);
    let measured = |input: &Input<'_>| -> Vec<Measured> {
        let one = |run: &Recorded<'_>| Measured::of(run, &Namer::new(&Origin::from(&run.report.run), naming));
        input.runs.iter().map(one).collect()
    };
    let sides = Sides {
        before,
        after,
        was: measured(before),
        is: measured(after),
    };
    Ok(sides.diff(naming))
}

/// What all runs have in common.
pub(super) fn naming(before: &Input<'_>, after: &Input<'_>) -> Naming {
    let mut all = Naming::default();
    for was in &before.runs {
        for is in &after.runs {
            let one = Naming::between(&Origin::from(&was.report.run), &Origin::from(&is.report.run));
            all.plain_names |= one.plain_names;
            all.inlined_comprehensions |= one.inlined_comprehensions;
            all.from_script |= one.from_script;
        }
    }
    all
}

struct Sides<'s, 'a> {
    before: &'s Input<'a>,
    after: &'s Input<'a>,
    was: Vec<Measured>,
    is: Vec<Measured>,
}

/// The value of every run, if all of them have one.
fn of_all<T>(runs: &[T], value: impl Fn(&T) -> Option<Amount>) -> Option<Estimate> {
    let all: Option<Vec<Amount>> = runs.iter().map(value).collect();
    all.map(|amounts| Estimate::of(&amounts))
}

fn plain(bytes: u64) -> Amount {
    Amount {
        bytes,
        ..Amount::default()
    }
}

fn figure(before: Option<Estimate>, after: Option<Estimate>, rule: Rule) -> Figure {
    match (before, after) {
        (Some(before), Some(after)) => judge(before, after, rule),
        (before, after) => unknown(before, after),
    }
}

impl Sides<'_, '_> {
    fn diff(&self, naming: Naming) -> Diff {
        let user = joined(&self.was, &self.is, |run| &run.user_sites);
        let inner = joined(&self.was, &self.is, |run| &run.sites);
        let user = matching::by_line(user.0, user.1);
        let inner = matching::by_line(inner.0, inner.1);
        let paths = joined(&self.was, &self.is, |run| &run.paths);
        let paths = matching::by_key(paths.0, paths.1);
        let count = |rows: &[Row]| rows.iter().filter(|row| row.is_at_a_peak()).count();
        let comparisons = [count(&user), count(&inner), count(&paths)];
        let (total_sigmas, list_sigmas) = (
            significance::sigmas(4),
            significance::sigmas(comparisons.iter().sum::<usize>()),
        );
        let totals = self.totals(total_sigmas);
        let strict = Rule {
            sigmas: list_sigmas,
            floor: significance::SITE.of(self.peak()),
            unseen: self.unseen(),
        };
        // Other versions lay objects out otherwise: what keeps what is then no matter of the program.
        let same_python = notes::minor(&side(self.before)) == notes::minor(&side(self.after));
        let types = if same_python { self.types() } else { Vec::new() };
        let user_sites = sites(&user, strict, totals.peak_heap);
        let mut found = self.findings();
        findings::other_moments(&mut found, &user_sites);
        let mut diff = Diff {
            schema: SCHEMA,
            before: side(self.before),
            after: side(self.after),
            findings: found,
            user_sites,
            sites: sites(&inner, strict, totals.peak_heap),
            paths: call_paths(&paths, strict, totals.peak_heap),
            rigour: Rigour {
                user_sites: comparisons[0],
                sites: comparisons[1],
                paths: comparisons[2],
                types: types.len(),
                total_sigmas,
                list_sigmas,
                false_alarms: 2.0 * FALSE_ALARMS,
            },
            types,
            totals,
            notes: Vec::new(),
        };
        diff.types.truncate(MOST);
        diff.notes = notes::collect(self.before, self.after, naming, self.coverage(), &diff);
        diff
    }

    /// The larger of the two peaks: what a change is large or small beside.
    fn peak(&self) -> u64 {
        let runs = self.before.runs.iter().chain(&self.after.runs);
        runs.filter_map(peak_of).max().unwrap_or(0)
    }

    /// Whether the peaks of both sides differ by no more than a twentieth.
    fn is_same_peak(&self) -> bool {
        let of_side = |side: &Input<'_>| median(&mut side.runs.iter().filter_map(peak_of).collect::<Vec<u64>>());
        of_side(self.before).abs_diff(of_side(self.after)) <= self.peak() / 20
    }

    /// Variance of what was never sampled.
    fn unseen(&self) -> f64 {
        let of_side = |side: &Input<'_>| {
            let interval = |run: &Recorded<'_>| run.report.run.sampling_interval_bytes.unwrap_or(0) as f64;
            let squares: f64 = side.runs.iter().map(|run| interval(run).powi(2)).sum();
            squares / side.runs.len().pow(2) as f64
        };
        of_side(self.before) + of_side(self.after)
    }

    fn totals(&self, sigmas: f64) -> Totals {
        let of_runs = |value: &dyn Fn(&Recorded<'_>) -> Option<Amount>| {
            (of_all(&self.before.runs, value), of_all(&self.after.runs, value))
        };
        let recorded = |input: &Input<'_>| input.runs.iter().all(|run| run.report.peak.heap_bytes.is_some());
        let (was_recorded, is_recorded) = (recorded(self.before), recorded(self.after));
        let of_measured = |value: &dyn Fn(&Measured) -> Option<Amount>| {
            (
                of_all(&self.was, value).filter(|_| was_recorded),
                of_all(&self.is, value).filter(|_| is_recorded),
            )
        };
        let rule = |floor: u64| Rule {
            sigmas,
            floor,
            unseen: self.unseen(),
        };
        let exact = |floor: u64| Rule {
            sigmas,
            floor,
            unseen: 0.0,
        };
        let heap_floor = significance::HEAP.of(self.peak());
        let peak = of_runs(&|run| {
            run.report.peak.heap_bytes?;
            Some(run.analysis.peak.heap)
        });
        let rss = of_runs(&|run| resident::highest(run).map(plain));
        let larger = |pair: &(Option<Estimate>, Option<Estimate>)| {
            let bytes = |side: &Option<Estimate>| side.map_or(0, |side| side.bytes);
            bytes(&pair.0).max(bytes(&pair.1))
        };
        let end = of_measured(&|run| Some(run.end));
        let churn = of_measured(&|run| Some(run.churn));
        let garbage = of_measured(&|run| run.snapshots.as_ref().map(|_| plain(garbage(run))));
        let share = |part: Option<Estimate>, whole: Option<Estimate>| {
            let (part, whole) = (part?.bytes, whole.filter(|whole| whole.bytes > 0)?.bytes);
            Some((part as f64 / whole as f64).min(1.0))
        };
        Totals {
            peak_heap: figure(peak.0, peak.1, rule(heap_floor)),
            peak_rss: figure(rss.0, rss.1, exact(self.resident_floor(larger(&rss)))),
            end_heap: figure(end.0, end.1, rule(heap_floor)),
            churn: figure(churn.0, churn.1, rule(significance::CHURN.of(larger(&churn)))),
            garbage: figure(garbage.0, garbage.1, exact(self.snapshot_floor())),
            garbage_share_before: share(garbage.0, rss.0),
            garbage_share_after: share(garbage.1, rss.1),
        }
    }

    /// What resident memory may differ by.
    fn resident_floor(&self, larger: u64) -> u64 {
        let runs = self.before.runs.iter().chain(&self.after.runs);
        let unseen = runs.map(resident::unseen).max().unwrap_or(0);
        significance::RESIDENT.of(larger).max(unseen)
    }

    /// Heap of the peaks that is in no snapshot, the median of each side.
    fn uncovered(&self) -> [Option<u64>; 2] {
        let of_side = |side: &[Measured]| {
            let all: Option<Vec<u64>> = side
                .iter()
                .map(|run| run.snapshots.as_ref().map(|snapshots| snapshots.uncovered))
                .collect();
            all.map(|mut all| median(&mut all))
        };
        [of_side(&self.was), of_side(&self.is)]
    }

    /// The part of the peak's heap that is in the snapshots.
    fn coverage(&self) -> [Option<f64>; 2] {
        let [was, is] = self.uncovered();
        let part = |uncovered: Option<u64>, input: &Input<'_>| {
            let mut peaks: Vec<u64> = input.runs.iter().filter_map(|run| run.report.peak.heap_bytes).collect();
            let peak = median(&mut peaks);
            (peak > 0).then_some(1.0 - uncovered? as f64 / peak as f64)
        };
        [part(was, self.before), part(is, self.after)]
    }

    /// What snapshots may differ by: they are not taken at the peak itself, and what came after them can be of any
    /// type.
    fn snapshot_floor(&self) -> u64 {
        let uncovered = self.uncovered().into_iter().flatten().max().unwrap_or(0);
        significance::SNAPSHOT.of(self.peak()).max(uncovered)
    }

    fn types(&self) -> Vec<TypeChange> {
        let of_side = |side: &[Measured]| -> Option<(BTreeMap<String, Vec<Objects>>, u64)> {
            let mut all: BTreeMap<String, Vec<Objects>> = BTreeMap::new();
            let mut unlisted = 0;
            for (run, measured) in side.iter().enumerate() {
                let snapshots = measured.snapshots.as_ref()?;
                unlisted = snapshots.unlisted.max(unlisted);
                for (name, objects) in &snapshots.types {
                    let list = all
                        .entry(name.clone())
                        .or_insert_with(|| vec![Objects::default(); side.len()]);
                    list[run] = *objects;
                }
            }
            Some((all, unlisted))
        };
        let (Some((was, was_unlisted)), Some((is, is_unlisted))) = (of_side(&self.was), of_side(&self.is)) else {
            return Vec::new();
        };
        let rule = Rule {
            sigmas: 0.0,
            floor: self.snapshot_floor().max(was_unlisted).max(is_unlisted),
            unseen: 0.0,
        };
        let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let retained = |list: Option<&Vec<Objects>>, runs: usize| {
            let values = list.map(|list| list.iter().map(|one| one.retained).collect::<Vec<u64>>());
            Estimate::exactly(&values.unwrap_or_else(|| vec![0; runs]))
        };
        let counted = |list: Option<&Vec<Objects>>| {
            list.map(|list| median(&mut list.iter().map(|one| one.count).collect::<Vec<u64>>()))
        };
        // With as many objects and the same peak, only the holder at the moment of the snapshot is another one: a function that
        // builds something has it before the module does.
        let moment = Rule {
            floor: self.peak(),
            ..rule
        };
        let is_same_peak = self.is_same_peak();
        let is_alike = |was: Option<u64>, is: Option<u64>| {
            let (was, is) = (was.unwrap_or(0), is.unwrap_or(0));
            is_same_peak && was.abs_diff(is) <= was.max(is) / 100
        };
        let mut changes: Vec<TypeChange> = names
            .into_iter()
            .map(|name| {
                let (was, is) = (was.get(name), is.get(name));
                let (before_objects, after_objects) = (counted(was), counted(is));
                let rule = if is_alike(before_objects, after_objects) {
                    moment
                } else {
                    rule
                };
                TypeChange {
                    type_name: name.clone(),
                    figure: judge(retained(was, self.was.len()), retained(is, self.is.len()), rule),
                    before_objects,
                    after_objects,
                }
            })
            .collect();
        changes.sort_by(|a, b| order(&a.figure, &b.figure).then_with(|| a.type_name.cmp(&b.type_name)));
        changes
    }

    fn findings(&self) -> Vec<super::model::FindingChange> {
        let side = |runs: &[Measured]| {
            let mut all: BTreeMap<_, FindingRow> = BTreeMap::new();
            for (run, measured) in runs.iter().enumerate() {
                for (name, (bytes, found)) in &measured.findings {
                    let row = all
                        .entry(name.clone())
                        .or_insert_with(|| FindingRow::new(found.clone(), runs.len()));
                    row.add(run, *bytes);
                }
            }
            // What only a few runs have is chance.
            all.retain(|_, row| row.is_in_most());
            all
        };
        findings::compare(
            &side(&self.was),
            &side(&self.is),
            (self.was.len(), self.is.len()),
            significance::SNAPSHOT.of(self.peak()),
            self.snapshot_floor(),
        )
    }
}

/// The peak of a run, bytes: of its heap, or of what was resident where there are no allocations.
fn peak_of(run: &Recorded<'_>) -> Option<u64> {
    run.report.peak.heap_bytes.or(run.report.peak.rss_bytes)
}

/// Bytes of all findings of garbage.
fn garbage(run: &Measured) -> u64 {
    let of_garbage = run
        .findings
        .values()
        .filter(|(_, found)| found.kind == FindingKind::CyclicGarbage);
    of_garbage.fold(0, |sum, (bytes, _)| sum.saturating_add(*bytes))
}

/// Judges a row; the second value says that its peak was only at another moment.
fn judged(row: &Row, rule: Rule, peak: Figure) -> (Figure, bool) {
    let mut figure = judge(row.peak(0), row.peak(1), rule);
    // Where the whole went the same way, it is the change.
    let is_own = figure.has_changed() && figure.trend == peak.trend;
    let as_high = !judge(row.highest(0), row.highest(1), rule).has_changed();
    let as_much = peak.trend == Trend::NoChange && !judge(row.allocated(0), row.allocated(1), rule).has_changed();
    let other_moment = figure.has_changed() && !is_own && (as_high || as_much);
    if other_moment {
        figure.trend = Trend::NoChange;
    }
    (figure, other_moment)
}

fn sites(rows: &[Row], rule: Rule, peak: Figure) -> Vec<SiteChange> {
    let mut changes: Vec<SiteChange> = rows
        .iter()
        .filter(|row| row.is_at_a_peak())
        .map(|row| {
            let (figure, other_moment) = judged(row, rule, peak);
            let [was, is] = row.stacks();
            let line = |stack: Option<&[Line]>| stack.and_then(|stack| stack.first()).cloned();
            SiteChange {
                before: line(was),
                after: line(is),
                figure,
                highest_before_bytes: row.highest(0).bytes,
                highest_after_bytes: row.highest(1).bytes,
                other_moment,
                stack: is.or(was).unwrap_or_default().iter().skip(1).cloned().collect(),
            }
        })
        .collect();
    let place = |change: &SiteChange| change.after.clone().or(change.before.clone());
    changes.sort_by(|a, b| {
        order(&a.figure, &b.figure)
            .then(b.other_moment.cmp(&a.other_moment))
            .then_with(|| place(a).cmp(&place(b)))
    });
    changes.truncate(MOST);
    changes
}

fn call_paths(rows: &[Row], rule: Rule, peak: Figure) -> Vec<PathChange> {
    let mut changes: Vec<PathChange> = rows
        .iter()
        .filter(|row| row.is_at_a_peak())
        .map(|row| {
            let [was, is] = row.stacks();
            PathChange {
                frames: is.or(was).unwrap_or_default().to_vec(),
                figure: judged(row, rule, peak).0,
            }
        })
        .collect();
    changes.sort_by(|a, b| order(&a.figure, &b.figure).then_with(|| a.frames.cmp(&b.frames)));
    changes.truncate(MOST);
    changes
}

fn side(input: &Input<'_>) -> Side {
    let first = input.runs.first().map(|run| run.report);
    let run = first.map(|report| &report.run);
    let middle = |value: &dyn Fn(&Recorded<'_>) -> Option<f64>| {
        let mut all: Vec<f64> = input.runs.iter().filter_map(value).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let mut processes: Vec<u64> = input.runs.iter().map(|run| run.report.processes.len() as u64).collect();
    let watched = run.is_some_and(|run| run.watched);
    Side {
        name: crate::words::names::clean(&input.name).into_owned(),
        runs: input.runs.len(),
        argv: run.map(|run| run.argv.clone()).unwrap_or_default(),
        python: run.and_then(|run| run.python.clone()),
        mode: run.map(|run| run.mode).filter(|_| !watched),
        sampling_interval_bytes: run
            .filter(|run| !watched && run.mode == Mode::Sampled)
            .and_then(|run| run.sampling_interval_bytes),
        started: run.and_then(|run| run.started.clone()),
        seconds: middle(&|run| run.report.run.seconds),
        processes: median(&mut processes) as usize,
        exit: run.map(|run| run.exit.clone()).unwrap_or_default(),
        peak_seconds: middle(&|run| run.report.peak.seconds),
        cwd: run.and_then(|run| run.cwd.clone()),
    }
}
