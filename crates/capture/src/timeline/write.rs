//! Writes a timeline that stays small however long the run lasts.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{FILE, LimitChange, Mark, Point, Record, Timeline, TimelineProcess, VERSION};

/// At this number of points, the older ones are thinned out.
const MOST_POINTS: usize = 4096;
/// Number of newest points that are never thinned out: they show the last minute before the end.
const NEWEST: usize = 1024;
/// Most points after thinning out.
const AFTERWARDS: usize = 3072;
/// Most processes of one point: the largest ones.
const IN_A_POINT: usize = 32;
/// Most processes, marks and limits that are kept.
const MOST_PROCESSES: usize = 1000;
const MOST_MARKS: usize = 1000;
const MOST_LIMITS: usize = 1000;
/// Longest command line, in characters.
const LONGEST_ARGV: usize = 400;

/// Writes a timeline and keeps it in memory, both bounded: at most a few MiB.
///
/// Each record is appended with one write. When there are too many points, of neighbouring older points only the
/// highest stays, and the file is replaced by renaming. So the highest total is never lost; each process's own peak is
/// in its record.
#[derive(Debug)]
pub struct TimelineWriter {
    path: PathBuf,
    file: Option<File>,
    timeline: Timeline,
    /// Milliseconds that a thinned point stands for.
    span: u64,
    /// Records appended since the file was last rewritten.
    appended: usize,
    failed: Option<io::Error>,
}

impl TimelineWriter {
    /// Begins the timeline of a capture. A folder that cannot be written is not an error: see [`TimelineWriter::failed`].
    pub fn begin(folder: &Path) -> TimelineWriter {
        let mut writer = TimelineWriter {
            path: folder.join(FILE),
            file: None,
            timeline: Timeline::default(),
            span: 1,
            appended: 0,
            failed: None,
        };
        writer.rewrite();
        writer
    }

    /// What has been written so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Why the file could not be written, if it could not. Writing is tried again each time points are thinned out.
    pub fn failed(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    /// A process appeared, or changed.
    pub fn process(&mut self, mut process: TimelineProcess) {
        let mut left = LONGEST_ARGV;
        for word in &mut process.argv {
            *word = word.chars().take(left).collect();
            left -= word.chars().count();
        }
        process.argv.retain(|word| !word.is_empty());
        self.write(Record::Process(process));
        self.keep_small();
    }

    /// The limit is another one from now on.
    pub fn limit(&mut self, limit: LimitChange) {
        self.write(Record::Limit(limit));
        self.keep_small();
    }

    /// Something happened.
    pub fn mark(&mut self, mark: Mark) {
        self.write(Record::Mark(mark));
        self.keep_small();
    }

    /// Memory now. Points come in the order of time.
    pub fn point(&mut self, mut point: Point) {
        for list in [&mut point.rss, &mut point.pss, &mut point.uss] {
            list.sort_by_key(|&(number, bytes)| (std::cmp::Reverse(bytes), number));
            list.truncate(IN_A_POINT);
        }
        self.write(Record::Point(point));
        self.keep_small();
    }

    fn write(&mut self, record: Record) {
        if let Some(file) = &mut self.file
            && let Err(error) = append(file, &record)
        {
            // The file may end with an incomplete line now: nothing may follow it.
            (self.file, self.failed) = (None, Some(error));
        }
        self.timeline.add(record);
        self.appended += 1;
    }

    fn keep_small(&mut self) {
        let timeline = &mut self.timeline;
        if timeline.points.len() < MOST_POINTS && self.appended < 2 * MOST_POINTS {
            return;
        }
        if timeline.points.len() >= MOST_POINTS {
            self.span = thin(&mut timeline.points, self.span);
        }
        if timeline.processes.len() > MOST_PROCESSES {
            forget_small(timeline);
        }
        let old_marks = timeline.marks.len().saturating_sub(MOST_MARKS);
        timeline.marks.drain(..old_marks);
        let old_limits = timeline.limits.len().saturating_sub(MOST_LIMITS);
        timeline.limits.drain(..old_limits);
        self.rewrite();
    }

    fn rewrite(&mut self) {
        self.appended = 0;
        let part = self.path.with_extension("jsonl.part");
        match write_whole(&part, &self.timeline).and_then(|()| std::fs::rename(&part, &self.path)) {
            Ok(()) => {
                let opened = OpenOptions::new().append(true).open(&self.path);
                (self.file, self.failed) = match opened {
                    Ok(file) => (Some(file), None),
                    Err(error) => (None, Some(error)),
                };
            }
            Err(error) => {
                let _ = std::fs::remove_file(&part); // the file with the real name is still good
                self.failed = Some(error);
            }
        }
    }
}

fn append(file: &mut impl Write, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write_all(&line)
}

fn write_whole(path: &Path, timeline: &Timeline) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    append(&mut file, &Record::Timeline { version: VERSION })?;
    for process in timeline.processes.values() {
        append(&mut file, &Record::Process(process.clone()))?;
    }
    for limit in &timeline.limits {
        append(&mut file, &Record::Limit(limit.clone()))?;
    }
    for mark in &timeline.marks {
        append(&mut file, &Record::Mark(mark.clone()))?;
    }
    for point in &timeline.points {
        append(&mut file, &Record::Point(point.clone()))?;
    }
    file.flush()
}

/// Merges older neighbours until there are few enough points; the highest of each span stays. Returns the span in
/// milliseconds.
fn thin(points: &mut Vec<Point>, mut span: u64) -> u64 {
    let newest = points.split_off(points.len().saturating_sub(NEWEST));
    loop {
        let mut kept: Vec<Point> = Vec::with_capacity(AFTERWARDS);
        for point in points.drain(..) {
            match kept.last_mut() {
                Some(last) if last.ms / span == point.ms / span => {
                    if point.total > last.total {
                        *last = point;
                    }
                }
                _ => kept.push(point),
            }
        }
        *points = kept;
        if points.len() + newest.len() <= AFTERWARDS {
            break;
        }
        span = span.saturating_mul(2);
    }
    points.extend(newest);
    span
}

/// Drops the smallest processes that have ended.
fn forget_small(timeline: &mut Timeline) {
    let ended = timeline.processes.values().filter(|process| process.ended_ms.is_some());
    let mut ended: Vec<(u64, u32)> = ended.map(|process| (process.peak, process.number)).collect();
    ended.sort_unstable();
    let too_many = timeline.processes.len().saturating_sub(MOST_PROCESSES / 2);
    let forgotten: BTreeSet<u32> = ended.into_iter().take(too_many).map(|(_, number)| number).collect();
    timeline.processes.retain(|number, _| !forgotten.contains(number));
    for point in &mut timeline.points {
        for list in [&mut point.rss, &mut point.pss, &mut point.uss] {
            list.retain(|(number, _)| !forgotten.contains(number));
        }
    }
}
