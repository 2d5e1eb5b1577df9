//! `peak_spike`: memory that was live at the peak and is gone after it.
//!
//! A line's spike is what it had live at the peak, less the least that it had at any sample after the peak and at the
//! end. It is told from [`limit::SPIKE_LEAST_OF_PEAK`] on. A healthy program has spikes too: its data has to be somewhere.
//! So it is only good to know, unless the table of calls (`data/calls.toml`) knows that an option of the same library
//! avoids it, and it is at least [`limit::SPIKE_AVOIDABLE_OF_PEAK`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use deadweight_analysis::{Amount, FrameName};

use crate::attribution::rows::{By, Row, Rows};
use crate::findings::finding::finding;
use crate::findings::thresholds::{self as limit, Share};
use crate::knowledge::calls::{self, Call};
use crate::knowledge::installed::Lookup;
use crate::model::{Finding, FindingKind, Line, Report, Severity};
use crate::words::{names, units};

mod copies;

/// Of one line, and of many lines.
const SITES: usize = 5;
/// Lines that are told.
const MOST: usize = 3;

/// What helps against copies.
const COPIES: &str = "Each step keeps its input while it makes its output: drop the input first (`del`, or give the \
                      result the same name), change it in place, or work on parts.";
/// What helps in general.
const ANYTHING: &str = "If not all of it is needed at once, work in smaller pieces, or drop what is done with earlier.";

/// Drops spikes that are only good to know where a graver finding already says why that line's memory was there: who drops the
/// garbage needs no advice on how to allocate less of it.
pub(super) fn drop_explained(findings: &mut Vec<Finding>) {
    use FindingKind::{CyclicGarbage, GrowingHolder, NativeLeak, Uncollectable};
    let is_cause = |found: &&Finding| {
        let says_why = matches!(found.kind, CyclicGarbage | Uncollectable | GrowingHolder | NativeLeak);
        says_why && found.severity < Severity::Low
    };
    let place = |found: &Finding| {
        let site = found.user_sites.first()?;
        Some((site.at.file.clone(), site.at.line, found.bytes?))
    };
    let causes: Vec<_> = findings.iter().filter(is_cause).filter_map(place).collect();
    findings.retain(|found| {
        let is_explained = |(file, line, spike): (String, Option<u32>, u64)| {
            let same = causes.iter().filter(|cause| (&cause.0, cause.1) == (&file, line));
            same.map(|cause| cause.2).fold(0, u64::saturating_add) >= limit::SPIKE_EXPLAINED.of(spike)
        };
        found.kind != FindingKind::PeakSpike
            || found.severity != Severity::Low
            || !place(found).is_some_and(is_explained)
    });
}

/// The rows of one line of the user's.
struct Group<'r, 'a> {
    at: FrameName<'a>,
    rows: Vec<&'r Row<'a>>,
}

/// How a group went on after the peak.
#[derive(Clone, Copy, Debug, Default)]
struct SpikeProfile {
    peak: u64,
    /// What went after the peak.
    spike: u64,
    /// Until half of it had gone; `None` if that was when the process ended.
    lingered: Option<f64>,
    /// How long at least half of the peak was live, in seconds.
    held: f64,
}

fn groups<'r, 'a>(rows: &'r Rows<'a>) -> Vec<Group<'r, 'a>> {
    let mut by_line: BTreeMap<(&str, u32, &str), Group<'r, 'a>> = BTreeMap::new();
    for row in rows.list.iter().filter(|row| row.amounts.peak.bytes > 0) {
        let at = row.user;
        let group = by_line
            .entry((at.file, at.line, at.function))
            .or_insert_with(|| Group { at, rows: Vec::new() });
        group.rows.push(row);
    }
    by_line.into_values().collect()
}

fn sum(rows: &[&Row<'_>], amount: impl Fn(&Row<'_>) -> u64) -> u64 {
    rows.iter().map(|row| amount(row)).fold(0, u64::saturating_add)
}

/// The sum over the processes; the times are those of the one that has most.
fn profile(rows: &Rows<'_>, of: &[&Row<'_>], peak_nanos: u64) -> SpikeProfile {
    let mut by_process: BTreeMap<usize, Vec<&Row<'_>>> = BTreeMap::new();
    for row in of {
        by_process.entry(row.process).or_default().push(row);
    }
    let parts = by_process.into_iter();
    let profiles = parts.map(|(process, of)| profile_in(rows, process, &of, peak_nanos));
    profiles.reduce(add).unwrap_or_default()
}

fn add(a: SpikeProfile, b: SpikeProfile) -> SpikeProfile {
    let most = if b.spike > a.spike { b } else { a };
    SpikeProfile {
        peak: a.peak.saturating_add(b.peak),
        spike: a.spike.saturating_add(b.spike),
        ..most
    }
}

