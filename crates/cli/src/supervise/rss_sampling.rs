//! When to take an RSS sample: at each new maximum, and at intervals, within a share of the time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::linux::procfs;
use crate::linux::smaps;
use crate::linux::smaps::{Deadline, now_nanos, spent_by_us};
use crate::supervise::rss_sample;
use deadweight_capture::rss_samples::{FileKind, ProcessRssSample, RssSample, RssSampleWriter};

/// RSS samples may take 1/100 of the time that has passed. It is processor time of the sampling thread, during which it may
/// hold up an `mmap` of the program.
const SHARE: u32 = 100;
/// May be spent in advance, so that short programs have samples.
const ADVANCE: Duration = Duration::from_millis(150);
/// Resident memory below which no sample is taken, bytes.
const SMALLEST: u64 = 16 << 20;
/// A new maximum is sampled when it exceeds the highest sample by 4 %, or by nine times the share of the remaining budget
/// that a sample takes, whichever is more.
const GROWTH_PERCENT: u128 = 4;
const GROWTH_PERCENT_OF_BUDGET: u128 = 900;
/// And by no less than this, bytes.
const GROWTH_LEAST: u64 = 8 << 20;
/// A maximum that has not been exceeded for 3 polls is sampled when it is 0.5 % higher than the highest sample.
const SETTLED_POLLS: u32 = 3;
const SETTLED_GROWTH: u64 = 200;
/// Time between two other samples: at least 250 ms, and 1/40 of the run.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_PART: u32 = 40;
/// A sample that is due because time has passed needs budget for 3 of its kind; for 8 if the last one was taken within the
/// last quarter of that time. So each part of the run has some, however fast memory rises.
const RESERVE: u32 = 3;
const RESERVE_OFTEN: u32 = 8;
const APART_PART: u32 = 4;
/// Tenths of the budget that are for new maxima.
const FOR_PEAKS: u32 = 6;
/// A process is unchanged if its resident memory differs by less than 1 %.
const UNCHANGED: u64 = 100;
/// Resident memory is news if it differs by 25 % from the last sample.
const NEWS_PART: u64 = 4;
/// Near its limit a program is not sampled: a process that is killed during a sample keeps its memory until the sample is
/// done, and the kernel then kills another one as well. 1/16 of the resident memory must be available, and twice what the
/// program will allocate meanwhile at its present rate.
pub const LIMIT_PART: u64 = 16;
const LIMIT_PACE: f64 = 2.0;
/// Bytes that the kernel scans in a second, at least.
const SCAN_BYTES_A_SECOND: f64 = 4e9;
/// Processes share much if they share 5 % of their memory.
const SHARED_PART: u64 = 20;
/// Several processes hold still if their resident memory changes by no more than 2 %.
const STILL_PART: u64 = 50;
/// Processes below this size, in bytes, get a coarse sample.
const LARGE: u64 = 4 << 20;
/// Processes that get a full sample, the largest ones.
const MOST_PROCESSES: usize = 128;

/// The two parts of the budget for samples.
const FOR_MAXIMA: usize = 0;
const FOR_OTHERS: usize = 1;

/// Takes RSS samples of the run's processes when they are worth their cost.
#[derive(Debug)]
pub struct RssSampler {
    capture: PathBuf,
    writer: RssSampleWriter,
    /// The processor time that this thread has used: what samples cost.
    used: fn() -> Duration,
    /// By samples of maxima, and by others.
    spent: [Duration; 2],
    /// What the last sample took, or would have taken at least, and the resident memory then.
    cost: Duration,
    cost_of: u64,
    last: Duration,
    /// The last sample: total, processes with their resident memory.
    before: Option<(u64, Vec<PolledProcess>)>,
    /// A totals-only sample of a maximum that there was no time for.
    totals: Option<RssSample>,
    /// Resident memory at the last poll, when that was, and how fast it grew, bytes a second.
    total: u64,
    polled: Duration,
    pace: f64,
    /// The highest total of a sample.
    highest: u64,
    /// The highest total that was seen, and for how many polls it has not been exceeded.
    seen: u64,
    settled: u32,
}

