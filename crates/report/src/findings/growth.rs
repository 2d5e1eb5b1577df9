//! Growth over time as the events alone tell it.
//!
//! What Python itself does not free when it ends, nobody holds: its modules, frames and containers are gone by then, and
//! the collector has run. So a line whose memory grew in a straight line while the program ran, and that is still live
//! after Python's end, has lost it: `native_leak` if most of it is native, `uncollectable` if it is Python's objects.
//! A cache that fills and stops, an import, a table built once, and a pool have another [`Shape`](super::shape::Shape).
//!
//! Of a process that was killed, or left with `os._exit` as workers do, the end tells nothing. There, steady growth is
//! only good to know (`growing_holder` without a chain); heap snapshots tell who holds it. So is growth of which they do not
//! show a holder: an object of native code has it. Both should be looked at if the run ended because memory ran out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use deadweight_analysis::{Amount, FrameName};
use deadweight_heap::{Allocator, Unowned};

use super::shape::{Line as Trend, pace, steady_growth};
use crate::attribution::rows::{By, Row, Rows};
use crate::attribution::work::samples_of_work;
use crate::findings::evidence::Evidence;
use crate::findings::finding::finding;
use crate::findings::finding::severity;
use crate::findings::thresholds as limit;
use crate::model::{Finding, FindingKind, Report, Severity};
use crate::words::{names, units};

/// Findings of each kind.
const MOST: usize = 3;
/// Sites named by a finding.
const SITES: usize = 5;

/// The rows of one line of the user's in one process, and how they grew.
pub(super) struct Grown<'r, 'a> {
    process: usize,
    at: FrameName<'a>,
    rows: Vec<&'r Row<'a>>,
    trend: Trend,
    /// At the last sample.
    last: u64,
    /// Allocated in all, freed since or not.
    allocated: u64,
    /// Seconds from one sample to the next.
    width: f64,
    samples: usize,
}

impl Grown<'_, '_> {
    fn seconds(&self) -> f64 {
        self.samples.saturating_sub(self.trend.from) as f64 * self.width
    }

    fn pace(&self) -> String {
        pace(&self.trend, self.width, self.samples)
    }
}

/// Lines that grew steadily as long as the program worked, the largest first. No finding is about less than a leak.
pub(super) fn grown<'r, 'a>(rows: &'r Rows<'a>) -> Vec<Grown<'r, 'a>> {
    let least = limit::LEAK_LEAST_BYTES;
    let mut by_line: BTreeMap<(usize, &str, u32, &str), Vec<&'r Row<'a>>> = BTreeMap::new();
    for row in rows.list.iter().filter(|row| is_code(row.user.file)) {
        let at = row.user;
        by_line
            .entry((row.process, at.file, at.line, at.function))
            .or_default()
            .push(row);
    }
    let mut all = Vec::new();
    for ((process, ..), group) in by_line {
        let allocated: u64 = group
            .iter()
            .map(|row| row.amounts.allocated.bytes)
            .fold(0, u64::saturating_add);
        if allocated < least {
            continue;
        }
        let answer = rows.process(process);
        let history = &answer.history;
        let stacks: HashSet<u32> = group.iter().map(|row| row.stack as u32).collect();
        let mut level = history.series(|stack| stacks.contains(&stack.0));
        level.truncate(samples_of_work(answer));
        let last = level.last().copied().unwrap_or(0);
        if let (Some(trend), Some(first)) = (steady_growth(&level, &history.allocated()), group.first())
            && last >= least
        {
            all.push(Grown {
                process,
                at: first.user,
                trend,
                last,
                allocated,
                width: history.width_nanos as f64 / 1e9,
                samples: level.len(),
                rows: group,
            });
        }
    }
    all.sort_by_key(|grown| Reverse(grown.last));
    all
}

/// Whether it is the file of a person's or a library's code.
fn is_code(file: &str) -> bool {
    !file.starts_with('<') || matches!(file, "<string>" | "<stdin>") || file.starts_with("<ipython")
}

/// What grew and was never freed.
pub(super) fn lost(all: &[Grown<'_, '_>], evidence: &Evidence<'_>, known: &[Finding], report: &Report) -> Vec<Finding> {
    let rows = evidence.rows;
    let mut found = Vec::new();
    for grown in all {
        let left = grown
            .rows
            .iter()
            .map(|row| row.amounts.end.bytes)
            .fold(0, u64::saturating_add);
        if left < limit::LEAK_LEAST_BYTES || left < limit::LOST_AT_END_OF_LAST_SAMPLE.of(grown.last) {
            continue;
        }
        if !rows.process(grown.process).python_ended || is_known(grown, known) {
            continue;
        }
        found.extend(lost_at(grown, left, evidence, report));
    }
    found.truncate(MOST);
    found
}

/// Whether another finding explains this line's memory already.
fn is_known(grown: &Grown<'_, '_>, known: &[Finding]) -> bool {
    let kinds = [
        FindingKind::NativeLeak,
        FindingKind::Uncollectable,
        FindingKind::GrowingHolder,
        FindingKind::CyclicGarbage,
    ];
    known.iter().filter(|found| kinds.contains(&found.kind)).any(|found| {
        let same = |site: &&crate::Site| site.at.file == grown.at.file && site.at.line.unwrap_or(0) == grown.at.line;
        let here = found.user_sites.iter().filter(same).map(|site| site.bytes);
        // The figures are those of a snapshot, which may be from the middle of the growth.
        here.fold(0, u64::saturating_add) >= limit::GROWTH_EXPLAINED.of(grown.last)
    })
}

