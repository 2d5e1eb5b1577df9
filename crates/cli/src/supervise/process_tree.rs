//! The processes of a run and their memory, poll by poll.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deadweight_capture::manifest::ExitKind;
use deadweight_capture::timeline::{Number, Point, Timeline};

use crate::linux::procfs;
use crate::linux::smaps::spent_by_us;
use crate::supervise::exit_cause::{Dead, Evidence};
use crate::supervise::memory_limits::{Limit, Limits};
use crate::supervise::rss_sampling::{LIMIT_PART, PolledProcess, RssSampler};
use crate::supervise::timeline::Recorder;
use crate::supervise::tracked_process::{NOW_AND_THEN, TrackedProcess};

/// Only processes above this size are worth the price of an exact figure.
const LARGE: u64 = 4 << 20;
/// Smaller ones are in the timeline's totals only.
const WORTH_A_CURVE: u64 = 1 << 20;
/// Exact figures may take 1/20 of the time that has passed.
const EXACT_SHARE: u32 = 20;
/// As if so much more time had passed: workers are forked at the beginning.
const EXACT_ADVANCE: Duration = Duration::from_secs(2);
/// With more processes, small ones that have ended are forgotten.
const MOST_PROCESSES: usize = 4000;
/// Descriptors that are held to learn how processes ended.
const MOST_HANDLES: usize = 256;

/// What has been seen of the run's processes so far.
#[derive(Debug)]
pub struct ProcessTree {
    folder: PathBuf,
    start: Instant,
    root: u32,
    /// Start of the program: who claims to be recorded by us and is older is somebody else.
    root_ticks: u64,
    /// By number: they are counted as they are found.
    processes: BTreeMap<Number, TrackedProcess>,
    next_number: Number,
    /// Numbers of those that still run, by id.
    running: BTreeMap<u32, Number>,
    last_killed: Option<u32>,
    /// Processes of others, and ours that have ended, as long as their ids are taken.
    foreign: HashSet<u32>,
    /// Process ids that have written to the capture.
    recorded: BTreeSet<u32>,
    snapshots: BTreeSet<String>,
    folder_read: Option<Duration>,
    /// Bytes that the sum of resident memory counts too often, when last measured, and the sum then.
    shared: u64,
    measured_sum: u64,
    /// The large processes then.
    measured: Vec<Number>,
    exact_spent: Duration,
    /// Whether each poll measures the shares of all processes.
    exact_always: bool,
    evidence: Evidence,
    limit: (Limit, Option<u64>),
    recorder: Recorder,
    current: u64,
    peak: u64,
    peak_at: Duration,
    sampler: Option<RssSampler>,
}

impl ProcessTree {
    /// The tree of the process `root`. `evidence` is from before its start, if we started it.
    pub fn new(root: u32, folder: &Path, start: Instant, evidence: Evidence, exact_always: bool) -> ProcessTree {
        let mut tree = ProcessTree {
            folder: folder.to_path_buf(),
            start,
            root,
            root_ticks: 0,
            processes: BTreeMap::new(),
            next_number: 0,
            running: BTreeMap::new(),
            last_killed: None,
            foreign: HashSet::new(),
            recorded: BTreeSet::new(),
            snapshots: BTreeSet::new(),
            folder_read: None,
            shared: 0,
            measured_sum: 0,
            measured: Vec::new(),
            exact_spent: Duration::ZERO,
            exact_always,
            evidence,
            limit: (Limit::of_machine(), None),
            recorder: Recorder::begin(folder),
            current: 0,
            peak: 0,
            peak_at: Duration::ZERO,
            sampler: None,
        };
        if let Some(stat) = procfs::stat(root) {
            tree.root_ticks = stat.started_ticks;
            tree.add(root, &stat, Duration::ZERO);
        }
        tree
    }

    /// The same, which also takes RSS samples.
    pub fn with_rss_samples(mut self) -> ProcessTree {
        self.sampler = Some(RssSampler::new(&self.folder));
        self
    }