/// A process as the last poll saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolledProcess {
    pub pid: u32,
    /// Resident memory, bytes.
    pub resident: u64,
    /// Its parent, if it is a fork of it.
    pub copy_of: Option<u32>,
}

/// Why a sample is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// It may be the peak.
    Peak,
    /// It was the highest until now for some polls.
    Settled,
    /// It was some time ago.
    Time,
}

impl RssSampler {
    /// The samples go into the capture in this folder.
    pub fn new(capture: &Path) -> RssSampler {
        RssSampler {
            // As the kernel names it.
            capture: capture.canonicalize().unwrap_or_else(|_| capture.to_path_buf()),
            writer: RssSampleWriter::new(capture),
            used: spent_by_us,
            spent: [Duration::ZERO; 2],
            cost: Duration::ZERO,
            cost_of: 0,
            last: Duration::ZERO,
            before: None,
            totals: None,
            total: 0,
            polled: Duration::ZERO,
            pace: 0.0,
            highest: 0,
            seen: 0,
            settled: 0,
        }
    }

    /// To be called at each poll with the tree's resident memory and that of each process; `now` is since the start, and
    /// `available` tells what the program may still take before somebody is killed, bytes.
    pub fn poll(&mut self, now: Duration, total: u64, processes: &[PolledProcess], available: impl FnOnce() -> u64) {
        let all = now / SHARE + ADVANCE;
        let for_peaks = all / 10 * FOR_PEAKS;
        let [by_peaks, by_others] = self.spent;
        let (for_peaks, for_others) = (
            for_peaks.saturating_sub(by_peaks),
            (all - for_peaks).saturating_sub(by_others),
        );
        let is_new = total > self.seen;
        let is_steady = total.abs_diff(self.total) <= total / UNCHANGED;
        let passed = now.saturating_sub(self.polled).as_secs_f64().max(1e-3);
        self.pace = total.saturating_sub(self.total) as f64 / passed;
        (self.total, self.polled) = (total, now);
        let due = self.due(now, total, is_steady, for_peaks);
        let due = due.filter(|_| !self.is_near_limit(total, available()));
        if is_new {
            self.totals = totals_only(total, processes).or(self.totals.take());
        } else if due.is_some() {
            self.keep_totals();
        }
        let expected = self.expected(total);
        match due {
            Some(Due::Peak) if expected <= for_peaks => {
                let cost = self.sample(now, for_peaks, processes);
                self.spent[FOR_MAXIMA] += cost;
            }
            // What comes after a peak, however long it stays: nothing is known of it yet.
            Some(Due::Settled | Due::Time) if self.is_news(total) && expected <= for_peaks + for_others => {
                self.sample_with_all(now, FOR_MAXIMA, [for_peaks, for_others], processes);
            }
            // One more must be left, for what comes after.
            Some(Due::Settled) if expected * 2 <= for_peaks + for_others || expected <= for_peaks => {
                self.sample_with_all(now, FOR_MAXIMA, [for_peaks, for_others], processes);
            }
            Some(Due::Time) if !is_steady => {}
            Some(Due::Time) if self.is_unchanged(processes) => self.note_unchanged(now),
            // What comes may be a peak, and something comes after that: time for both stays, and for several more of these at
            // growing distances.
            Some(Due::Time) if expected * self.reserve(now) <= for_peaks + for_others => {
                self.sample_with_all(now, FOR_OTHERS, [for_peaks, for_others], processes);
            }
            _ => {}
        }
        if self.settled >= SETTLED_POLLS {
            self.keep_totals();
        }
    }

    /// For how many samples there must be budget before one that is only due because time has passed.
    fn reserve(&self, now: Duration) -> u32 {
        if now.saturating_sub(self.last) >= self.last / APART_PART {
            RESERVE
        } else {
            RESERVE_OFTEN
        }
    }

    /// What a sample of so much resident memory will take: the kernel counts page by page.
    fn expected(&self, total: u64) -> Duration {
        let growth = total.max(self.cost_of) as f64 / self.cost_of.max(1) as f64;
        match self.cost_of {
            0 => self.cost,
            _ => self.cost.mul_f64(growth),
        }
    }

