//! Limits of memory that apply to the run, and the kernel's counts of kills.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::linux::cgroup::{self, Group, Mount};

/// Whose limit it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// A control group's.
    Group,
    /// The machine's memory.
    Machine,
}

impl Of {
    /// The word that captures have for it.
    pub fn word(self) -> &'static str {
        match self {
            Of::Group => "cgroup",
            Of::Machine => "machine",
        }
    }
}

/// A limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Whose.
    pub of: Of,
    /// How much; `None` if it could not be read.
    pub bytes: Option<u64>,
}

/// A kill that was counted and whose process has not been seen to end is somebody else's after this time. A large
/// process takes a while to die.
const CLAIMABLE: Duration = Duration::from_secs(10);
/// How often the counts of reached limits are read.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

/// The groups of the run's processes and their counts.
#[derive(Debug)]
pub struct Limits {
    mounts: Vec<Mount>,
    /// By the innermost group's name; that of processes without a group is empty.
    chains: BTreeMap<PathBuf, Chain>,
    unclaimed: u64,
}

/// A group and those around it, from the inside out.
#[derive(Debug)]
struct Chain {
    groups: Vec<Group>,
    /// Kills in the innermost group.
    kills: Option<u64>,
    /// How often each of the groups' limits stopped somebody.
    hits: Vec<Option<u64>>,
    hits_read: Instant,
    /// Kills that belong to nobody yet, the last one's time, and whose limit it was.
    pending: u64,
    since: Instant,
    limit: Limit,
}

impl Limits {
    /// The counts now, of our own groups.
    pub fn now() -> Limits {
        let mut limits = Limits {
            mounts: cgroup::mounts(),
            chains: BTreeMap::new(),
            unclaimed: 0,
        };
        limits.follow(std::process::id());
        limits
    }

    /// Without any group, whatever happens on this machine.
    #[cfg(test)]
    pub fn none() -> Limits {
        Limits {
            mounts: Vec::new(),
            chains: BTreeMap::new(),
            unclaimed: 0,
        }
    }

    /// Looks up a process's groups; those that are new are counted from now on. Returns the innermost one's name.
    pub fn follow(&mut self, pid: u32) -> PathBuf {
        let groups = cgroup::of_process(&self.mounts, pid);
        let name = groups.first().map(|group| group.name.clone()).unwrap_or_default();
        self.chains.entry(name.clone()).or_insert_with(|| Chain::of(groups));
        name
    }

    /// Reads the counts. To be called often, so that it can be told whose kill it was.
    pub fn poll(&mut self) {
        for chain in self.chains.values_mut() {
            self.unclaimed += chain.poll();
        }
    }

    /// Takes a kill that the group has counted, and returns whose limit it was.
    pub fn claim(&mut self, group: &Path) -> Option<Limit> {
        let chain = self.chains.get_mut(group).filter(|chain| chain.pending > 0)?;
        chain.pending -= 1;
        Some(chain.limit.clone())
    }

    /// Kills that were counted and that nobody claimed.
    pub fn unclaimed(&self) -> u64 {
        let pending: u64 = self.chains.values().map(|chain| chain.pending).sum();
        self.unclaimed + pending
    }

    fn limited(&self) -> impl Iterator<Item = u64> {
        let groups = self.chains.values().flat_map(|chain| &chain.groups);
        groups.filter_map(Group::limit)
    }

    /// The smallest limit of a group and those around it, and what that group counts now; else the machine's memory.
    pub fn effective(&self, group: &Path) -> (Limit, Option<u64>) {
        let chain = self.chains.get(group).map_or(&[][..], |chain| &chain.groups);
        let limited = chain.iter().filter_map(|group| Some((group.limit()?, group)));
        let machine = Limit::of_machine();
        match limited.min_by_key(|(bytes, _)| *bytes) {
            // Some containers are given a limit that is no limit.
            Some((bytes, group)) if machine.bytes.is_none_or(|machine| bytes < machine) => {
                (Limit::of_group(Some(bytes)), group.used())
            }
            _ => (machine, None),
        }
    }

    /// Bytes that a process of this group may still take: what its limits and the machine leave.
    pub fn available(&self, group: &Path) -> u64 {
        let chain = self.chains.get(group).map_or(&[][..], |chain| &chain.groups);
        let of_groups = chain.iter().filter_map(Group::available);
        of_groups.chain(available_bytes()).min().unwrap_or(u64::MAX)
    }