    /// Takes an RSS sample if it is worth its cost. Apart from `poll`: this has a share of the time of its own.
    pub fn sample_rss(&mut self) {
        let Some(sampler) = &mut self.sampler else { return };
        let of_pid = |pid: &u32| self.processes.get(self.running.get(pid)?);
        let processes: Vec<PolledProcess> = self
            .running
            .keys()
            .filter_map(|&pid| {
                let process = of_pid(&pid)?;
                let is_fork = |parent: &&TrackedProcess| parent.seen.argv == process.seen.argv;
                let parent = of_pid(&process.seen.parent).filter(is_fork);
                Some(PolledProcess {
                    pid,
                    resident: process.resident,
                    copy_of: parent.map(|parent| parent.seen.pid),
                })
            })
            .collect();
        let available = || ProcessTree::available(&self.evidence.limits, &self.processes);
        sampler.poll(self.start.elapsed(), self.current, &processes, available);
    }

    /// Bytes that the started program may still take within its limits.
    fn available(limits: &Limits, processes: &BTreeMap<Number, TrackedProcess>) -> u64 {
        limits.available(processes.get(&0).map_or(Path::new(""), |root| root.group.as_path()))
    }

    /// Reads all processes once.
    pub fn poll(&mut self) {
        let now = self.start.elapsed();
        let ids: HashSet<u32> = procfs::ids().into_iter().collect();
        self.evidence.limits.poll();
        let is_gone = |pid: &u32| !ids.contains(pid);
        let mut ended: Vec<u32> = self.running.keys().copied().filter(is_gone).collect();
        self.foreign.retain(|pid| ids.contains(pid));
        let is_due = self
            .folder_read
            .is_none_or(|last| now.saturating_sub(last) >= NOW_AND_THEN);
        if is_due {
            self.folder_read = Some(now);
            self.read_folder();
            self.adopt(&ids, now);
        }
        self.add_children(&ids, now);
        for (&pid, number) in &self.running {
            let process = self.processes.get_mut(number).filter(|_| ids.contains(&pid));
            if process.is_some_and(|process| process.refresh(now)) {
                ended.push(pid);
                self.foreign.insert(pid);
            }
        }
        self.reap(&ended, now);
        self.measure(now);
        if is_due {
            self.look_up_limit();
        }
        self.record(now);
    }

    /// Reads everything a last time; `status` is what `wait` said of the started program.
    pub fn finish(&mut self, status: Option<i32>) {
        let root = self
            .running
            .get(&self.root)
            .and_then(|number| self.processes.get_mut(number));
        if let (Some(root), Some(status)) = (root, status) {
            root.set_wait_status(status);
        }
        self.poll();
        self.read_folder();
        let now = self.start.elapsed();
        // Of some, whose parent has not asked yet or just did, the poll has left the end to the next one.
        let ended = |pid: &u32| *pid == self.root && status.is_some() || procfs::has_ended(*pid);
        let ended: Vec<u32> = self.running.keys().copied().filter(ended).collect();
        self.reap(&ended, now);
        self.record(now);
        self.recorder.finish();
        if let Some(sampler) = &mut self.sampler {
            sampler.finish();
        }
    }

    /// Processes that appeared since the last poll, children of ours at any depth.
    fn add_children(&mut self, ids: &HashSet<u32>, now: Duration) {
        let mut new: Vec<(u32, procfs::Stat)> = ids
            .iter()
            .filter(|pid| !self.running.contains_key(pid) && !self.foreign.contains(pid))
            .filter_map(|&pid| {
                Some((
                    pid,
                    procfs::stat(pid).filter(|stat| !stat.is_silent && !stat.has_ended)?,
                ))
            })
            .collect();
        new.sort_unstable_by_key(|(pid, _)| *pid);
        loop {
            let (ours, rest): (Vec<_>, Vec<_>) = new
                .into_iter()
                .partition(|(_, stat)| self.running.contains_key(&stat.parent));
            new = rest;
            if ours.is_empty() {
                break;
            }
            for (pid, stat) in ours {
                self.add(pid, &stat, now);
            }
        }
        self.foreign.extend(new.iter().map(|(pid, _)| pid));
    }