fn profile_in(rows: &Rows<'_>, process: usize, of: &[&Row<'_>], peak_nanos: u64) -> SpikeProfile {
    let answer = rows.process(process);
    let stacks: HashSet<u32> = of.iter().map(|row| row.stack as u32).collect();
    let level = answer.history.series(|stack| stacks.contains(&stack.0));
    let peak = sum(of, |row| row.amounts.peak.bytes);
    let end = sum(of, |row| row.amounts.end.bytes);
    let after = |sample: &usize| answer.history.nanos(*sample) > peak_nanos;
    let later = || (0..level.len()).filter(after);
    let lowest = later().map(|sample| level[sample]).min().unwrap_or(end).min(end);
    let spike = peak.saturating_sub(lowest);
    let fallen = later().find(|&sample| level[sample] <= peak - spike / 2);
    let width = answer.history.width_nanos as f64 / 1e9;
    let high = level.iter().filter(|&&level| level >= peak / 2).count();
    SpikeProfile {
        peak,
        spike,
        lingered: fallen.map(|sample| answer.history.nanos(sample).saturating_sub(peak_nanos) as f64 / 1e9),
        held: high as f64 * width,
    }
}

/// Frames that contain most of what the rows had at the peak: from just inside the user's line to the deepest one.
fn inside<'a>(rows: &Rows<'a>, of: &[&Row<'a>], depth: impl Fn(&Row<'a>) -> usize) -> Vec<FrameName<'a>> {
    let mut left: Vec<(Vec<FrameName<'a>>, u64)> = of
        .iter()
        .map(|row| {
            let mut frames = rows.frames(row);
            frames.truncate(depth(row));
            frames.reverse();
            (frames, row.amounts.peak.bytes)
        })
        .collect();
    let whole = left.iter().map(|(_, bytes)| *bytes).fold(0u64, u64::saturating_add);
    let mut path = Vec::new();
    loop {
        let at = path.len();
        let mut by_function: BTreeMap<(&str, &str), (u64, FrameName<'a>)> = BTreeMap::new();
        for (frames, bytes) in &left {
            if let Some(frame) = frames.get(at) {
                let part = by_function.entry((frame.file, frame.function)).or_insert((0, *frame));
                part.0 = part.0.saturating_add(*bytes);
            }
        }
        let best = by_function.into_values().max_by_key(|(bytes, _)| *bytes);
        let Some((_, frame)) = best.filter(|(bytes, _)| *bytes >= limit::SPIKE_CONTAINED_IN_CALL.of(whole)) else {
            return path;
        };
        left.retain(|(frames, _)| {
            frames
                .get(at)
                .is_some_and(|it| (it.file, it.function) == (frame.file, frame.function))
        });
        path.push(frame);
    }
}

/// `freed 2.41 s later`, `kept until the program ended`.
fn fate(profile: &SpikeProfile) -> String {
    match profile.lingered {
        Some(seconds) => format!("freed {} later", units::duration(seconds)),
        None => "kept until the program ended".to_owned(),
    }
}

/// All spikes, the largest first.
pub(crate) fn find(rows: &Rows<'_>, peak_nanos: u64, lookup: &Lookup, report: &Report) -> Vec<Finding> {
    let Some(whole) = report.peak.rss_bytes.or(report.peak.heap_bytes) else {
        return Vec::new();
    };
    let least = |share: Share| share.of(whole).max(limit::SPIKE_LEAST_BYTES);
    let groups = groups(rows);
    let mut large: Vec<(&Group<'_, '_>, SpikeProfile)> = groups
        .iter()
        .filter(|group| sum(&group.rows, |row| row.amounts.peak.bytes) >= least(limit::SPIKE_LEAST_OF_PEAK))
        .map(|group| (group, profile(rows, &group.rows, peak_nanos)))
        .filter(|(_, profile)| profile.spike >= least(limit::SPIKE_LEAST_OF_PEAK))
        .collect();
    large.sort_by_key(|(_, profile)| Reverse(profile.spike));
    large.truncate(MOST);
    if large.is_empty() {
        return spread(
            rows,
            peak_nanos,
            least(limit::SPIKE_OF_MANY_LINES_LEAST_OF_PEAK),
            report,
        )
        .into_iter()
        .collect();
    }
    let told = large
        .iter()
        .map(|(group, profile)| of_line(rows, group, profile, lookup, report));
    told.collect()
}

/// The spike of one line.
fn of_line(
    rows: &Rows<'_>,
    group: &Group<'_, '_>,
    profile: &SpikeProfile,
    lookup: &Lookup,
    report: &Report,
) -> Finding {
    let cwd = report.run.cwd.as_deref();
    let line = names::line(&group.at);
    let path = inside(rows, &group.rows, |row| row.user_depth());
    let frames: Vec<Line> = path.iter().map(names::line).chain([line.clone()]).collect();
    let source = lookup.source(group.at.file, group.at.line);
    let call = calls::find(&frames, source.as_deref());
    let copies = copies::find(rows, &group.rows, profile.spike, cwd);

    let (size, place, fate) = (units::size(profile.spike), names::location(&line, cwd), fate(profile));
    let mut title = format!("{size} of the peak came from {place} and was {fate}");
    match call {
        Some(Call { name, needs, .. }) => title.push_str(&format!(": {name} needs {needs}.")),
        None => title.push('.'),
    }
    let mut found = finding(
        FindingKind::PeakSpike,
        Severity::Low,
        title,
        Some(profile.spike),
        report,
    );
    let whole = report.peak.rss_bytes.or(report.peak.heap_bytes).unwrap_or(0);
    if call.is_some_and(|call| call.avoidable) && profile.spike >= limit::SPIKE_AVOIDABLE_OF_PEAK.of(whole) {
        found.severity = Severity::Medium;
    }
    let of_group = |row: &Row<'_>| match row.user == group.at {
        true => row.amounts.peak,
        false => Amount::default(),
    };
    found.pid = rows.heaviest_pid(of_group);
    found.sites = rows.sites(By::Inner, SITES, of_group);
    found.user_sites = rows.sites(By::User, 1, of_group);
    found.count = found.user_sites.first().map(|site| site.blocks);
    found.lingered_seconds = profile.lingered;
    if let Some(source) = source {
        found.evidence.push(format!("{place} is `{source}`."));
    }
    if let Some(deepest) = path.last() {
        let at = names::line(deepest);
        let file = names::short_path(&at.file, cwd);
        found.evidence.push(format!(
            "Most of it was allocated in {} ({file}), which that line calls.",
            at.function
        ));
    }
    found.evidence.extend(held(profile));
    let same_size = copies.is_some();
    found.evidence.extend(copies);
    found.suggestion = Some(match call {
        Some(call) => call.advice.clone(),
        None if same_size => COPIES.to_owned(),
        None => ANYTHING.to_owned(),
    });
    found
}

