//! When to look at what the resident memory consists of: at each new maximum, and now and then, within a share of the
//! time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::linux::procfs;
use crate::linux::smaps;
use crate::linux::smaps::{Deadline, now_nanos, spent_by_us};
use crate::supervise::rss_sample;
use deadweight_capture::looks::{FileKind, Look, LookWriter, ProcessLook};

/// Of the time that has passed, at most one part in so many goes into looks: processor time of the thread that looks,
/// in which it may hold up an `mmap` of the program.
const SHARE: u32 = 100;
/// What may be spent before that, so that short programs are looked at.
const ADVANCE: Duration = Duration::from_millis(150);
/// Below this a program is no question.
const SMALLEST: u64 = 16 << 20;
/// A new maximum is worth a look when it is higher by so many percent than the last one looked at: by more, if a look
/// takes a large part of the time that is left for them.
const GROWTH_PERCENT: u128 = 4;
const GROWTH_PERCENT_OF_ALL: u128 = 900;
/// And by no less than this.
const GROWTH_LEAST: u64 = 8 << 20;
/// One that has not been exceeded for so many polls is worth a look when it is higher by one part in so many.
const SETTLED_POLLS: u32 = 3;
const SETTLED_GROWTH: u64 = 200;
/// Time between two other looks: at least this, and one part in so many of the run.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_PART: u32 = 40;
/// A look that is due because time has passed needs time for so many, and for so many if the last one was not one part in so
/// many of the run ago: so there are some in each part of it, however fast memory rises.
const RESERVE: u32 = 3;
const RESERVE_OFTEN: u32 = 8;
const APART_PART: u32 = 4;
/// Of the time for looks, so many parts in ten are for new maxima.
const FOR_PEAKS: u32 = 6;
/// A process has not changed if its resident memory is what it was, but for one part in so many.
const UNCHANGED: u64 = 100;
/// Resident memory is news if it differs by one part in so many from what was looked at last.
const NEWS_PART: u64 = 4;
/// Near its limit a program is left alone: who is looked at keeps its memory, killed or not, until the look is done, and
/// then the kernel kills somebody else as well. Of its memory, one part in so many must be left; and so many times what
/// it will take meanwhile at its pace.
pub const LIMIT_PART: u64 = 16;
const LIMIT_PACE: f64 = 2.0;
/// How many bytes the kernel looks at in a second at least.
const LOOK_PACE: f64 = 4e9;
/// Processes that share one part in so many of their memory share much.
const SHARED_PART: u64 = 20;
/// Several processes hold still if their resident memory changes by no more than one part in so many.
const STILL_PART: u64 = 50;
/// Processes below this size are looked at from afar.
const LARGE: u64 = 4 << 20;
/// So many processes are looked at closely, the largest ones.
const MOST_PROCESSES: usize = 128;

/// The two parts of the time for looks.
const FOR_MAXIMA: usize = 0;
const FOR_OTHERS: usize = 1;

/// Looks at the run's processes when it is worth it.
#[derive(Debug)]
pub struct Looker {
    capture: PathBuf,
    writer: LookWriter,
    /// By looks at maxima, and by others.
    spent: [Duration; 2],
    /// What a look took, or would have taken at least, and the resident memory then.
    cost: Duration,
    cost_of: u64,
    last: Duration,
    /// What was looked at last: total, processes with their resident memory.
    before: Option<(u64, Vec<Seen>)>,
    /// A maximum that there was no time for.
    sketch: Option<Look>,
    /// Resident memory at the last poll, when that was, and how fast it grew, bytes a second.
    total: u64,
    polled: Duration,
    pace: f64,
    /// The highest total that was looked at.
    highest: u64,
    /// The highest total that was seen, and for how many polls it has not been exceeded.
    seen: u64,
    settled: u32,
}

/// A process as the last poll saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    pub pid: u32,
    /// Resident memory, bytes.
    pub resident: u64,
    /// Its parent, if it is a fork of it.
    pub copy_of: Option<u32>,
}

/// Why to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    /// It may be the peak.
    Peak,
    /// It was the highest until now for some polls.
    Settled,
    /// It was some time ago.
    Time,
}

