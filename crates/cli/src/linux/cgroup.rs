//! Control groups: where they are, and what they say of memory.
//!
//! Sources: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst; proc(5) for `mountinfo`.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Version 1 writes "no limit" as a number near this.
const UNLIMITED: u64 = 1 << 60;

/// Version of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// A hierarchy for each controller.
    One,
    /// One hierarchy.
    Two,
}

/// A mounted hierarchy that may count memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    version: Version,
    /// The group that is seen at the mount point: not `/` where a container sees its own group only.
    root: PathBuf,
    point: PathBuf,
}

/// A control group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    folder: PathBuf,
    version: Version,
    /// Its path in the hierarchy, as `/proc/PID/cgroup` has it.
    pub name: PathBuf,
}

/// The hierarchies that we can see.
pub fn mounts() -> Vec<Mount> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    text.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

/// `36 35 0:31 /docker/1 /sys/fs/cgroup/memory ro,nosuid master:11 - cgroup cgroup rw,memory`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ').skip(3);
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
    let version = match kind {
        b"cgroup2" => Version::Two,
        b"cgroup" if options.split(|&byte| byte == b',').any(|option| option == b"memory") => Version::One,
        _ => return None,
    };
    Some(Mount { version, root, point })
}

/// A path in which some bytes are written as `\040`.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        let digits = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(number) if *byte == b'\\' => {
                bytes.push(number);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// The groups that a process is in, from the inside out. Empty if it is gone or nothing is mounted.
pub fn of_process(mounts: &[Mount], pid: u32) -> Vec<Group> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let groups = text.lines().filter_map(|line| Some(around(mounts, group(line)?)));
    groups.flatten().collect()
}

/// `0::/path` in version 2, `N:memory:/path` in version 1.
fn group(line: &str) -> Option<(Version, &Path)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    if number == "0" && controllers.is_empty() {
        Some((Version::Two, Path::new(path)))
    } else if controllers.split(',').any(|controller| controller == "memory") {
        Some((Version::One, Path::new(path)))
    } else {
        None
    }
}

/// The group of this path and those around it, as far as they are mounted.
fn around(mounts: &[Mount], (version, name): (Version, &Path)) -> Vec<Group> {
    let of_version = || mounts.iter().filter(|mount| mount.version == version);
    let inside = |mount: &&Mount| {
        name.strip_prefix(&mount.root)
            .is_ok_and(|rest| mount.point.join(rest).is_dir())
    };
    let best = of_version()
        .filter(inside)
        .max_by_key(|mount| mount.root.components().count());
    // A container may see its own group at the root of the mount, under a name that means nothing inside.
    let Some(mount) = best.or_else(|| of_version().next()) else {
        return Vec::new();
    };
    let rest = match best {
        Some(mount) => name.strip_prefix(&mount.root).unwrap_or(Path::new("")),
        None => Path::new(""),
    };
    rest.ancestors()
        .map(|part| Group {
            folder: mount.point.join(part),
            version,
            name: mount.root.join(part),
        })
        .collect()
}

impl Group {
    /// Its limit in bytes, if it has one.
    pub fn limit(&self) -> Option<u64> {
        match self.version {
            Version::One => self
                .number("memory.limit_in_bytes")
                .filter(|&bytes| bytes < UNLIMITED)
                .or_else(|| self.number("memory.memsw.limit_in_bytes"))
                .filter(|&bytes| bytes < UNLIMITED),
            Version::Two => self.number("memory.max"), // or the word `max`
        }
    }

