//! A process of the run, poll by poll.

use std::path::PathBuf;
use std::time::Duration;

use deadweight_capture::manifest::SeenProcess;
use deadweight_capture::timeline::TimelineProcess;

use crate::linux::pidfd::Handle;
use crate::linux::procfs::{self, Shares, Stat};
use crate::supervise::exit_cause::Dead;

/// A command line may change (`exec`); it is read at each poll of a young process, and every now and then later.
const YOUNG: Duration = Duration::from_secs(1);
/// How often the slowly changing facts of a process are looked at.
pub const NOW_AND_THEN: Duration = Duration::from_millis(500);

/// A process of the run.
#[derive(Debug)]
pub struct TrackedProcess {
    /// What the manifest keeps of it.
    pub seen: SeenProcess,
    /// Whether its program looked like Python when it was last looked at.
    pub python: bool,
    /// Resident memory, bytes.
    pub resident: u64,
    /// Exact shares, where this poll has measured them.
    pub shares: Option<Shares>,
    /// Its control group.
    pub group: PathBuf,
    /// Whether what the timeline says of it has changed.
    pub is_news: bool,
    first: Duration,
    refreshed: Option<Duration>,
    peak_at: Duration,
    last_size: u64,
    handle: Option<Handle>,
    wait_status: Option<i32>,
}

impl TrackedProcess {
    /// A process that was just found.
    pub fn new(pid: u32, stat: &Stat, group: PathBuf, handle: bool, now: Duration) -> TrackedProcess {
        let mut tracked = TrackedProcess {
            seen: SeenProcess {
                pid,
                parent: stat.parent,
                first_seconds: Some(now.as_secs_f64()),
                ..SeenProcess::default()
            },
            python: false,
            resident: 0,
            shares: None,
            group,
            is_news: true,
            first: now,
            refreshed: None,
            peak_at: now,
            last_size: 0,
            handle: handle.then(|| Handle::of(pid, stat.started_ticks)).flatten(),
            wait_status: None,
        };
        tracked.refresh(now);
        tracked
    }

    /// Reads its state. Returns whether it has ended, as far as that can be seen while its id is taken.
    pub fn refresh(&mut self, now: Duration) -> bool {
        let pid = self.seen.pid;
        self.shares = None;
        self.resident = procfs::resident(pid).unwrap_or(0);
        self.raise_peak(self.resident, now);
        if self.resident == 0 {
            // It has no memory any more: a zombie, or its last threads are ending.
            let Some(stat) = procfs::stat(pid).filter(|stat| stat.has_ended) else {
                return false;
            };
            // Otherwise its parent's asking will tell.
            self.wait_status = stat.wait_status.or(self.wait_status);
            return self.wait_status.is_some();
        }
        self.last_size = self.resident;
        let is_young = now.saturating_sub(self.first) < YOUNG;
        let is_due = self
            .refreshed
            .is_none_or(|last| now.saturating_sub(last) >= NOW_AND_THEN);
        if is_young || is_due {
            self.refreshed = Some(now);
            if let Some(argv) = procfs::argv(pid).filter(|argv| *argv != self.seen.argv) {
                self.seen.argv = argv;
                self.is_news = true;
            }
            if let Some(program) = procfs::program(pid) {
                self.python = program.starts_with("python");
            }
            self.raise_peak(procfs::peak_resident(pid).unwrap_or(0), now);
            self.seen.rlimit_bytes = procfs::rlimit(pid).or(self.seen.rlimit_bytes);
        }
        false
    }

    fn raise_peak(&mut self, bytes: u64, now: Duration) {
        if bytes > self.seen.peak_rss_bytes {
            self.seen.peak_rss_bytes = bytes;
            self.peak_at = now;
        }
    }

    /// What `wait` said of it, where we are the parent.
    pub fn set_wait_status(&mut self, status: i32) {
        self.wait_status = Some(status);
    }

    /// Notes its end.
    pub fn end(&mut self, now: Duration) -> Dead {
        self.seen.ended_seconds = Some(now.as_secs_f64());
        self.resident = 0;
        self.is_news = true;
        let handle = self.handle.take();
        Dead {
            pid: self.seen.pid,
            status: self.wait_status.or_else(|| handle?.wait_status()),
            group: self.group.clone(),
            resident: self.last_size,
        }
    }

    /// What the timeline has of it.
    pub fn in_timeline(&self, number: u32) -> TimelineProcess {
        let ms = |at: Duration| at.as_millis() as u64;
        let ended = self.seen.ended_seconds.map(|seconds| (seconds * 1e3) as u64);
        TimelineProcess {
            number,
            pid: self.seen.pid,
            parent: self.seen.parent,
            ms: ms(self.first),
            argv: self.seen.argv.clone(),
            ended_ms: ended,
            peak: self.seen.peak_rss_bytes,
            peak_ms: ms(self.peak_at),
            exit: ended.map(|_| self.seen.exit.clone()),
        }
    }
}
