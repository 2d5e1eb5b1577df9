//! Limits of memory that apply to the run, and whether the kernel killed somebody for exceeding one.

use std::fs;
use std::path::{Path, PathBuf};

/// Counts of the kernel's kills at one moment.
#[derive(Debug)]
pub struct Limits {
    groups: Vec<Group>,
    machine_kills: Option<u64>,
}

/// A control group with a limit, and how often it was enforced.
#[derive(Debug)]
struct Group {
    folder: PathBuf,
    files: &'static Files,
    kills: Option<u64>,
}

/// A limit that was enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// `cgroup` or `machine`.
    pub kind: &'static str,
    /// The limit.
    pub bytes: Option<u64>,
}

/// Where a version of control groups keeps its figures.
#[derive(Debug)]
struct Files {
    limit: &'static str,
    events: &'static str,
}

static VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    events: "memory.oom_control",
};
static VERSION_2: Files = Files {
    limit: "memory.max",
    events: "memory.events",
};
/// Version 1 writes "no limit" as a number near this.
const UNLIMITED: u64 = 1 << 60;

impl Limits {
    /// The counts now.
    pub fn now() -> Limits {
        let mut groups = our_groups();
        for group in &mut groups {
            group.kills = group.count();
        }
        Limits {
            groups,
            machine_kills: machine_kills(),
        }
    }

    /// The limit that the kernel enforced since then, the innermost one first.
    pub fn hit_since(&self) -> Option<Hit> {
        for group in &self.groups {
            if group.count() > group.kills {
                // A kill counts in the groups around it as well: the limit is in the first one that has one.
                let bytes = self.groups.iter().filter_map(Group::limit).min();
                return Some(Hit { kind: "cgroup", bytes });
            }
        }
        (machine_kills() > self.machine_kills).then(|| Hit {
            kind: "machine",
            bytes: value(Path::new("/proc/meminfo"), "MemTotal:").map(|kib| kib << 10),
        })
    }
}

impl Group {
    fn count(&self) -> Option<u64> {
        value(&self.folder.join(self.files.events), "oom_kill")
    }

    fn limit(&self) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(self.files.limit)).ok()?;
        text.trim().parse().ok().filter(|&bytes| bytes < UNLIMITED)
    }
}

/// Our group and those around it, as far as they are mounted at the usual places.
fn our_groups() -> Vec<Group> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines()
        .filter_map(group_of_line)
        .flat_map(|(root, path, files)| around(root, path, files))
        .collect()
}

/// `0::/path` in version 2, `N:memory:/path` in version 1.
fn group_of_line(line: &str) -> Option<(&'static str, &str, &'static Files)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    if number == "0" && controllers.is_empty() {
        Some(("/sys/fs/cgroup", path, &VERSION_2))
    } else if controllers.split(',').any(|controller| controller == "memory") {
        Some(("/sys/fs/cgroup/memory", path, &VERSION_1))
    } else {
        None
    }
}

fn around(root: &str, path: &str, files: &'static Files) -> Vec<Group> {
    let inner = Path::new(root).join(path.trim_start_matches('/'));
    let folders = inner.ancestors().take_while(|folder| folder.starts_with(root));
    folders
        .map(|folder| Group {
            folder: folder.to_path_buf(),
            files,
            kills: None,
        })
        .collect()
}

fn machine_kills() -> Option<u64> {
    value(Path::new("/proc/vmstat"), "oom_kill")
}

/// The number in the line `name number`.
fn value(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_found() {
        let (root, path, files) = group_of_line("0::/user.slice/a:b").unwrap();
        assert_eq!(
            (root, path, files.limit),
            ("/sys/fs/cgroup", "/user.slice/a:b", "memory.max")
        );
        let (root, path, _) = group_of_line("7:cpu,memory:/docker/1").unwrap();
        assert_eq!((root, path), ("/sys/fs/cgroup/memory", "/docker/1"));
        assert!(group_of_line("3:cpu:/x").is_none() && group_of_line("").is_none());
        let folders: Vec<PathBuf> = around(root, path, &VERSION_1)
            .into_iter()
            .map(|group| group.folder)
            .collect();
        let expected = [
            "/sys/fs/cgroup/memory/docker/1",
            "/sys/fs/cgroup/memory/docker",
            "/sys/fs/cgroup/memory",
        ];
        assert_eq!(folders, expected.map(PathBuf::from));
    }

    #[test]
    fn nothing_is_hit_when_nothing_happened() {
        assert_eq!(Limits::now().hit_since(), None);
    }
}