impl Looker {
    /// Looks go into the capture in this folder.
    pub fn new(capture: &Path) -> Looker {
        Looker {
            // As the kernel names it.
            capture: capture.canonicalize().unwrap_or_else(|_| capture.to_path_buf()),
            writer: LookWriter::new(capture),
            spent: [Duration::ZERO; 2],
            cost: Duration::ZERO,
            cost_of: 0,
            last: Duration::ZERO,
            before: None,
            sketch: None,
            total: 0,
            polled: Duration::ZERO,
            pace: 0.0,
            highest: 0,
            seen: 0,
            settled: 0,
        }
    }

    /// To be called at each poll with the tree's resident memory and that of each process; `now` is since the start, and
    /// `left` tells what the program may still take before somebody is killed, bytes.
    pub fn poll(&mut self, now: Duration, total: u64, processes: &[Seen], left: impl FnOnce() -> u64) {
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
        let due = due.filter(|_| !self.is_near_limit(total, left()));
        if is_new {
            self.sketch = sketch(total, processes).or(self.sketch.take());
        } else if due.is_some() {
            self.keep_sketch();
        }
        let expected = self.expected(total);
        match due {
            Some(Due::Peak) if expected <= for_peaks => {
                let cost = self.look(now, for_peaks, processes);
                self.spent[FOR_MAXIMA] += cost;
            }
            // What comes after a peak, however long it stays: nothing is known of it yet.
            Some(Due::Settled | Due::Time) if self.is_news(total) && expected <= for_peaks + for_others => {
                self.look_with_all(now, FOR_MAXIMA, [for_peaks, for_others], processes);
            }
            // One more must be left, for what comes after.
            Some(Due::Settled) if expected * 2 <= for_peaks + for_others || expected <= for_peaks => {
                self.look_with_all(now, FOR_MAXIMA, [for_peaks, for_others], processes);
            }
            Some(Due::Time) if !is_steady => {}
            Some(Due::Time) if self.is_unchanged(processes) => self.note_unchanged(now),
            // What comes may be a peak, and something comes after that: time for both stays, and for several more of these at
            // growing distances.
            Some(Due::Time) if expected * self.reserve(now) <= for_peaks + for_others => {
                self.look_with_all(now, FOR_OTHERS, [for_peaks, for_others], processes);
            }
            _ => {}
        }
        if self.settled >= SETTLED_POLLS {
            self.keep_sketch();
        }
    }

    /// How many looks there must be time for before one that is only due because time has passed.
    fn reserve(&self, now: Duration) -> u32 {
        if now.saturating_sub(self.last) >= self.last / APART_PART {
            RESERVE
        } else {
            RESERVE_OFTEN
        }
    }

    /// What a look at so much resident memory will take: the kernel counts page by page.
    fn expected(&self, total: u64) -> Duration {
        let growth = total.max(self.cost_of) as f64 / self.cost_of.max(1) as f64;
        match self.cost_of {
            0 => self.cost,
            _ => self.cost.mul_f64(growth),
        }
    }

    /// Whether the limit may be reached while we look.
    fn is_near_limit(&self, total: u64, left: u64) -> bool {
        let seconds = self.expected(total).as_secs_f64().max(total as f64 / LOOK_PACE);
        left < total / LIMIT_PART + (self.pace * seconds * LIMIT_PACE) as u64
    }

    /// To be called at the end.
    pub fn finish(&mut self) {
        self.keep_sketch();
    }