    /// Recorded processes whose parent ended before we saw them (a daemon): the capture knows their ids.
    fn adopt(&mut self, ids: &HashSet<u32>, now: Duration) {
        let unknown = self
            .recorded
            .iter()
            .filter(|pid| ids.contains(pid) && !self.running.contains_key(pid));
        for pid in unknown.copied().collect::<Vec<u32>>() {
            let is_ours = |stat: &procfs::Stat| stat.started_ticks >= self.root_ticks && !stat.has_ended;
            if let Some(stat) = procfs::stat(pid).filter(is_ours) {
                self.foreign.remove(&pid);
                self.add(pid, &stat, now);
            }
        }
    }

    fn add(&mut self, pid: u32, stat: &procfs::Stat, now: Duration) {
        let group = self.evidence.limits.follow(pid);
        let handle = self.running.len() < MOST_HANDLES;
        self.running.insert(pid, self.next_number);
        self.processes
            .insert(self.next_number, TrackedProcess::new(pid, stat, group, handle, now));
        self.next_number += 1;
        if self.processes.len() > MOST_PROCESSES {
            self.forget_small();
        }
    }

    /// Forgets the smaller half of those that ended, so that a run may go on starting processes for weeks.
    fn forget_small(&mut self) {
        let ended = self.processes.iter().filter(|(_, process)| {
            process.seen.ended_seconds.is_some() && process.seen.exit.kind != ExitKind::OomKilled && !process.is_news
        });
        let mut ended: Vec<(u64, Number)> = ended
            .map(|(&number, process)| (process.seen.peak_rss_bytes, number))
            .collect();
        ended.sort_unstable();
        ended.truncate(ended.len() / 2);
        for (_, number) in ended {
            self.processes.remove(&number);
        }
    }

    /// Takes ended processes from the running ones, and judges how they ended.
    fn reap(&mut self, ended: &[u32], now: Duration) {
        let numbers: Vec<Number> = ended.iter().filter_map(|pid| self.running.remove(pid)).collect();
        let mut dead: Vec<Dead> = Vec::with_capacity(numbers.len());
        for number in &numbers {
            dead.extend(self.processes.get_mut(number).map(|process| process.end(now)));
        }
        for (number, exit) in numbers.iter().zip(self.evidence.judge(&dead)) {
            let Some(process) = self.processes.get_mut(number) else {
                continue;
            };
            if exit.kind == ExitKind::OomKilled {
                self.recorder.mark(now, process.seen.pid, "killed");
                self.last_killed = Some(process.seen.pid);
            }
            process.seen.exit = exit;
        }
    }