/// Whether most of it is blocks that native code took from Python's allocator for its own use: no object leads to them in
/// the last heap snapshot.
fn is_buffers(grown: &Grown<'_, '_>, evidence: &Evidence<'_>) -> bool {
    let answer = evidence.rows.process(grown.process);
    let of_process = evidence
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.process == answer.id);
    let Some(last) = of_process.max_by_key(|snapshot| snapshot.number) else {
        return false;
    };
    let stacks: HashSet<u32> = grown.rows.iter().map(|row| row.stack as u32).collect();
    let is_buffer = |part: &&Unowned| part.allocator == Allocator::PyMem && stacks.contains(&part.stack.0);
    let buffers = last.unowned.iter().filter(is_buffer).map(|part| part.bytes);
    let buffers = buffers.fold(0, u64::saturating_add);
    let level = answer.history.series(|stack| stacks.contains(&stack.0));
    let distance = |sample: &usize| answer.history.nanos(*sample).abs_diff(last.nanos);
    let then = (0..level.len()).min_by_key(distance).map(|sample| level[sample]);
    buffers > 0 && then.is_some_and(|then| buffers >= limit::LOST_BUFFERS.of(then))
}

fn lost_at(grown: &Grown<'_, '_>, left: u64, evidence: &Evidence<'_>, report: &Report) -> Option<Finding> {
    let rows = evidence.rows;
    let native: u64 = grown.rows.iter().map(|row| row.amounts.end_native_bytes).sum();
    let place = names::location(&names::line(&grown.at), report.run.cwd.as_deref());
    let size = units::size(left);
    let (kind, title, suggestion) = if native >= limit::LOST_NATIVE.of(left) || is_buffers(grown, evidence) {
        (
            FindingKind::NativeLeak,
            format!(
                "{size} allocated at {place} was never freed, not even when Python had ended: native code lost it."
            ),
            "Python's own tools cannot see this memory. Look for a newer release of the package that this line calls, \
             or for a call that closes or frees what it makes.",
        )
    } else {
        (
            FindingKind::Uncollectable,
            format!(
                "{size} of Python's objects made at {place} was never freed, not even when Python had ended: native \
                 code took a reference and did not give it back."
            ),
            "Look for a newer release of the package that this line calls: a reference that native code has lost cannot \
             be given back from Python.",
        )
    };
    let mut found = finding(kind, severity(left, report)?, title, Some(left), report);
    describe(&mut found, grown, rows, |row| row.amounts.end);
    found.freeable_by_gc = Some(false);
    found.evidence.push(format!("It grew steadily, {}.", grown.pace()));
    found
        .evidence
        .push("When Python ended it freed its modules and its other objects, but not this.".to_owned());
    found.suggestion = Some(suggestion.to_owned());
    Some(found)
}

/// What grew steadily and was not freed, in processes whose end tells nothing about it.
pub(super) fn steady(
    all: &[Grown<'_, '_>],
    evidence: &Evidence<'_>,
    known: &[Finding],
    report: &Report,
) -> Vec<Finding> {
    let rows = evidence.rows;
    let Some(whole) = report.peak.rss_bytes.or(report.peak.heap_bytes) else {
        return Vec::new();
    };
    let least = limit::OPEN_GROWTH_LEAST_OF_PEAK
        .of(whole)
        .max(limit::OPEN_GROWTH_LEAST_BYTES);
    let ran_out = report
        .findings
        .iter()
        .any(|found| found.kind == FindingKind::OutOfMemory);
    let mut found = Vec::new();
    for grown in all.iter().filter(|grown| grown.allocated.min(grown.last) >= least) {
        let answer = rows.process(grown.process);
        let watched = evidence.snapshots.iter().any(|snapshot| snapshot.process == answer.id);
        let stays = grown
            .rows
            .iter()
            .map(|row| row.amounts.end.bytes)
            .fold(0, u64::saturating_add)
            >= limit::OPEN_GROWTH_STAYS.of(grown.last);
        // Where there are snapshots, they told who holds it; or else native code does, and it frees it in the end.
        let is_open = match watched {
            true => !is_known(grown, known),
            false => stays && !answer.python_ended,
        };
        if !is_open || grown.seconds() < limit::OPEN_GROWTH_LEAST_SECONDS {
            continue;
        }
        let place = names::location(&names::line(&grown.at), report.run.cwd.as_deref());
        let title = format!(
            "What {place} allocates grew steadily to {} and was not freed while the program ran.",
            units::size(grown.last)
        );
        let severity = if ran_out { Severity::Medium } else { Severity::Low };
        let mut one = finding(FindingKind::GrowingHolder, severity, title, Some(grown.last), report);
        describe(&mut one, grown, rows, |row| row.amounts.end);
        one.evidence.push(format!("It grew {}.", grown.pace()));
        one.suggestion = Some(
            match watched {
                true => {
                    "Whether that is a leak or the program's data, the events do not tell, and no heap snapshot shows who \
                     holds it: often an object of native code, such as a connection, a message or a builder, which frees it \
                     when it goes. Make a new one from time to time, if that is so."
                }
                false => {
                    "Whether that is a leak or the program's data, and who holds it, the events do not tell: heap snapshots \
                     do. There is none of this process."
                }
            }
            .to_owned(),
        );
        found.push(one);
    }
    found.truncate(MOST);
    found
}

fn describe(found: &mut Finding, grown: &Grown<'_, '_>, rows: &Rows<'_>, amount: impl Fn(&Row<'_>) -> Amount) {
    let of_line = |row: &Row<'_>| match row.process == grown.process && row.user == grown.at {
        true => amount(row),
        false => Amount::default(),
    };
    found.pid = Some(rows.process(grown.process).id.pid);
    found.sites = rows.sites(By::Inner, SITES, of_line);
    found.user_sites = rows.sites(By::User, 1, of_line);
    found.count = found.user_sites.first().map(|site| site.blocks);
}