    /// The smallest limit of our own groups, if it is smaller than the machine, and the file that says what is used of it.
    pub fn tightest() -> Option<(u64, PathBuf)> {
        let groups = cgroup::of_process(&cgroup::mounts(), std::process::id());
        let limited = groups
            .iter()
            .filter_map(|group| Some((group.limit()?, group.statistics())));
        let machine = Limit::of_machine().bytes;
        limited
            .filter(|(bytes, _)| machine.is_none_or(|machine| *bytes < machine))
            .min_by_key(|(bytes, _)| *bytes)
    }

    /// The limit of the group with this name in the kernel's messages.
    pub fn of_group(&self, name: &Path) -> Limit {
        let mut groups = self.chains.values().flat_map(|chain| &chain.groups);
        let bytes = groups.find(|group| group.name == name).and_then(Group::limit);
        // In a namespace, the kernel's names are others than ours.
        Limit::of_group(bytes.or_else(|| self.limited().min()))
    }
}

impl Chain {
    fn of(groups: Vec<Group>) -> Chain {
        let mut chain = Chain {
            kills: None,
            hits: groups.iter().map(Group::hits).collect(),
            hits_read: Instant::now(),
            pending: 0,
            since: Instant::now(),
            limit: Limit::of_machine(),
            groups,
        };
        chain.kills = chain.count();
        chain
    }

    /// The outermost group of version 2 has no count; what happened on the whole machine must do.
    fn count(&self) -> Option<u64> {
        self.groups.first().and_then(Group::kills).or_else(machine_kills)
    }

    /// Returns how many kills nobody has claimed in time.
    fn poll(&mut self) -> u64 {
        let (is, now) = (self.count(), Instant::now());
        let more = raised(&mut self.kills, is);
        if more > 0 {
            self.pending += more;
            self.since = now;
            self.limit = self.whose();
        } else if self.pending > 0 && now - self.since > CLAIMABLE {
            return std::mem::take(&mut self.pending);
        } else if self.pending == 0 && now - self.hits_read > NOW_AND_THEN {
            self.new_hit();
        }
        0
    }

    /// The innermost limit that has stopped somebody since the last call.
    fn new_hit(&mut self) -> Option<u64> {
        self.hits_read = Instant::now();
        let mut hit = None;
        for (group, hits) in self.groups.iter().zip(&mut self.hits) {
            if raised(hits, group.hits()) > 0 {
                hit = hit.or_else(|| group.limit());
            }
        }
        hit
    }

    /// Whose limit a kill was for that has just been counted.
    fn whose(&mut self) -> Limit {
        let full = |chain: &Chain| {
            let mut full = chain.groups.iter().filter(|group| group.has_been_full());
            full.find_map(Group::limit).filter(|_| !machine_is_full())
        };
        match self.new_hit().or_else(|| full(self)) {
            Some(bytes) => Limit::of_group(Some(bytes)),
            None => Limit::of_machine(),
        }
    }
}

impl Limit {
    fn of_group(bytes: Option<u64>) -> Limit {
        Limit { of: Of::Group, bytes }
    }

    /// The machine's memory.
    pub fn of_machine() -> Limit {
        Limit {
            of: Of::Machine,
            bytes: machine_bytes(),
        }
    }
}

/// How much more than it was; it becomes what it is.
fn raised(was: &mut Option<u64>, is: Option<u64>) -> u64 {
    let more = is.unwrap_or(0).saturating_sub(was.unwrap_or(0));
    *was = is.or(*was);
    more
}

fn machine_kills() -> Option<u64> {
    cgroup::named(Path::new("/proc/vmstat"), "oom_kill")
}

/// Whether hardly anything is left on the whole machine.
fn machine_is_full() -> bool {
    available_bytes()
        .zip(machine_bytes())
        .is_some_and(|(available, total)| available < total / 50)
}

/// Memory that the machine can give without swapping, bytes.
fn available_bytes() -> Option<u64> {
    cgroup::named(Path::new("/proc/meminfo"), "MemAvailable:").map(|kib| kib << 10)
}

fn machine_bytes() -> Option<u64> {
    cgroup::named(Path::new("/proc/meminfo"), "MemTotal:").map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_killed_when_nothing_happened() {
        let mut limits = Limits::none();
        let group = limits.follow(std::process::id());
        limits.poll();
        assert_eq!((limits.claim(&group), limits.unclaimed()), (None, 0));
    }

    #[test]
    fn some_limit_applies_here() {
        let mut limits = Limits::now();
        let group = limits.follow(std::process::id());
        assert!(limits.effective(&group).0.bytes.is_some());
    }

    #[test]
    fn only_more_counts_as_more() {
        let mut was = Some(3);
        assert_eq!((raised(&mut was, Some(5)), was), (2, Some(5)));
        assert_eq!((raised(&mut was, None), was), (0, Some(5)));
        assert_eq!((raised(&mut was, Some(1)), was), (0, Some(1)));
    }
}
