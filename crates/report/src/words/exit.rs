//! How a program ended, in words.

use deadweight_analysis::manifest::{Exit, ExitKind};

/// `was killed by SIGKILL`, `ended with exit status 3`; `None` for a good end and for an unknown one.
pub(crate) fn bad_end(exit: &Exit) -> Option<String> {
    match exit.kind {
        ExitKind::Ok | ExitKind::Unknown => None,
        ExitKind::Failed => Some(match exit.status {
            Some(status) => format!("ended with exit status {status}"),
            None => "failed".to_owned(),
        }),
        ExitKind::Signalled => Some(match exit.signal {
            Some(signal) => format!("was killed by {}", signal_name(signal)),
            None => "was killed by a signal".to_owned(),
        }),
        ExitKind::OomKilled => Some("was killed because memory ran out".to_owned()),
    }
}

/// A signal's name on Linux.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
