//! Starts the program with the agent preloaded.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result};

use crate::launch::agent_library;
use crate::launch::plan::Plan;
use crate::linux::inherited_state::{self, SignalMask};
use crate::supervise::memory_limits::Limits;

/// Starts the program. Its streams, descriptors, folder, process group and environment are ours, but for
/// `LD_PRELOAD` and the variables that the agent reads.
pub fn start(plan: &Plan, library: &Path, capture: &Path, mask: SignalMask) -> Result<Child> {
    let (program, arguments) = plan.command.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LD_PRELOAD", preload(library, env::var_os("LD_PRELOAD").as_deref()))
        .env("DEADWEIGHT_CAPTURE", capture)
        .env("DEADWEIGHT_SNAPSHOTS", if plan.snapshots { "1" } else { "0" })
        .env("DEADWEIGHT_MODE", if plan.exact { "exact" } else { "sampled" })
        .env("DEADWEIGHT_INTERVAL", plan.interval_bytes.to_string())
        .env("DEADWEIGHT_MAX_SIZE", plan.max_size_bytes.to_string())
        .env("DEADWEIGHT_PARENT", std::process::id().to_string());
    if let Some((bytes, statistics)) = Limits::tightest() {
        command
            .env("DEADWEIGHT_LIMIT", bytes.to_string())
            .env("DEADWEIGHT_LIMIT_STATISTICS", statistics);
    }
    spawn(command, program, mask)
}

/// Starts a command just so, without the agent.
pub fn start_plain(words: &[OsString], mask: SignalMask) -> Result<Child> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    spawn(command, program, mask)
}

fn spawn(mut command: Command, program: &OsStr, mask: SignalMask) -> Result<Child> {
    inherited_state::hand_on(&mut command, mask);
    command
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))
}

/// The agent first: the loader takes a function from the first library that has it. An agent of a `deadweight run`
/// around this one is left out, because two of them cannot share a process.
fn preload(library: &Path, theirs: Option<&OsStr>) -> OsString {
    let mut list = library.as_os_str().as_bytes().to_vec();
    for entry in theirs.unwrap_or_default().as_bytes().split(|byte| b": ".contains(byte)) {
        let name = entry.rsplit(|&byte| byte == b'/').next().unwrap_or(entry);
        if !entry.is_empty() && entry != library.as_os_str().as_bytes() && !agent_library::is_library_name(name) {
            list.push(b':');
            list.extend_from_slice(entry);
        }
    }
    OsString::from_vec(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_preloaded_stays_preloaded() {
        let ours = Path::new("/c/agent-0123456789abcdef.so");
        let list = |theirs| preload(ours, Some(OsStr::new(theirs)));
        assert_eq!(preload(ours, None), *ours.as_os_str());
        assert_eq!(list(""), *ours.as_os_str());
        assert_eq!(
            list("/x.so b.so:/y.so"),
            *"/c/agent-0123456789abcdef.so:/x.so:b.so:/y.so"
        );
        assert_eq!(
            list("/d/agent-00000000000000ff.so:/x.so"),
            *"/c/agent-0123456789abcdef.so:/x.so"
        );
    }
}
