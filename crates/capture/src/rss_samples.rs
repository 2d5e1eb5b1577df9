//! `looks.jsonl`: RSS samples. Each says what the resident memory of a run's processes consisted of at one time, as the
//! supervisor read it from `/proc/PID/smaps` and `/proc/PID/pagemap`.
//!
//! One sample per line, each appended with one write, so the file is readable whenever its writer is killed. From time
//! to time it is replaced by a shorter one: of a long run, samples spread over the whole time are kept, and always the
//! highest and the newest one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name in a capture.
pub const FILE: &str = "looks.jsonl";

/// What an anonymous part of the address space is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaKind {
    /// The C library's main heap (`brk`).
    Heap,
    /// One of its other arenas, which threads get.
    MallocArena,
    /// Any other private anonymous memory: large blocks, pymalloc's arenas, mappings that the program made.
    Anonymous,
    /// A thread's stack.
    Stack,
    /// Memory of deadweight's agent.
    Deadweight,
}

/// A part of the address space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Area {
    /// What it is.
    pub kind: AreaKind,
    /// Its first address.
    pub start: u64,
    /// The address after its last byte.
    pub end: u64,
    /// Resident bytes.
    pub rss: u64,
    /// Resident bytes, with pages that n processes share counted as 1/n.
    pub pss: u64,
    /// Bytes of pages that no other process shares.
    pub uss: u64,
    /// If only some of its pages are resident: their number by unit, as pairs of a number of units and the number of
    /// resident pages in each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<(u32, u32)>,
    /// Bytes of a unit of `runs`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unit: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What mapped pages that are not anonymous belong to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A program or a library, with what it writes to its own data.
    Code,
    /// Any other file.
    Data,
    /// Shared memory: POSIX or System V shared memory, a memory file, a shared anonymous mapping.
    Shared,
    /// Deadweight's own: its library and the segments that it writes.
    Deadweight,
}

/// A file that is mapped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MappedFile {
    /// What it is.
    pub kind: FileKind,
    /// Its name; of the small ones, which are summed up, it is empty.
    pub path: String,
    /// Resident bytes.
    pub rss: u64,
    /// Resident bytes, with pages that n processes share counted as 1/n.
    pub pss: u64,
}

/// A process in an RSS sample.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ProcessRssSample {
    /// Process id.
    pub pid: u32,
    /// Its part of the tree's resident memory: the sum of its areas and files, by `pss` or by `rss`.
    pub counted: u64,
    /// Whether pages that it shares count in proportion (`pss`).
    pub proportional: bool,
    /// Anonymous memory, by address. If there are too many areas, the smallest ones are in `rest`.
    pub areas: Vec<Area>,
    /// Mapped files, by kind and name.
    pub files: Vec<MappedFile>,
    /// Resident bytes of which nothing more is known.
    pub rest: u64,
    /// Its parent, if it runs the same program with the same arguments: then it was forked, and has the parent's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<u32>,
}

/// An RSS sample of the process tree.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RssSample {
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub nanos: u64,
    /// Resident bytes of the process tree.
    pub total: u64,
    /// How long it took to read, in microseconds.
    pub cost_micros: u64,
    /// Nothing has changed since the sample before: `processes` are those of that sample, and absent in the file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unchanged: bool,
    /// A coarse sample, of totals only, at a maximum that left no time for a full one: resident anonymous memory, pages
    /// of files, shared memory, and the size of the C library's main heap. `processes` are those of the sample before,
    /// and absent in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<[u64; 4]>,
    /// The processes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessRssSample>,
}

