//! Processes as the kernel shows them in `/proc`. A process may vanish between any two of these calls: then there is
//! no answer.

use std::fs;

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
    parse_stat(&text(pid, "stat")?)
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let statm = text(pid, "statm")?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

/// The highest resident memory that the kernel has seen, in bytes. `exec` starts it anew.
pub fn peak_resident(pid: u32) -> Option<u64> {
    kib(&text(pid, "status")?, "VmHWM:")
}

/// Resident memory in bytes, with pages that n processes share counted as 1/n. The kernel visits every page for
/// this.
pub fn proportional(pid: u32) -> Option<u64> {
    kib(&text(pid, "smaps_rollup")?, "Pss:")
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
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started_ticks = fields.nth(17)?.parse().ok()?;
    // Field 38, `exit_signal`.
    let is_silent = fields.nth(15) == Some("0");
    Some(Stat {
        parent,
        started_ticks,
        is_silent,
    })
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.split_ascii_whitespace().next()?.parse::<u64>().ok()? << 10)
}

fn page_bytes() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_brackets_and_spaces() {
        let line = "42 (a) R (b) S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200 1";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                parent: 7,
                started_ticks: 987654,
                is_silent: false
            })
        );
        let silent = format!("{line} 2 3 4 5 6 7 8 9 10 11 12 13 0 1");
        assert!(parse_stat(&silent).is_some_and(|stat| stat.is_silent));
        let forked = format!("{line} 2 3 4 5 6 7 8 9 10 11 12 13 17 0");
        assert!(parse_stat(&forked).is_some_and(|stat| !stat.is_silent));
        assert_eq!(parse_stat("42 (a"), None);
    }

    #[test]
    fn we_can_be_seen() {
        let us = std::process::id();
        assert!(ids().contains(&us));
        assert!(stat(us).is_some_and(|stat| stat.started_ticks > 0));
        assert!(resident(us).is_some_and(|bytes| bytes > 100_000));
        assert!(peak_resident(us).is_some_and(|bytes| bytes >= resident(us).unwrap_or(0) / 2));
        assert!(argv(us).is_some() && program(us).is_some());
        assert_eq!(stat(u32::MAX), None);
    }
}