    /// Whether the limit may be reached during a sample.
    fn is_near_limit(&self, total: u64, available: u64) -> bool {
        let seconds = self
            .expected(total)
            .as_secs_f64()
            .max(total as f64 / SCAN_BYTES_A_SECOND);
        available < total / LIMIT_PART + (self.pace * seconds * LIMIT_PACE) as u64
    }

    /// To be called at the end.
    pub fn finish(&mut self) {
        self.keep_totals();
    }

    /// Keeps the last maximum that there was no time for, if it is news.
    fn keep_totals(&mut self) {
        if let Some(totals) = self
            .totals
            .take()
            .filter(|totals| totals.total > self.highest && self.before.is_some())
        {
            let _ = self.writer.write(totals);
        }
    }

    fn due(&mut self, now: Duration, total: u64, is_steady: bool, left: Duration) -> Option<Due> {
        // What rises below a maximum that came and went is not settled: it would be looked at with each poll.
        self.settled = if total > self.seen || !is_steady {
            0
        } else {
            self.settled + 1
        };
        self.seen = self.seen.max(total);
        let share = self.expected(total).as_nanos() * GROWTH_PERCENT_OF_BUDGET / left.as_nanos().max(1);
        let growth = u128::from(self.highest) * share.max(GROWTH_PERCENT) / 100;
        let growth = u64::try_from(growth).unwrap_or(u64::MAX).max(GROWTH_LEAST);
        let above = |growth: u64| total > self.highest.saturating_add(growth);
        let settled = self.settled >= SETTLED_POLLS && above((self.highest / SETTLED_GROWTH).max(256 << 10));
        let pause = PAUSE.max(now / PAUSE_PART);
        if total < SMALLEST {
            None
        } else if settled {
            Some(Due::Settled)
        } else if above(growth) {
            Some(Due::Peak)
        } else {
            (now.saturating_sub(self.last) >= pause).then_some(Due::Time)
        }
    }

    fn is_unchanged(&self, processes: &[PolledProcess]) -> bool {
        let Some((_, before)) = &self.before else { return false };
        let same = |(one, other): (&PolledProcess, &PolledProcess)| {
            one.pid == other.pid && one.resident.abs_diff(other.resident) <= (one.resident / UNCHANGED).max(256 << 10)
        };
        before.len() == processes.len() && before.iter().zip(processes).all(same)
    }

    fn note_unchanged(&mut self, now: Duration) {
        self.last = now;
        if let Some((total, _)) = &self.before {
            let _ = self.writer.write(RssSample {
                nanos: now_nanos(),
                total: *total,
                unchanged: true,
                ..RssSample::default()
            });
        }
    }

    /// Whether this is what comes after the highest memory, and is much more or less than the last sample.
    fn is_news(&self, total: u64) -> bool {
        let before = self.before.as_ref().map_or(0, |(total, _)| *total);
        total < self.seen - self.seen / 50 && before.abs_diff(total) > total / NEWS_PART
    }

    /// Takes a sample with all the budget that is left, for maxima and for others: the part `first` is used up before the other one.
    fn sample_with_all(&mut self, now: Duration, first: usize, left: [Duration; 2], processes: &[PolledProcess]) {
        let cost = self.sample(now, left[FOR_MAXIMA] + left[FOR_OTHERS], processes);
        let of_first = cost.min(left[first]);
        self.spent[first] += of_first;
        self.spent[1 - first] += cost.saturating_sub(of_first);
    }

