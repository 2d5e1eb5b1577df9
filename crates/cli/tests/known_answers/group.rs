//! A control group of the test's own, with a real limit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A control group. It is removed when it is dropped.
pub struct Group {
    folder: PathBuf,
    is_version_2: bool,
}

/// From where a run sees its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// Like any program.
    Host,
    /// Like a container with namespaces of its own: the group is the root of what is mounted, and the process ids are others.
    Namespace,
    /// Like an older container: the group's folder is mounted in the place of the hierarchy.
    Bind,
}

impl Group {
    /// A group whose processes may have so much memory together.
    ///
    /// # Errors
    /// The reason why there can be none here.
    pub fn with_limit(bytes: u64) -> Result<Group, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("deadweight-test-{}-{number}", std::process::id());
        let version_1 = Path::new("/sys/fs/cgroup/memory");
        let is_version_2 = !version_1.join("memory.limit_in_bytes").exists();
        let root = if is_version_2 {
            Path::new("/sys/fs/cgroup")
        } else {
            version_1
        };
        if is_version_2 {
            let enabled = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
            if !enabled.split_whitespace().any(|controller| controller == "memory") {
                return Err("no memory controller is enabled for groups below /sys/fs/cgroup".to_string());
            }
        }
        let folder = root.join(name);
        fs::create_dir(&folder)
            .map_err(|error| format!("cannot make a control group {}: {error}", folder.display()))?;
        let group = Group { folder, is_version_2 };
        let limits = if is_version_2 {
            [("memory.max", bytes), ("memory.swap.max", 0)]
        } else {
            [("memory.limit_in_bytes", bytes), ("memory.memsw.limit_in_bytes", bytes)]
        };
        for (at, (file, value)) in limits.into_iter().enumerate() {
            let written = fs::write(group.folder.join(file), value.to_string());
            // Swap is not counted everywhere.
            if let Err(error) = written
                && at == 0
            {
                return Err(format!("cannot limit a control group ({file}): {error}"));
            }
        }
        Ok(group)
    }

    /// The same command in this group.
    pub fn run(&self, view: View, command: &Command) -> Command {
        let (root, kind) = if self.is_version_2 {
            ("/sys/fs/cgroup", "cgroup2")
        } else {
            ("/sys/fs/cgroup/memory", "cgroup -o memory")
        };
        let group = self.folder.display();
        let enter = format!("echo $$ > {group}/cgroup.procs || exit 99");
        let inside = match view {
            View::Host => "exec \"$@\"".to_string(),
            View::Namespace => format!(
                "exec unshare --cgroup --mount --pid --fork --mount-proc sh -c \
                 'umount {root} && mount -t {kind} none {root} || exit 99; exec \"$@\"' sh \"$@\""
            ),
            View::Bind => {
                format!("exec unshare --mount sh -c 'mount --bind {group} {root} || exit 99; exec \"$@\"' sh \"$@\"")
            }
        };
        let mut wrapped = Command::new("sh");
        wrapped.args(["-c", &format!("{enter}; {inside}"), "sh"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped.stdin(std::process::Stdio::null());
        wrapped
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last process may still be on its way out.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