impl RssSample {
    /// Whether this is a full sample, with its own `processes`.
    pub fn is_full(&self) -> bool {
        !self.unchanged && self.kinds.is_none()
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Reads all RSS samples of a capture, in the order of time. Lines that cannot be read are skipped.
pub fn read(folder: &Path) -> Vec<RssSample> {
    let text = std::fs::read(folder.join(FILE)).unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut samples: Vec<RssSample> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    samples.sort_by_key(|sample| sample.nanos);
    let mut last: Option<Vec<ProcessRssSample>> = None;
    samples.retain_mut(|sample| {
        if !sample.is_full() {
            sample.processes = last.clone().unwrap_or_default();
        } else {
            last = Some(sample.processes.clone());
        }
        last.is_some()
    });
    samples
}

/// Writes RSS samples.
#[derive(Debug)]
pub struct RssSampleWriter {
    path: PathBuf,
    kept: Vec<RssSample>,
}

/// With more samples than this, half of them are dropped.
const MOST_SAMPLES: usize = 48;

impl RssSampleWriter {
    /// A writer for the capture in `folder`; the first sample creates the file.
    pub fn new(folder: &Path) -> RssSampleWriter {
        RssSampleWriter {
            path: folder.join(FILE),
            kept: Vec::new(),
        }
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// If the file cannot be written; the next one may succeed.
    pub fn write(&mut self, sample: RssSample) -> io::Result<()> {
        self.kept.push(sample);
        if self.kept.len() > MOST_SAMPLES {
            self.thin_out();
            return self.replace();
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(&self.kept.last().map_or(Ok(Vec::new()), line)?)
    }

    /// Drops samples so that those left are spread over the time. The highest and the newest stay.
    fn thin_out(&mut self) {
        let highest = self
            .kept
            .iter()
            .max_by_key(|sample| sample.total)
            .map(|sample| sample.nanos);
        while self.kept.len() > MOST_SAMPLES / 2 {
            let nanos = |at: usize| self.kept.get(at).map_or(0, |sample| sample.nanos);
            // Drop the one that leaves the smallest gap.
            let gap = |at: &usize| nanos(at + 1).saturating_sub(at.checked_sub(1).map_or(0, nanos));
            let before_highest = |at: usize| Some(nanos(at + 1)) == highest;
            let may_go = (0..self.kept.len() - 1).filter(|&at| Some(nanos(at)) != highest && !before_highest(at));
            let Some(at) = may_go.min_by_key(gap) else { break };
            let gone = self.kept.remove(at);
            // If the next one is unchanged, it takes over the processes. If it is coarse, it is dropped instead.
            if gone.is_full() && self.kept.get(at).is_some_and(|next| !next.is_full()) {
                if let Some(next) = self.kept.get_mut(at).filter(|next| next.unchanged) {
                    (next.unchanged, next.processes) = (false, gone.processes);
                } else {
                    self.kept.insert(at, gone);
                    self.kept.remove(at + 1);
                }
            }
        }
    }

    fn replace(&self) -> io::Result<()> {
        let temporary = self.path.with_extension("jsonl.part");
        let mut file = File::create(&temporary)?;
        for sample in &self.kept {
            file.write_all(&line(sample)?)?;
        }
        std::fs::rename(&temporary, &self.path)
    }
}

fn line(sample: &RssSample) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(sample)?;
    line.push(b'\n');
    Ok(line)
}

impl Area {
    /// Resident bytes of a part of the area, by `rss`.
    pub fn resident(&self, start: u64, end: u64) -> u64 {
        let (start, end) = (start.max(self.start), end.min(self.end));
        if start >= end {
            return 0;
        }
        if self.runs.is_empty() || self.unit == 0 {
            let (length, part) = (self.end - self.start, end - start);
            return (u128::from(self.rss) * u128::from(part) / u128::from(length)) as u64;
        }
        let mut found = 0u64;
        let mut at = self.start;
        for &(units, pages) in &self.runs {
            let run_end = at.saturating_add(u64::from(units).saturating_mul(self.unit));
            let overlap = run_end.min(end).saturating_sub(at.max(start));
            if overlap > 0 {
                // In each unit, as many of the bytes as of its pages.
                let share = u128::from(overlap) * u128::from(pages) * u128::from(PAGE) / u128::from(self.unit);
                found = found.saturating_add((share as u64).min(overlap));
            }
            at = run_end;
            if at >= end {
                break;
            }
        }
        found
    }
}

/// Bytes that a page counts for in `runs`.
pub const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn area(rss: u64, runs: Vec<(u32, u32)>) -> Area {
        Area {
            kind: AreaKind::Anonymous,
            start: 0x10000,
            end: 0x50000,
            rss,
            pss: rss,
            uss: rss,
            runs,
            unit: 0x10000,
        }
    }

    #[test]
    fn parts_of_an_area_are_as_resident_as_their_units() {
        // Units: full, half, half, empty.
        let area = area(0x20000, vec![(1, 16), (2, 8), (1, 0)]);
        assert_eq!(area.resident(0x10000, 0x50000), 0x20000);
        assert_eq!(area.resident(0x10000, 0x20000), 0x10000);
        assert_eq!(area.resident(0x18000, 0x28000), 0x8000 + 0x4000);
        assert_eq!(area.resident(0x40000, 0x90000), 0);
        assert_eq!(area.resident(0, 0x10000), 0);
    }

    #[test]
    fn without_units_residency_is_spread_evenly() {
        assert_eq!(area(0x20000, Vec::new()).resident(0x10000, 0x30000), 0x10000);
    }

    #[test]
    fn many_samples_are_thinned_out_and_the_highest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RssSampleWriter::new(folder.path());
        for step in 0..1000u64 {
            let total = if step == 333 { 9000 } else { step };
            writer
                .write(RssSample {
                    nanos: step * 100 + 1,
                    total,
                    unchanged: step % 10 != 0,
                    processes: Vec::from_iter((step % 10 == 0).then(|| ProcessRssSample {
                        pid: step as u32 / 10,
                        ..ProcessRssSample::default()
                    })),
                    ..RssSample::default()
                })
                .unwrap();
        }
        let samples = read(folder.path());
        assert!(
            samples.len() <= MOST_SAMPLES && samples.len() >= MOST_SAMPLES / 2,
            "{}",
            samples.len()
        );
        assert!(samples.iter().any(|sample| sample.total == 9000));
        assert_eq!(samples.last().map(|sample| sample.nanos), Some(99_901));
        // What has not changed is what it was last.
        assert!(
            samples
                .iter()
                .all(|sample| u64::from(sample.processes[0].pid) == sample.nanos / 1000)
        );
        // They cover the whole time.
        assert!(samples.iter().any(|sample| sample.nanos < 30_000));
        assert!(samples.windows(2).all(|pair| pair[1].nanos - pair[0].nanos < 30_000));
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RssSampleWriter::new(folder.path());
        writer
            .write(RssSample {
                nanos: 5,
                ..RssSample::default()
            })
            .unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.path().join(FILE)).unwrap();
        file.write_all(b"{\"nanos\": 6, \"tot").unwrap();
        assert_eq!(read(folder.path()).len(), 1);
    }
}