    /// Returns what it took.
    fn sample(&mut self, now: Duration, left: Duration, processes: &[PolledProcess]) -> Duration {
        let begin = (self.used)();
        let before = (now_nanos(), resident(processes));
        // If it takes longer it is given up, and the next attempt waits until there is time for it.
        let found = self.each(processes, &Deadline::after(left));
        let after = (now_nanos(), resident(processes));
        let cost = (self.used)().saturating_sub(begin);
        let seen: u64 = processes.iter().map(|process| process.resident).sum();
        (self.cost, self.cost_of) = (if found.is_some() { cost } else { cost * 2 }, seen);
        self.last = now;
        let Some(found) = found.filter(|found| held_still(processes) || !is_shared(found)) else {
            return cost;
        };
        let total = found.iter().map(|process| process.counted).sum();
        self.highest = self.highest.max(total);
        self.before = Some((total, processes.to_vec()));
        self.totals = None;
        // On a full disk there is no ledger; the report says so.
        let _ = self.writer.write(RssSample {
            nanos: when(total, before, after),
            total,
            cost_micros: cost.as_micros() as u64,
            processes: found,
            ..RssSample::default()
        });
        cost
    }

    fn each(&self, processes: &[PolledProcess], deadline: &Deadline) -> Option<Vec<ProcessRssSample>> {
        let mut largest: Vec<PolledProcess> = processes
            .iter()
            .copied()
            .filter(|process| process.resident > 0)
            .collect();
        largest.sort_by_key(|process| (std::cmp::Reverse(process.resident), process.pid));
        // As the tree counts: pages that large processes share are divided between them.
        let proportional = largest.iter().filter(|process| process.resident > LARGE).count() >= 2;
        let mut samples = Vec::with_capacity(largest.len());
        for (at, &PolledProcess { pid, resident, copy_of }) in largest.iter().enumerate() {
            let is_full = at == 0 || (resident > LARGE && at < MOST_PROCESSES);
            let found = if is_full {
                rss_sample::full(pid, proportional, &self.capture, deadline)
            } else {
                None
            };
            if found.is_none() && deadline.has_passed() {
                return None;
            }
            let coarse = || Some(rss_sample::coarse(pid, resident, procfs::resident_of_files(pid)?));
            samples.extend(
                found
                    .or_else(coarse)
                    .map(|sample| ProcessRssSample { copy_of, ..sample }),
            );
        }
        Some(samples)
    }
}

/// Resident memory of these processes now.
fn resident(processes: &[PolledProcess]) -> u64 {
    processes.iter().filter_map(|seen| procfs::resident(seen.pid)).sum()
}

/// When as much was resident as a sample found, if memory grew while it was taken: between two moments, each with what was
/// resident then.
fn when(total: u64, (begin, before): (u64, u64), (end, after): (u64, u64)) -> u64 {
    if after <= before {
        return begin;
    }
    let part = total.clamp(before, after) - before;
    let passed = u128::from(end.saturating_sub(begin)) * u128::from(part) / u128::from(after - before);
    begin.saturating_add(passed as u64)
}

/// Whether processes share much of their memory, as after a fork: programs and libraries aside, which are all there from the
/// start.
fn is_shared(found: &[ProcessRssSample]) -> bool {
    let of_areas =
        |one: &ProcessRssSample| -> u64 { one.areas.iter().map(|area| area.rss.saturating_sub(area.pss)).sum() };
    let of_files = |one: &ProcessRssSample| -> u64 {
        let shared = one.files.iter().filter(|file| file.kind == FileKind::Shared);
        shared.map(|file| file.rss.saturating_sub(file.pss)).sum()
    };
    let shared: u64 = found.iter().map(|one| of_areas(one) + of_files(one)).sum();
    shared > found.iter().map(|one| one.counted).sum::<u64>() / SHARED_PART
}

/// Whether several large processes are about as large as they were: they are sampled one after another, and a page that was
/// one's own and is shared a moment later would count for both.
fn held_still(processes: &[PolledProcess]) -> bool {
    let large = || processes.iter().filter(|process| process.resident > LARGE);
    let before: u64 = large().map(|process| process.resident).sum();
    let after: u64 = large().map(|seen| procfs::resident(seen.pid).unwrap_or(0)).sum();
    large().count() < 2 || before.abs_diff(after) <= before / STILL_PART
}

