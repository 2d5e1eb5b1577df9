//! What of each poll is worth a record in the timeline.

use std::path::Path;
use std::time::Duration;

use deadweight_capture::timeline::{LimitChange, Mark, Point, Timeline, TimelineProcess, TimelineWriter};

use crate::supervise::memory_limits::Limit;

/// Changes below 0.2 % are not recorded at once.
const SMALL_PART: u64 = 500;
/// Nor are changes below this, bytes.
const SMALL: u64 = 64 << 10;
/// But at least so often there is a point, milliseconds.
const LONGEST_GAP: u64 = 1000;

/// Writes the timeline of a run.
#[derive(Debug)]
pub struct Recorder {
    writer: TimelineWriter,
    written: Option<Point>,
    /// A poll like the one before it, to be written when the next one differs.
    held: Option<Point>,
    limit: Option<Option<u64>>,
    peak: u64,
}

impl Recorder {
    /// Begins the timeline of a capture.
    pub fn begin(folder: &Path) -> Recorder {
        Recorder {
            writer: TimelineWriter::begin(folder),
            written: None,
            held: None,
            limit: None,
            peak: 0,
        }
    }

    /// A process appeared, changed or ended.
    pub fn process(&mut self, process: TimelineProcess) {
        self.writer.process(process);
    }

    /// The limit now.
    pub fn limit(&mut self, now: Duration, limit: &Limit) {
        if self.limit != Some(limit.bytes) {
            self.limit = Some(limit.bytes);
            self.writer.limit(LimitChange {
                ms: now.as_millis() as u64,
                bytes: limit.bytes,
                of: limit.of.word().to_owned(),
            });
        }
    }

    /// Something happened.
    pub fn mark(&mut self, now: Duration, pid: u32, what: &str) {
        self.writer.mark(Mark {
            ms: now.as_millis() as u64,
            pid,
            what: what.to_owned(),
        });
    }

    /// Memory now.
    pub fn point(&mut self, point: Point) {
        let is_peak = point.total > self.peak;
        self.peak = self.peak.max(point.total);
        if !is_peak && self.written.as_ref().is_some_and(|written| is_alike(written, &point)) {
            self.held = Some(point);
            return;
        }
        self.finish();
        self.writer.point(point.clone());
        self.written = Some(point);
    }

    /// Writes what was held back.
    pub fn finish(&mut self) {
        if let Some(held) = self.held.take() {
            self.writer.point(held);
        }
    }

    /// The timeline so far.
    pub fn timeline(&self) -> &Timeline {
        self.writer.timeline()
    }

    /// Why it could not be written, if so.
    pub fn unwritten(&self) -> Option<String> {
        self.writer.failed().map(ToString::to_string)
    }
}

fn is_alike(written: &Point, point: &Point) -> bool {
    let small = |bytes: u64| SMALL.max(bytes / SMALL_PART);
    let near = |old: u64, new: u64| old.abs_diff(new) <= small(old);
    let same_processes = written.rss.len() == point.rss.len()
        && written
            .rss
            .iter()
            .zip(&point.rss)
            .all(|(old, new)| old.0 == new.0 && near(old.1, new.1));
    same_processes && near(written.total, point.total) && point.ms.saturating_sub(written.ms) < LONGEST_GAP
}