    /// Bytes that it counts now: page cache and memory of the kernel's own included.
    pub fn used(&self) -> Option<u64> {
        self.number(match self.version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        })
    }

    /// Bytes that its processes may still take, if it has a limit: the page cache makes room for them.
    pub fn available(&self) -> Option<u64> {
        let statistics = self.statistics();
        let count = |one: &str, two: &str| {
            let name = if self.version == Version::One { one } else { two };
            named(&statistics, name).unwrap_or(0)
        };
        let files = count("total_cache", "file").saturating_sub(count("total_shmem", "shmem"));
        Some(self.limit()?.saturating_sub(self.used()?.saturating_sub(files)))
    }

    /// The file that says what of its use is processes' own memory.
    pub fn statistics(&self) -> PathBuf {
        self.folder.join("memory.stat")
    }

    /// How many processes in it the kernel has killed because memory ran out, whosever limit it was.
    pub fn kills(&self) -> Option<u64> {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        named(&self.folder.join(file), "oom_kill")
    }

    /// How often its own limit stopped somebody.
    pub fn hits(&self) -> Option<u64> {
        match self.version {
            Version::One => {
                let swap = self.number("memory.memsw.failcnt").unwrap_or(0);
                Some(self.number("memory.failcnt")?.saturating_add(swap))
            }
            Version::Two => named(&self.folder.join("memory.events.local"), "oom")
                .or_else(|| named(&self.folder.join("memory.events"), "oom")),
        }
    }

    /// Version 1 only: whether it has ever been at its limit. Linux 6.18 no longer counts how often the limit of memory
    /// and swap together stopped somebody.
    pub fn has_been_full(&self) -> bool {
        let is_full = |limit: &str, highest: &str| {
            let limit = self.number(limit).filter(|&bytes| bytes < UNLIMITED);
            limit.is_some_and(|limit| self.number(highest).is_some_and(|bytes| bytes >= limit - limit / 100))
        };
        self.version == Version::One
            && (is_full("memory.limit_in_bytes", "memory.max_usage_in_bytes")
                || is_full("memory.memsw.limit_in_bytes", "memory.memsw.max_usage_in_bytes"))
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }
}

/// The number in the line `name number` of a file.
pub fn named(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_versions_are_understood() {
        assert_eq!(
            group("0::/user.slice/a:b"),
            Some((Version::Two, Path::new("/user.slice/a:b")))
        );
        assert_eq!(
            group("7:cpu,memory:/docker/1"),
            Some((Version::One, Path::new("/docker/1")))
        );
        assert!(group("3:cpu:/x").is_none() && group("").is_none());
        let line = b"36 35 0:31 /docker/1 /sys/fs/c\\040group ro,nosuid master:11 - cgroup cgroup rw,memory";
        let expected = Mount {
            version: Version::One,
            root: "/docker/1".into(),
            point: "/sys/fs/c group".into(),
        };
        assert_eq!(mount(line), Some(expected));
        assert_eq!(mount(b"1 2 0:3 / /proc rw - proc proc rw"), None);
        assert_eq!(mount(b"1 2 0:3 / /x rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mount(b"\\9\\"), None);
    }

    /// A folder as the kernel shows it. No machine has both versions' memory controllers, so files stand for one here.
    fn hierarchy(groups: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, files) in groups {
            let group = folder.path().join(name);
            fs::create_dir_all(&group).unwrap();
            for (file, content) in *files {
                fs::write(group.join(file), content).unwrap();
            }
        }
        folder
    }

    #[test]
    fn version_2_has_its_limit_and_counts() {
        let events = ("memory.events", "low 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n");
        let folder = hierarchy(&[
            (
                "a",
                &[("memory.max", "314572800\n"), ("memory.current", "1000\n"), events],
            ),
            (
                "a/b",
                &[
                    ("memory.max", "max\n"),
                    events,
                    ("memory.events.local", "max 0\noom 1\noom_kill 0\n"),
                ],
            ),
        ]);
        let mounts = [Mount {
            version: Version::Two,
            root: "/".into(),
            point: folder.path().into(),
        }];
        let groups = around(&mounts, (Version::Two, Path::new("/a/b")));
        let names: Vec<&Path> = groups.iter().map(|group| group.name.as_path()).collect();
        assert_eq!(names, ["/a/b", "/a", "/"].map(Path::new));
        assert_eq!((groups[0].limit(), groups[1].limit()), (None, Some(300 << 20)));
        assert_eq!((groups[0].kills(), groups[0].hits()), (Some(2), Some(1)));
        assert_eq!((groups[1].hits(), groups[1].used()), (Some(3), Some(1000)));
        assert_eq!((groups[2].limit(), groups[2].kills()), (None, None));
    }

    #[test]
    fn a_container_finds_its_group_at_the_root_of_the_mount() {
        let folder = hierarchy(&[("", &[("memory.limit_in_bytes", "314572800\n")])]);
        let mount = |root: &str| Mount {
            version: Version::One,
            root: root.into(),
            point: folder.path().into(),
        };
        for (root, name) in [("/docker/1", "/docker/1"), ("/", "/docker/1"), ("/../..", "/")] {
            let groups = around(&[mount(root)], (Version::One, Path::new(name)));
            let limits: Vec<Option<u64>> = groups.iter().map(Group::limit).collect();
            assert_eq!(limits, [Some(300 << 20)], "{root} {name}");
        }
    }
}