/// A totals-only sample: what can be told of a maximum at no cost, where one process is large.
fn totals_only(total: u64, processes: &[PolledProcess]) -> Option<RssSample> {
    let mut large = processes.iter().filter(|process| process.resident > LARGE);
    let (Some(&PolledProcess { pid, .. }), None) = (large.next(), large.next()) else {
        return None;
    };
    let [anonymous, files, shared] = procfs::resident_by_kind(pid)?;
    Some(RssSample {
        nanos: now_nanos(),
        total,
        kinds: Some([anonymous, files, shared, smaps::heap_bytes(pid)]),
        ..RssSample::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadweight_capture::rss_samples;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn seen(pid: u32, resident: u64) -> PolledProcess {
        PolledProcess {
            pid,
            resident,
            copy_of: None,
        }
    }

    /// Each reading is 20 ms later than the one before it.
    fn expensive() -> Duration {
        static READINGS: AtomicU32 = AtomicU32::new(0);
        Duration::from_millis(20) * READINGS.fetch_add(1, Ordering::Relaxed)
    }

    #[test]
    fn samples_stay_within_their_share_of_the_time_however_expensive_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut sampler = RssSampler::new(folder.path());
        sampler.used = expensive;
        let us = std::process::id();
        // Memory grows for 30 s, and is polled every 50 ms; it is always more than what a sample finds, so one is always due.
        for poll in 1..=600u32 {
            let (now, resident) = (Duration::from_millis(50) * poll, (8192 + u64::from(poll)) << 20);
            sampler.poll(now, resident, &[seen(us, resident)], || u64::MAX);
        }
        let samples = rss_samples::read(folder.path());
        let spent: u64 = samples.iter().map(|sample| sample.cost_micros).sum();
        let share = Duration::from_secs(30) / SHARE + ADVANCE;
        assert!(Duration::from_micros(spent) <= share, "{spent} of {share:?}");
        // Of its share, the samples of maxima may use six tenths: 13 samples of 20 ms, or fewer if one was given up.
        assert!((5..=13).contains(&samples.len()), "{}", samples.len());
        assert!(samples.iter().all(|sample| sample.total > 1 << 20));
    }

    #[test]
    fn a_new_maximum_is_sampled_and_an_old_one_is_not() {
        let mut sampler = RssSampler::new(Path::new("/nowhere"));
        let (now, left) = (Duration::from_secs(10), Duration::from_millis(200));
        (sampler.last, sampler.highest) = (now, 100 << 20);
        assert_eq!(sampler.due(now, 101 << 20, true, left), None);
        assert_eq!(sampler.due(now, 110 << 20, true, left), Some(Due::Peak));
        (sampler.last, sampler.highest) = (now, 110 << 20);
        let due: Vec<bool> = (0..5)
            .map(|_| sampler.due(now, 112 << 20, true, left).is_some())
            .collect();
        // It settles, and is sampled although it is little higher.
        assert_eq!(due, [false, false, false, true, true]);
        assert_eq!(sampler.due(now * 2, 90 << 20, true, left), Some(Due::Time));
        // An expensive sample must be worth it.
        (sampler.cost, sampler.cost_of) = (left / 12, 200 << 20);
        assert_eq!(sampler.due(now, 180 << 20, true, left), None);
        assert_eq!(sampler.due(now, 200 << 20, true, left), Some(Due::Peak));
    }

    #[test]
    fn a_sample_is_of_the_moment_when_there_was_as_much() {
        assert_eq!(when(150, (1000, 100), (2000, 200)), 1500);
        assert_eq!(when(90, (1000, 100), (2000, 200)), 1000);
        assert_eq!(when(300, (1000, 100), (2000, 200)), 2000);
        // Memory that fell tells nothing of the moment.
        assert_eq!(when(90, (1000, 100), (2000, 80)), 1000);
    }

    #[test]
    fn what_has_not_changed_is_not_sampled_again() {
        let mut sampler = RssSampler::new(Path::new("/nowhere"));
        sampler.before = Some((130 << 20, vec![seen(7, 100 << 20), seen(8, 30 << 20)]));
        assert!(sampler.is_unchanged(&[seen(7, 100 << 20), seen(8, (30 << 20) + 4096)]));
        assert!(!sampler.is_unchanged(&[seen(7, 100 << 20), seen(8, 32 << 20)]));
        assert!(!sampler.is_unchanged(&[seen(7, 100 << 20)]));
    }
}