/// How high it was, and for how long, if it was sampled.
fn held(profile: &SpikeProfile) -> Option<String> {
    (profile.held > 0.0).then(|| {
        let (peak, held) = (units::size(profile.peak), units::duration(profile.held));
        format!("It had {peak} at the peak, and at least half of that for {held} in all.")
    })
}

/// A spike that no line has alone: the innermost call that contains it.
fn spread(rows: &Rows<'_>, peak_nanos: u64, least: u64, report: &Report) -> Option<Finding> {
    let cwd = report.run.cwd.as_deref();
    let mut best: Option<(usize, SpikeProfile)> = None;
    for process in 0..rows.processes() {
        let all: Vec<&Row<'_>> = rows.list.iter().filter(|row| row.process == process).collect();
        let profile = profile_in(rows, process, &all, peak_nanos);
        if profile.spike >= least && best.is_none_or(|(_, best)| profile.spike > best.spike) {
            best = Some((process, profile));
        }
    }
    let (process, profile) = best?;
    let all: Vec<&Row<'_>> = rows.list.iter().filter(|row| row.process == process).collect();
    let path = inside(rows, &all, |row| rows.frames(row).len());
    let call = path.iter().rfind(|frame| names::has_file(frame))?;
    let place = names::location(&names::line(call), cwd);
    let title = format!(
        "{} of the peak was made by many lines below {} ({place}) and was {}.",
        units::size(profile.spike),
        names::clean(call.function),
        fate(&profile)
    );
    let mut found = finding(
        FindingKind::PeakSpike,
        Severity::Low,
        title,
        Some(profile.spike),
        report,
    );
    let of_process = |row: &Row<'_>| match row.process == process {
        true => row.amounts.peak,
        false => Amount::default(),
    };
    found.pid = Some(rows.process(process).id.pid);
    found.sites = rows.sites(By::Inner, SITES, of_process);
    found.user_sites = rows.sites(By::User, SITES, of_process);
    found.lingered_seconds = profile.lingered;
    found.evidence.extend(held(&profile));
    let copies = copies::find(rows, &all, profile.spike, cwd);
    let advice = if copies.is_some() { COPIES } else { ANYTHING };
    found.evidence.extend(copies);
    found.suggestion = Some(advice.to_owned());
    Some(found)
}
