//! Whether a process that ended was killed because memory ran out.
//!
//! Two things establish it: the kernel's message, which names the process; or the kernel's count of such kills in the
//! process's control group, which rose when a process of it ended by SIGKILL. A SIGKILL alone says nothing: anybody may
//! send one.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use deadweight_capture::manifest::{Exit, ExitKind};

use crate::linux::kmsg::{Kill, Messages, Whose};
use crate::supervise::memory_limits::{Limit, Limits};

/// A process that ended.
#[derive(Clone, Debug)]
pub struct Dead {
    /// Process id.
    pub pid: u32,
    /// Status as `wait` gives it, if it is known.
    pub status: Option<i32>,
    /// The innermost control group that it was in.
    pub group: PathBuf,
    /// Resident memory when last seen, bytes.
    pub resident: u64,
}

/// What the kernel says of kills.
#[derive(Debug)]
pub struct Evidence {
    /// Limits and counts.
    pub limits: Limits,
    messages: Option<Messages>,
    /// Told of, but the process has not been seen to end yet.
    told: Vec<Kill>,
}

impl Evidence {
    /// From now on.
    pub fn from_now() -> Evidence {
        Evidence {
            limits: Limits::now(),
            messages: Messages::from_now(),
            told: Vec::new(),
        }
    }

    /// How these processes ended, in their order. They ended since the last call, about at the same time.
    pub fn judge(&mut self, dead: &[Dead]) -> Vec<Exit> {
        let mut exits: Vec<Exit> = dead.iter().map(|dead| plain(dead.status)).collect();
        let is_suspect = |exit: &Exit| exit.kind == ExitKind::Unknown || exit.signal == Some(libc::SIGKILL);
        if !exits.iter().any(is_suspect) {
            return exits;
        }
        self.limits.poll();
        self.told
            .extend(self.messages.as_mut().map(Messages::kills).unwrap_or_default());
        for (dead, exit) in dead.iter().zip(&mut exits) {
            let at = self.told.iter().position(|kill| kill.pid == dead.pid);
            if let Some(at) = at.filter(|_| is_suspect(exit)) {
                // The same kill was counted as well.
                let counted = self.limits.claim(&dead.group);
                let limit = match self.told.swap_remove(at).whose {
                    Some(Whose::Group(name)) => self.limits.of_group(&name),
                    Some(Whose::Machine) => Limit::of_machine(),
                    None => counted.unwrap_or_else(Limit::of_machine),
                };
                killed(exit, &limit, "kernel message");
            }
        }
        self.claim_counts(dead, &mut exits, is_suspect);
        exits
    }

    /// Gives the kills that the groups have counted to those who ended by SIGKILL.
    fn claim_counts(&mut self, dead: &[Dead], exits: &mut [Exit], is_suspect: impl Fn(&Exit) -> bool) {
        let mut suspects: Vec<usize> = (0..dead.len())
            .filter(|&at| exits[at].kind != ExitKind::OomKilled && is_suspect(&exits[at]))
            .collect();
        // Who is known to have ended by SIGKILL comes first; then the largest, which the kernel prefers.
        suspects.sort_by_key(|&at| (exits[at].signal.is_none(), std::cmp::Reverse(dead[at].resident)));
        for at in suspects {
            if let Some(limit) = self.limits.claim(&dead[at].group) {
                killed(&mut exits[at], &limit, "cgroup counter");
            }
        }
    }
}

fn killed(exit: &mut Exit, limit: &Limit, evidence: &str) {
    exit.kind = ExitKind::OomKilled;
    exit.signal = Some(libc::SIGKILL);
    exit.limit_bytes = limit.bytes;
    exit.limit_kind = Some(limit.of.word().to_owned());
    exit.evidence = Some(evidence.to_owned());
}

/// What the status alone says.
pub fn plain(status: Option<i32>) -> Exit {
    let Some(status) = status.map(ExitStatus::from_raw) else {
        return Exit::default();
    };
    Exit {
        kind: match status.code() {
            Some(0) => ExitKind::Ok,
            Some(_) => ExitKind::Failed,
            None => ExitKind::Signalled,
        },
        status: status.code(),
        signal: status.signal(),
        ..Exit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(status: Option<i32>) -> Dead {
        Dead {
            pid: 1,
            status,
            group: PathBuf::new(),
            resident: 1 << 30,
        }
    }

    /// What the kernel told of, with no control group and no messages of this machine.
    fn evidence(told: Vec<Kill>) -> Evidence {
        Evidence {
            limits: Limits::none(),
            messages: None,
            told,
        }
    }

    #[test]
    fn a_kill_that_nothing_explains_is_a_signal() {
        let all = [dead(Some(9)), dead(Some(3 << 8)), dead(Some(0)), dead(None)];
        let exits = evidence(Vec::new()).judge(&all);
        let kinds: Vec<ExitKind> = exits.iter().map(|exit| exit.kind).collect();
        let expected = [ExitKind::Signalled, ExitKind::Failed, ExitKind::Ok, ExitKind::Unknown];
        assert_eq!(kinds, expected);
        assert_eq!((exits[0].signal, exits[1].status), (Some(9), Some(3)));
    }

    #[test]
    fn a_kill_that_the_kernel_told_of_ran_out_of_memory() {
        let kill = |pid: u32| Kill {
            pid,
            whose: Some(Whose::Machine),
        };
        let exits = evidence(vec![kill(1)]).judge(&[dead(Some(9))]);
        assert_eq!((exits[0].kind, exits[0].signal), (ExitKind::OomKilled, Some(9)));
        assert_eq!(exits[0].limit_kind.as_deref(), Some("machine"));
        // Told of somebody else, or of one who ended by himself: neither explains this end.
        let exits = evidence(vec![kill(2)]).judge(&[dead(Some(9))]);
        assert_eq!(exits[0].kind, ExitKind::Signalled);
        let exits = evidence(vec![kill(1)]).judge(&[dead(Some(0))]);
        assert_eq!(exits[0].kind, ExitKind::Ok);
    }
}