    /// Keeps the last maximum that there was no time for, if it is news.
    fn keep_sketch(&mut self) {
        if let Some(sketch) = self
            .sketch
            .take()
            .filter(|sketch| sketch.total > self.highest && self.before.is_some())
        {
            let _ = self.writer.write(sketch);
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
        let share = self.expected(total).as_nanos() * GROWTH_PERCENT_OF_ALL / left.as_nanos().max(1);
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

    fn is_unchanged(&self, processes: &[Seen]) -> bool {
        let Some((_, before)) = &self.before else { return false };
        let same = |(one, other): (&Seen, &Seen)| {
            one.pid == other.pid && one.resident.abs_diff(other.resident) <= (one.resident / UNCHANGED).max(256 << 10)
        };
        before.len() == processes.len() && before.iter().zip(processes).all(same)
    }

    fn note_unchanged(&mut self, now: Duration) {
        self.last = now;
        if let Some((total, _)) = &self.before {
            let _ = self.writer.write(Look {
                nanos: now_nanos(),
                total: *total,
                unchanged: true,
                ..Look::default()
            });
        }
    }

    /// Whether this is what comes after the highest memory, and is much more or less than what was looked at last.
    fn is_news(&self, total: u64) -> bool {
        let before = self.before.as_ref().map_or(0, |(total, _)| *total);
        total < self.seen - self.seen / 50 && before.abs_diff(total) > total / NEWS_PART
    }

    /// Looks with all the time that is left, for maxima and for others: the part `first` is used up before the other one.
    fn look_with_all(&mut self, now: Duration, first: usize, left: [Duration; 2], processes: &[Seen]) {
        let cost = self.look(now, left[FOR_MAXIMA] + left[FOR_OTHERS], processes);
        let of_first = cost.min(left[first]);
        self.spent[first] += of_first;
        self.spent[1 - first] += cost.saturating_sub(of_first);
    }

    /// Returns what it took.
    fn look(&mut self, now: Duration, left: Duration, processes: &[Seen]) -> Duration {
        let begin = spent_by_us();
        let before = (now_nanos(), resident(processes));
        // If it takes longer it is given up, and the next attempt waits until there is time for it.
        let found = self.each(processes, &Deadline::after(left));
        let after = (now_nanos(), resident(processes));
        let cost = spent_by_us().saturating_sub(begin);
        let seen: u64 = processes.iter().map(|process| process.resident).sum();
        (self.cost, self.cost_of) = (if found.is_some() { cost } else { cost * 2 }, seen);
        self.last = now;
        let Some(found) = found.filter(|found| held_still(processes) || !is_shared(found)) else {
            return cost;
        };
        let total = found.iter().map(|process| process.counted).sum();
        self.highest = self.highest.max(total);
        self.before = Some((total, processes.to_vec()));
        self.sketch = None;
        // On a full disk there is no ledger; the report says so.
        let _ = self.writer.write(Look {
            nanos: when(total, before, after),
            total,
            cost_micros: cost.as_micros() as u64,
            processes: found,
            ..Look::default()
        });
        cost
    }

    fn each(&self, processes: &[Seen], deadline: &Deadline) -> Option<Vec<ProcessLook>> {
        let mut largest: Vec<Seen> = processes
            .iter()
            .copied()
            .filter(|process| process.resident > 0)
            .collect();
        largest.sort_by_key(|process| (std::cmp::Reverse(process.resident), process.pid));
        // As the tree counts: pages that large processes share are divided between them.
        let proportional = largest.iter().filter(|process| process.resident > LARGE).count() >= 2;
        let mut looks = Vec::with_capacity(largest.len());
        for (at, &Seen { pid, resident, copy_of }) in largest.iter().enumerate() {
            let close = at == 0 || (resident > LARGE && at < MOST_PROCESSES);
            let found = if close {
                rss_sample::look(pid, proportional, &self.capture, deadline)
            } else {
                None
            };
            if found.is_none() && deadline.has_passed() {
                return None;
            }
            let from_afar = || Some(rss_sample::glance(pid, resident, procfs::resident_of_files(pid)?));
            looks.extend(found.or_else(from_afar).map(|look| ProcessLook { copy_of, ..look }));
        }
        Some(looks)
    }
}

/// Resident memory of these processes now.
fn resident(processes: &[Seen]) -> u64 {
    processes.iter().filter_map(|seen| procfs::resident(seen.pid)).sum()
}

/// When there was as much resident as a look found, if memory grew while it was taken: between two moments, each with what was
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
fn is_shared(found: &[ProcessLook]) -> bool {
    let of_areas = |one: &ProcessLook| -> u64 { one.areas.iter().map(|area| area.rss.saturating_sub(area.pss)).sum() };
    let of_files = |one: &ProcessLook| -> u64 {
        let shared = one.files.iter().filter(|file| file.kind == FileKind::Shared);
        shared.map(|file| file.rss.saturating_sub(file.pss)).sum()
    };
    let shared: u64 = found.iter().map(|one| of_areas(one) + of_files(one)).sum();
    shared > found.iter().map(|one| one.counted).sum::<u64>() / SHARED_PART
}

/// Whether several large processes are about as large as they were: one after another is looked at, and a page that was
/// one's own and is shared a moment later would count for both.
fn held_still(processes: &[Seen]) -> bool {
    let large = || processes.iter().filter(|process| process.resident > LARGE);
    let before: u64 = large().map(|process| process.resident).sum();
    let after: u64 = large().map(|seen| procfs::resident(seen.pid).unwrap_or(0)).sum();
    large().count() < 2 || before.abs_diff(after) <= before / STILL_PART
}

/// What can be told of a maximum at no cost, where one process is large.
fn sketch(total: u64, processes: &[Seen]) -> Option<Look> {
    let mut large = processes.iter().filter(|process| process.resident > LARGE);
    let (Some(&Seen { pid, .. }), None) = (large.next(), large.next()) else {
        return None;
    };
    let [anonymous, files, shared] = procfs::resident_by_kind(pid)?;
    Some(Look {
        nanos: now_nanos(),
        total,
        kinds: Some([anonymous, files, shared, smaps::heap_bytes(pid)]),
        ..Look::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadweight_capture::looks;
    use std::time::Instant;

    fn seen(pid: u32, resident: u64) -> Seen {
        Seen {
            pid,
            resident,
            copy_of: None,
        }
    }

    #[test]
    fn a_process_is_looked_at_and_the_looks_stay_cheap() {
        let folder = tempfile::tempdir().unwrap();
        let mut looker = Looker::new(folder.path());
        let us = std::process::id();
        let mut memory: Vec<Vec<u8>> = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(900) {
            memory.push(vec![1; 1 << 20]);
            let resident = procfs::resident(us).unwrap();
            looker.poll(start.elapsed(), resident, &[seen(us, resident)], || u64::MAX);
            std::thread::sleep(Duration::from_millis(5));
        }
        let looks = looks::read(folder.path());
        assert!(looks.len() >= 2, "{}", looks.len());
        let spent: u64 = looks.iter().map(|look| look.cost_micros).sum();
        assert!(
            Duration::from_micros(spent) < start.elapsed() / SHARE + ADVANCE * 2,
            "{spent}"
        );
        let (first, last) = (looks.first().unwrap().total, looks.last().unwrap().total);
        assert!(last > first + (8 << 20), "{first} {last}");
        drop(memory);
    }

    #[test]
    fn a_new_maximum_is_looked_at_and_an_old_one_is_not() {
        let mut looker = Looker::new(Path::new("/nowhere"));
        let (now, left) = (Duration::from_secs(10), Duration::from_millis(200));
        (looker.last, looker.highest) = (now, 100 << 20);
        assert_eq!(looker.due(now, 101 << 20, true, left), None);
        assert_eq!(looker.due(now, 110 << 20, true, left), Some(Due::Peak));
        (looker.last, looker.highest) = (now, 110 << 20);
        let due: Vec<bool> = (0..5)
            .map(|_| looker.due(now, 112 << 20, true, left).is_some())
            .collect();
        // It settles, and is worth a look although it is little higher.
        assert_eq!(due, [false, false, false, true, true]);
        assert_eq!(looker.due(now * 2, 90 << 20, true, left), Some(Due::Time));
        // A dear look must be worth it.
        (looker.cost, looker.cost_of) = (left / 12, 200 << 20);
        assert_eq!(looker.due(now, 180 << 20, true, left), None);
        assert_eq!(looker.due(now, 200 << 20, true, left), Some(Due::Peak));
    }

    #[test]
    fn a_look_is_of_the_moment_when_there_was_as_much() {
        assert_eq!(when(150, (1000, 100), (2000, 200)), 1500);
        assert_eq!(when(90, (1000, 100), (2000, 200)), 1000);
        assert_eq!(when(300, (1000, 100), (2000, 200)), 2000);
        // Memory that fell tells nothing of the moment.
        assert_eq!(when(90, (1000, 100), (2000, 80)), 1000);
    }

    #[test]
    fn what_has_not_changed_is_not_looked_at_again() {
        let mut looker = Looker::new(Path::new("/nowhere"));
        looker.before = Some((130 << 20, vec![seen(7, 100 << 20), seen(8, 30 << 20)]));
        assert!(looker.is_unchanged(&[seen(7, 100 << 20), seen(8, (30 << 20) + 4096)]));
        assert!(!looker.is_unchanged(&[seen(7, 100 << 20), seen(8, 32 << 20)]));
        assert!(!looker.is_unchanged(&[seen(7, 100 << 20)]));
    }
}
