//! The processes of a run and their memory, poll by poll.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deadweight_capture::manifest::SeenProcess;

use crate::process;

/// Only processes above this size are worth the price of an exact figure.
const LARGE: u64 = 16 << 20;
/// A command line may change (`exec`); it is read at each poll of a young process, and every now and then later.
const YOUNG: Duration = Duration::from_secs(1);
/// How often the slowly changing facts of a process, and the capture's folder, are looked at.
const NOW_AND_THEN: Duration = Duration::from_millis(500);
/// Of the time that has passed, at most one part in so many goes into exact figures.
const EXACT_SHARE: u32 = 20;

/// A process of the run.
#[derive(Debug)]
pub struct Watched {
    /// What the manifest keeps of it.
    pub seen: SeenProcess,
    /// Whether its program looked like Python when it was last looked at.
    pub python: bool,
    /// When it was first and last seen, since the start.
    pub first: Duration,
    /// See `first`.
    pub last: Duration,
    refreshed: Duration,
    resident: u64,
}

/// What has been seen of the run's processes so far.
#[derive(Debug)]
pub struct Tree {
    folder: PathBuf,
    start: Instant,
    /// Start of the program: who claims to be recorded by us and is older is somebody else.
    root_ticks: u64,
    processes: Vec<Watched>,
    /// Those that still run, by id: index into `processes`.
    running: BTreeMap<u32, usize>,
    /// Processes of others, as long as they run.
    foreign: HashSet<u32>,
    /// Process ids that have written to the capture.
    recorded: BTreeSet<u32>,
    folder_read: Option<Duration>,
    /// Bytes that the sum of resident memory counts too often, when last measured.
    shared: u64,
    exact_spent: Duration,
    peak: u64,
    peak_at: Duration,
}

impl Tree {
    /// The tree of the process `root`, which has just been started.
    pub fn new(root: u32, folder: &Path, start: Instant) -> Tree {
        let mut tree = Tree {
            folder: folder.to_path_buf(),
            start,
            root_ticks: 0,
            processes: Vec::new(),
            running: BTreeMap::new(),
            foreign: HashSet::new(),
            recorded: BTreeSet::new(),
            folder_read: None,
            shared: 0,
            exact_spent: Duration::ZERO,
            peak: 0,
            peak_at: Duration::ZERO,
        };
        if let Some(stat) = process::stat(root) {
            tree.root_ticks = stat.started_ticks;
            tree.add(root, stat.parent, Duration::ZERO);
        }
        tree
    }

    /// Looks at all processes once.
    pub fn poll(&mut self) {
        let now = self.start.elapsed();
        let ids: HashSet<u32> = process::ids().into_iter().collect();
        self.running.retain(|pid, _| ids.contains(pid));
        self.foreign.retain(|pid| ids.contains(pid));
        if self
            .folder_read
            .is_none_or(|last| now.saturating_sub(last) >= NOW_AND_THEN)
        {
            self.folder_read = Some(now);
            self.read_folder();
            self.adopt(&ids, now);
        }
        self.add_children(&ids, now);
        for (&pid, &index) in &self.running {
            self.processes[index].refresh(pid, now);
        }
        self.measure(now);
    }

    /// Processes that appeared since the last poll, children of ours at any depth.
    fn add_children(&mut self, ids: &HashSet<u32>, now: Duration) {
        let mut new: Vec<(u32, u32)> = ids
            .iter()
            .filter(|pid| !self.running.contains_key(pid) && !self.foreign.contains(pid))
            .filter_map(|&pid| Some((pid, process::stat(pid).filter(|stat| !stat.is_silent)?.parent)))
            .collect();
        new.sort_unstable();
        loop {
            let (ours, rest): (Vec<_>, Vec<_>) = new
                .into_iter()
                .partition(|(_, parent)| self.running.contains_key(parent));
            new = rest;
            if ours.is_empty() {
                break;
            }
            for (pid, parent) in ours {
                self.add(pid, parent, now);
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
            if let Some(stat) = process::stat(pid).filter(|stat| stat.started_ticks >= self.root_ticks) {
                self.foreign.remove(&pid);
                self.add(pid, stat.parent, now);
            }
        }
    }

    fn add(&mut self, pid: u32, parent: u32, now: Duration) {
        self.running.insert(pid, self.processes.len());
        let mut process = Watched {
            seen: SeenProcess {
                pid,
                parent,
                ..SeenProcess::default()
            },
            python: false,
            first: now,
            last: now,
            refreshed: now,
            resident: 0,
        };
        process.refresh(pid, now);
        self.processes.push(process);
    }

    /// Notes who has written to the capture. To be done once more at the end.
    pub fn read_folder(&mut self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .filter(|name| name.ends_with(".dws"))
                .and_then(|name| name.split('.').next());
            self.recorded.extend(pid.and_then(|pid| pid.parse::<u32>().ok()));
        }
    }

    /// Adds up the memory and keeps the highest sum.
    ///
    /// Processes that fork share pages, and the resident memory of each counts them all. So where the sum looks like
    /// a new peak and several processes are large, the kernel is asked to divide the shared pages between them.
    /// That costs time, so in between the last answer is taken off.
    fn measure(&mut self, now: Duration) {
        let sum: u64 = self.running.values().map(|&index| self.processes[index].resident).sum();
        let large: Vec<(u32, u64)> = self
            .running
            .iter()
            .map(|(&pid, &index)| (pid, self.processes[index].resident))
            .filter(|&(_, resident)| resident > LARGE)
            .collect();
        if large.len() < 2 {
            self.shared = 0;
        } else if sum > self.peak && self.exact_spent * EXACT_SHARE <= now {
            let begin = Instant::now();
            self.shared = large
                .iter()
                .filter_map(|&(pid, resident)| Some(resident.saturating_sub(process::proportional(pid)?)))
                .sum();
            self.exact_spent += begin.elapsed();
        }
        let sum = sum.saturating_sub(self.shared);
        if sum > self.peak {
            (self.peak, self.peak_at) = (sum, now);
        }
    }

    /// Whether a process wrote to the capture.
    pub fn is_recorded(&self, pid: u32) -> bool {
        self.recorded.contains(&pid)
    }

    /// Whether any process did.
    pub fn anything_recorded(&self) -> bool {
        !self.recorded.is_empty()
    }

    /// All processes, by their start.
    pub fn processes(&self) -> &[Watched] {
        &self.processes
    }

    /// The highest memory of all processes together, in bytes, and when that was.
    pub fn peak(&self) -> (u64, Duration) {
        (self.peak, self.peak_at)
    }
}

impl Watched {
    fn refresh(&mut self, pid: u32, now: Duration) {
        self.resident = process::resident(pid).unwrap_or(0);
        self.seen.peak_rss_bytes = self.seen.peak_rss_bytes.max(self.resident);
        if self.resident == 0 {
            return; // a zombie, or gone
        }
        self.last = now;
        if now.saturating_sub(self.first) < YOUNG || now.saturating_sub(self.refreshed) >= NOW_AND_THEN {
            self.refreshed = now;
            if let Some(argv) = process::argv(pid) {
                self.seen.argv = argv;
            }
            if let Some(program) = process::program(pid) {
                self.python = program.starts_with("python");
            }
            self.seen.peak_rss_bytes = self.seen.peak_rss_bytes.max(process::peak_resident(pid).unwrap_or(0));
        }
    }
}