    /// Notes who has written to the capture.
    fn read_folder(&mut self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some(pid) = name.split('.').next().and_then(|pid| pid.parse::<u32>().ok()) else {
                continue;
            };
            if name.ends_with(".dws") {
                self.recorded.insert(pid);
            } else if name.ends_with(".000000.dwh") && self.snapshots.insert(name.to_owned()) {
                self.recorder.mark(self.start.elapsed(), pid, "snapshot");
            }
        }
    }

    /// Adds up the memory and keeps the highest sum.
    ///
    /// Processes that fork share pages, and the resident memory of each counts them all. So where the sum looks like
    /// a new peak and several processes are large, the kernel is asked to divide the shared pages between them.
    /// That costs time, so in between the last answer is taken off.
    fn measure(&mut self, now: Duration) {
        let resident = |number: &Number| self.processes.get(number).map_or(0, |process| process.resident);
        let sum: u64 = self.running.values().map(resident).sum();
        let least = if self.exact_always { 0 } else { LARGE };
        let large = self.running.values().filter(|number| resident(number) > least);
        let large: Vec<Number> = large.copied().collect();
        // Where nothing changes, the last answer holds, and the time is saved for when something does.
        let has_changed = large != self.measured || sum.abs_diff(self.measured_sum) > sum / 50;
        let mut is_steady = true;
        let is_affordable = self.exact_spent * EXACT_SHARE <= now + EXACT_ADVANCE;
        // As RSS samples: a process that is killed at the limit while it is read keeps its memory longer.
        let has_room = || ProcessTree::available(&self.evidence.limits, &self.processes) > sum / LIMIT_PART;
        if self.exact_always || (large.len() >= 2 && has_changed && is_affordable && has_room()) {
            // Processor time: on a busy machine the wait for it does not count.
            let begin = spent_by_us();
            // Processes may grow between the poll and this: of all together less is lost by that than of each.
            let (mut resident, mut proportional) = (0u64, 0u64);
            let (mut before, mut afterwards) = (0u64, 0u64);
            for number in &large {
                let Some(process) = self.processes.get_mut(number) else {
                    continue;
                };
                process.shares = procfs::shares(process.seen.pid);
                let shares = process.shares.unwrap_or_default();
                if shares.proportional > 0 {
                    resident += process.resident;
                    proportional += shares.proportional;
                }
                before += process.resident;
                // Nothing of one that has just ended: of what it shared the others have more now.
                afterwards += procfs::resident(process.seen.pid).unwrap_or(0);
            }
            self.shared = resident.saturating_sub(proportional);
            self.measured_sum = sum;
            self.exact_spent += spent_by_us().saturating_sub(begin);
            self.measured.clone_from(&large);
            // Where they changed meanwhile, the shares are of no moment at all.
            is_steady = afterwards.abs_diff(before) <= before / 50;
            if !is_steady {
                self.measured.clear();
            }
        } else if large.len() < 2 {
            (self.shared, self.measured_sum) = (0, 0);
        }
        // Until it is measured again, what has grown is shared as much as what was there.
        let grown = sum.max(self.measured_sum) as f64 / self.measured_sum.max(1) as f64;
        self.current = sum.saturating_sub((self.shared as f64 * grown) as u64);
        // Processes that were forked a moment ago share much, and soon more: a sum that counts it twice is no peak.
        let is_near = large == self.measured && sum <= self.measured_sum / 100 * 103;
        let is_known = large.len() < 2 || is_near && is_steady;
        if self.current > self.peak && is_known {
            (self.peak, self.peak_at) = (self.current, now);
        }
    }

    fn look_up_limit(&mut self) {
        let group = self.processes.get(&0).map(|root| root.group.as_path());
        self.limit = self.evidence.limits.effective(group.unwrap_or(Path::new("")));
    }

    /// Writes to the timeline what this poll has seen.
    fn record(&mut self, now: Duration) {
        for (&number, process) in &mut self.processes {
            if std::mem::take(&mut process.is_news) {
                self.recorder.process(process.in_timeline(number));
            }
        }
        let (limit, group) = &self.limit;
        self.recorder.limit(now, limit);
        let mut point = Point {
            ms: now.as_millis() as u64,
            total: self.current,
            group: *group,
            ..Point::default()
        };
        for &number in self.running.values() {
            let Some(process) = self.processes.get(&number) else {
                continue;
            };
            if process.resident >= WORTH_A_CURVE {
                point.rss.push((number, process.resident));
            }
            if let Some(shares) = process.shares {
                point.pss.push((number, shares.proportional));
                point.uss.push((number, shares.unique));
            }
        }
        self.recorder.point(point);
    }

    /// Whether a process wrote to the capture.
    pub fn is_recorded(&self, pid: u32) -> bool {
        self.recorded.contains(&pid)
    }

    /// Whether any process did.
    pub fn anything_recorded(&self) -> bool {
        !self.recorded.is_empty()
    }

    /// The processes, by their start; of very many, the smallest are left out.
    pub fn processes(&self) -> impl Iterator<Item = &TrackedProcess> {
        self.processes.values()
    }

    /// The last one that was killed because memory ran out.
    pub fn last_killed(&self) -> Option<u32> {
        self.last_killed
    }

    /// How many of them run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// The memory of all processes together at the last poll, in bytes.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// The highest memory of all processes together, in bytes, and when that was.
    pub fn peak(&self) -> (u64, Duration) {
        (self.peak, self.peak_at)
    }

    /// The limit that applies.
    pub fn limit(&self) -> &Limit {
        &self.limit.0
    }

    /// The timeline so far.
    pub fn timeline(&self) -> &Timeline {
        self.recorder.timeline()
    }

    /// Why the timeline could not be written, if so.
    pub fn unwritten(&self) -> Option<String> {
        self.recorder.unwritten()
    }

    /// Kills in the run's control groups that hit none of its processes, as far as they were seen.
    pub fn unclaimed_kills(&self) -> u64 {
        self.evidence.limits.unclaimed()
    }
}
