//! Processes as the kernel shows them in `/proc`. A process may vanish between any two of these calls: then there is
//! no answer.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Process id of the parent.
    pub parent: u32,
    /// Start, in clock ticks since the machine was started. With the process id it names a process for good.
    pub started_ticks: u64,
    /// Whether no signal tells its parent of its end: so the agent's heap snapshots are made, and nothing that `fork`
    /// makes.
    pub is_silent: bool,
    /// Whether it has ended and its parent has not asked yet: state `Z` or `X`, and no thread but the first one.
    pub has_ended: bool,
    /// If it has ended: its status as `wait` gives it, where we may know.
    pub wait_status: Option<i32>,
}

/// The ids of all processes that we can see.
pub fn ids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Parent and start of a process.
pub fn stat(pid: u32) -> Option<Stat> {
    let mut stat = parse_stat(&text(pid, "stat")?)?;
    // To those who may not know, the kernel says 0.
    if stat.has_ended && stat.wait_status == Some(0) && !is_ours(pid) {
        stat.wait_status = None;
    }
    Some(stat)
}

fn is_ours(pid: u32) -> bool {
    let owner = fs::metadata(format!("/proc/{pid}")).map(|metadata| metadata.uid());
    owner.is_ok_and(|owner| owner == nix::unistd::geteuid().as_raw())
}

/// Whether a process has ended, whether or not its parent has asked yet. That its files cannot be read, for want of a
/// descriptor for example, is no sign of it.
pub fn has_ended(pid: u32) -> bool {
    match stat(pid) {
        Some(stat) => stat.has_ended,
        None => !Path::new(&format!("/proc/{pid}")).exists(),
    }
}

/// Whether a process has ended, or does so within this time.
pub fn ends_within(pid: u32, time: Duration) -> bool {
    let start = Instant::now();
    loop {
        if has_ended(pid) {
            return true;
        }
        if start.elapsed() > time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let statm = text(pid, "statm")?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

/// Resident bytes: anonymous memory, pages of files, shared memory.
pub fn resident_by_kind(pid: u32) -> Option<[u64; 3]> {
    let status = text(pid, "status")?;
    Some([
        kib(&status, "RssAnon:")?,
        kib(&status, "RssFile:")?,
        kib(&status, "RssShmem:")?,
    ])
}

/// Resident bytes of files and of shared memory.
pub fn resident_of_files(pid: u32) -> Option<u64> {
    let statm = text(pid, "statm")?;
    let pages: u64 = statm.split(' ').nth(2)?.parse().ok()?;
    Some(pages * page_bytes())
}

/// The highest resident memory that the kernel has seen, in bytes. `exec` starts it anew.
pub fn peak_resident(pid: u32) -> Option<u64> {
    kib(&text(pid, "status")?, "VmHWM:")
}

/// What a process shares, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// Pages that n processes share counted as 1/n.
    pub proportional: u64,
    /// Pages that it shares with nobody.
    pub unique: u64,
}

/// Proportional and unique size. The kernel visits every page for this.
pub fn shares(pid: u32) -> Option<Shares> {
    let text = text(pid, "smaps_rollup")?;
    Some(Shares {
        proportional: kib(&text, "Pss:")?,
        unique: kib(&text, "Private_Clean:")? + kib(&text, "Private_Dirty:")?,
    })
}

/// The smaller one of its own limits of address space and data (`ulimit -v`, `ulimit -d`), in bytes.
pub fn rlimit(pid: u32) -> Option<u64> {
    let text = text(pid, "limits")?;
    let soft = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_ascii_whitespace().next()?.parse::<u64>().ok() // or the word `unlimited`
    };
    [soft("Max address space"), soft("Max data size")]
        .into_iter()
        .flatten()
        .min()
}

/// Command line. Empty for a process that is ending.
pub fn argv(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if words.is_empty() {
        return None;
    }
    Some(
        words
            .split(|&byte| byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
    )
}

/// File name of the program that it runs.
pub fn program(pid: u32) -> Option<String> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(exe.file_name()?.to_string_lossy().into_owned())
}

fn text(pid: u32, file: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_stat(stat: &str) -> Option<Stat> {
    // The second field is the name in brackets, and may hold spaces and brackets itself.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    // By the numbers that proc(5) has: the first one after the name is field 3.
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        started_ticks: field(22)?.parse().ok()?,
        is_silent: field(38) == Some("0"),
        has_ended: matches!(field(3), Some("Z" | "X")) && field(20) == Some("1"),
        wait_status: field(52).and_then(|status| status.parse().ok()),
    })
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.split_ascii_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Bytes of a page.
pub fn page_bytes() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use nix::unistd::Pid;

    #[test]
    fn a_name_may_hold_brackets_and_spaces() {
        let line = "42 (a) R (b) S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200 1";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                parent: 7,
                started_ticks: 987654,
                is_silent: false,
                has_ended: false,
                wait_status: None,
            })
        );
        let silent = format!("{line} 2 3 4 5 6 7 8 9 10 11 12 13 0 1");
        assert!(parse_stat(&silent).is_some_and(|stat| stat.is_silent));
        let forked = format!("{line} 2 3 4 5 6 7 8 9 10 11 12 13 17 0");
        assert!(parse_stat(&forked).is_some_and(|stat| !stat.is_silent));
        assert_eq!(parse_stat("42 (a"), None);
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_seen() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "kill -9 $$"])
            .spawn()
            .unwrap();
        // Waits for the end and leaves it to be asked for.
        let pid = Pid::from_raw(child.id() as i32);
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        let ended = stat(child.id()).unwrap();
        assert!(ended.has_ended);
        assert_eq!(ended.wait_status, Some(9));
        child.wait().unwrap();
        assert!(stat(std::process::id()).is_some_and(|stat| !stat.has_ended));
    }

    #[test]
    fn we_can_be_seen() {
        let us = std::process::id();
        assert!(ids().contains(&us));
        assert!(stat(us).is_some_and(|stat| stat.started_ticks > 0));
        assert!(resident(us).is_some_and(|bytes| bytes > 100_000));
        assert!(peak_resident(us).is_some_and(|bytes| bytes >= resident(us).unwrap_or(0) / 2));
        assert!(shares(us).is_some_and(|shares| shares.unique > 0 && shares.unique <= shares.proportional));
        assert!(argv(us).is_some() && program(us).is_some());
        assert_eq!(stat(u32::MAX), None);
    }
}
