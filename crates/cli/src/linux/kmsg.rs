//! The kernel's messages about processes that it killed because memory ran out.
//!
//! Source: Linux, Documentation/ABI/testing/dev-kmsg; `dump_oom_victim` and `__oom_kill_process` in mm/oom_kill.c.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Inode of the first namespace of process ids, `PROC_PID_INIT_INO`.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// The kernel cuts records off below this.
const LONGEST: usize = 8192;

/// Whose memory ran out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// A control group's, by its path.
    Group(PathBuf),
    /// The machine's, or that of a part of it.
    Machine,
}

/// A kill that the kernel told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kill {
    /// Process id.
    pub pid: u32,
    /// Whose memory ran out, if that was told: the kernel is silent when it kills very often.
    pub whose: Option<Whose>,
}

/// Messages from now on.
#[derive(Debug)]
pub struct Messages {
    file: File,
}

impl Messages {
    /// `None` where they may not be read, or where their process ids are not ours (in a container).
    pub fn from_now() -> Option<Messages> {
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        if namespace.as_os_str() != FIRST_NAMESPACE {
            return None;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Messages { file })
    }

    /// The kills since the last call.
    pub fn kills(&mut self) -> Vec<Kill> {
        let mut kills: Vec<Kill> = Vec::new();
        let mut record = [0; LONGEST];
        loop {
            match self.file.read(&mut record) {
                Ok(0) => return kills,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    if let Some(kill) = parse(&text) {
                        // Two messages tell of each kill; the first one says whose memory it was.
                        match kills.iter_mut().find(|known| known.pid == kill.pid) {
                            Some(known) => known.whose = known.whose.take().or(kill.whose),
                            None => kills.push(kill),
                        }
                    }
                }
                // Records were overwritten before we read them: the next call goes on behind them.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return kills,
            }
        }
    }
}

/// `6,339,5140900,-;oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a,task_memcg=/a/b,task=python,pid=7,uid=0`, or
/// `3,340,5140900,-;Memory cgroup out of memory: Killed process 7 (python) total-vm:...`.
fn parse(record: &str) -> Option<Kill> {
    let (_, message) = record.split_once(';')?;
    let message = message.lines().next()?;
    if let Some(facts) = message.strip_prefix("oom-kill:constraint=") {
        // The task's name comes late and may be anything.
        let pid = facts.rsplit_once(",pid=")?.1.split(',').next()?.parse().ok()?;
        let group = || {
            let (_, rest) = facts.split_once(",oom_memcg=")?;
            Some(rest.split_once(",task_memcg=")?.0)
        };
        let whose = match facts.split(',').next()? {
            "CONSTRAINT_MEMCG" => group().map(|path| Whose::Group(path.into())),
            _ => Some(Whose::Machine),
        };
        return Some(Kill { pid, whose });
    }
    let (cause, rest) = message.split_once(": Killed process ")?;
    let known = ["Memory cgroup out of memory", "Out of memory"];
    let pid = rest.split(' ').next()?.parse().ok()?;
    known
        .iter()
        .any(|known| cause.starts_with(known))
        .then_some(Kill { pid, whose: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_messages_are_understood() {
        let group = "6,339,5,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
                     oom_memcg=/a,b,task_memcg=/a,b/c,task=x,pid=1,y,pid=18946,uid=0\n SUBSYSTEM=x\n";
        let expected = Kill {
            pid: 18946,
            whose: Some(Whose::Group("/a,b".into())),
        };
        assert_eq!(parse(group), Some(expected));
        let machine = "6,1,5,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,\
                       task_memcg=/,task=python,pid=7,uid=0";
        let expected = Kill {
            pid: 7,
            whose: Some(Whose::Machine),
        };
        assert_eq!(parse(machine), Some(expected));
        for cause in ["Memory cgroup out of memory", "Out of memory"] {
            let killed = format!("3,2,5,-;{cause}: Killed process 8 (python) total-vm:1kB");
            assert_eq!(parse(&killed), Some(Kill { pid: 8, whose: None }));
        }
        for other in [
            "",
            "x",
            "3,2,5,-;Out of memory: Killed process x",
            "3,2,5,-;usb: Killed process 9 x",
            "6,1,5,-;oom-kill:constraint=",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
