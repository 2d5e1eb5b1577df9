//! Joins the timeline with the report: memory over time, and what the supervisor did not live to write elsewhere.

use std::collections::BTreeMap;

use deadweight_analysis::timeline::Timeline;

use super::regions;
use crate::model::{LimitView, MarkView, PointView, Process, ProcessPoint, Report, SpanView, TimelineView};
use crate::words::{names, units};

/// Smaller processes that only the timeline knows are left out, as the supervisor does it.
const SMALL: u64 = 8 << 20;
/// A run whose end nobody saw and whose memory was above this share of its limit most likely ran out of memory.
const NEARLY: f64 = 0.95;

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

/// The timeline as the report has it.
fn view_of(timeline: &Timeline) -> TimelineView {
    let point = |point: &deadweight_analysis::timeline::Point| {
        let pss: BTreeMap<u32, u64> = point.pss.iter().copied().collect();
        let uss: BTreeMap<u32, u64> = point.uss.iter().copied().collect();
        let process = |&(number, rss_bytes): &(u32, u64)| ProcessPoint {
            number,
            rss_bytes,
            pss_bytes: pss.get(&number).copied(),
            uss_bytes: uss.get(&number).copied(),
        };
        PointView {
            seconds: seconds(point.ms),
            rss_bytes: point.total,
            group_bytes: point.group,
            processes: point.rss.iter().map(process).collect(),
        }
    };
    let limits = timeline.limits.iter().map(|limit| LimitView {
        seconds: seconds(limit.ms),
        bytes: limit.bytes,
        kind: names::clean(&limit.of).into_owned(),
    });
    let marks = timeline.marks.iter().map(|mark| MarkView {
        seconds: seconds(mark.ms),
        pid: mark.pid,
        what: names::clean(&mark.what).into_owned(),
        name: None,
        until_seconds: None,
    });
    let processes = timeline.processes.values().map(|process| SpanView {
        number: process.number,
        pid: process.pid,
        argv: process.argv.clone(),
        first_seconds: seconds(process.ms),
        ended_seconds: process.ended_ms.map(seconds),
        peak_rss_bytes: process.peak,
    });
    TimelineView {
        points: timeline.points.iter().map(point).collect(),
        limits: limits.collect(),
        marks: marks.collect(),
        processes: processes.collect(),
    }
}

impl Report {
    /// Adds the timeline, and from it what the supervisor did not live to write elsewhere.
    pub fn add_timeline(&mut self, timeline: &Timeline) {
        let mut view = view_of(timeline);
        view.marks.extend(regions::marks(&self.regions));
        view.marks.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        if self.peak.rss_bytes.is_none()
            && let Some(peak) = timeline.peak()
        {
            self.peak.rss_bytes = Some(peak.total);
            self.peak.rss_seconds = Some(seconds(peak.ms));
        }
        let end = view.end();
        if self.run.seconds.is_none_or(|seconds| seconds < end) && !view.points.is_empty() {
            self.run.seconds = Some(end);
        }
        for process in timeline.processes.values() {
            match self.processes.iter_mut().find(|known| known.pid == process.pid) {
                Some(known) => {
                    known.peak_rss_bytes = known.peak_rss_bytes.max(Some(process.peak));
                    if known.argv.is_empty() {
                        known.argv.clone_from(&process.argv);
                    }
                }
                None if process.peak >= SMALL => self.processes.push(Process {
                    parent: Some(process.parent).filter(|parent| *parent > 0),
                    argv: process.argv.clone(),
                    peak_rss_bytes: Some(process.peak),
                    exit: process.exit.clone().unwrap_or_default(),
                    first_seconds: Some(seconds(process.ms)),
                    ended_seconds: process.ended_ms.map(seconds),
                    ..Process::of(process.pid)
                }),
                None => {}
            }
        }
        if let Some(warning) = self.nearly_full(&view) {
            self.warnings.push(warning);
        }
        if timeline.damaged_lines > 0 {
            let lines = units::count(timeline.damaged_lines, "line", "lines");
            self.warnings
                .push(format!("{lines} of the timeline could not be read: it has gaps."));
        }
        self.timeline = Some(view);
    }

    /// Where the supervisor was killed with the program (a group may be killed as a whole), the last points are all
    /// there is.
    fn nearly_full(&self, view: &TimelineView) -> Option<String> {
        let (last, limit) = (view.points.last()?, view.group_limit()?);
        let used = last.rss_bytes.max(last.group_bytes.unwrap_or(0));
        let is_full = used as f64 >= NEARLY * limit as f64;
        (!self.end_was_seen && is_full).then(|| {
            format!(
                "The last that was seen is {} of memory in use, of a limit of {}: probably the kernel killed the program \
                 and deadweight with it, because memory ran out.",
                units::size(used),
                units::size(limit)
            )
        })
    }
}
