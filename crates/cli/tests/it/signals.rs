//! Signals that arrive from outside while the program runs.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};

use crate::session::{DEADWEIGHT, Ready, Session, python};

/// Counts each signal that it handles, and ends with status 5 shortly after the first.
const COUNTING: &str = "
import signal, sys, time
seen = []
for n in map(int, sys.argv[1:]):
    signal.signal(n, lambda n, frame: seen.append(int(n)))
print('ready', flush=True)
deadline = time.monotonic() + 20
while not seen and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)
print(seen, flush=True)
sys.exit(5)
";

const WAITING: &str = "import time; print('ready', flush=True); time.sleep(20)";

fn finish(mut ready: Ready) -> (ExitStatus, String) {
    let mut rest = String::new();
    ready.out.read_to_string(&mut rest).unwrap();
    (ready.child.wait().unwrap(), rest)
}

fn counting(session: &Session, signals: &[Signal]) -> Command {
    let mut command = session.run(["-c", COUNTING]);
    command.args(signals.iter().map(|&signal| (signal as i32).to_string()));
    command
}

#[test]
fn ctrl_c_reaches_the_program_once_and_the_supervisor_waits() {
    let session = Session::new();
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let ready = Ready::start(&mut counting(&session, &[signal]));
        killpg(ready.pid(), signal).unwrap();
        let (status, rest) = finish(ready);
        assert_eq!((status.code(), rest), (Some(5), format!("[{}]\n", signal as i32)));
    }
}

#[test]
fn ctrl_c_without_a_handler_ends_both_by_sigint() {
    let session = Session::new();
    let ready = Ready::start(&mut session.run(["-c", WAITING]));
    killpg(ready.pid(), Signal::SIGINT).unwrap();
    assert_eq!(finish(ready).0.signal(), Some(libc::SIGINT));
    assert!(session.path("code.dw/run.json").is_file());
}

/// Whether these tests were started with a signal ignored, as `nohup` does with SIGHUP. The supervisor then ignores it
/// too, as it should.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask & (1 << (signal as i32 - 1)) != 0
}

#[test]
fn a_signal_for_the_supervisor_is_forwarded() {
    let session = Session::new();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        if is_ignored(signal) {
            println!("{signal} is ignored here, so nothing forwards it");
            continue;
        }
        let ready = Ready::start(&mut counting(&session, &[signal]));
        kill(ready.pid(), signal).unwrap();
        let (status, rest) = finish(ready);
        assert_eq!((status.code(), rest), (Some(5), format!("[{}]\n", signal as i32)));
    }
}

#[test]
fn sigterm_without_a_handler_ends_both_and_the_account_is_written() {
    let session = Session::new();
    let ready = Ready::start(&mut session.run(["-c", WAITING]));
    kill(ready.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(finish(ready).0.signal(), Some(libc::SIGTERM));
    let manifest = deadweight_capture::manifest::Manifest::read(&session.path("code.dw")).unwrap();
    assert_eq!(manifest.exit.and_then(|exit| exit.signal), Some(libc::SIGTERM));
}

#[test]
fn a_program_started_with_nohup_survives() {
    let session = Session::new();
    let mut command = session.command("sh");
    command
        .args([
            "-c",
            "trap '' HUP INT; exec \"$@\"",
            "sh",
            DEADWEIGHT,
            "run",
            "-q",
            "--python",
        ])
        .arg(python());
    command.args([
        "-c",
        "import time; print('ready', flush=True); time.sleep(0.8); print('done'); raise SystemExit(4)",
    ]);
    let ready = Ready::start(&mut command);
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        killpg(ready.pid(), signal).unwrap();
        kill(ready.pid(), signal).unwrap();
    }
    let (status, rest) = finish(ready);
    assert_eq!((status.code(), rest.as_str()), (Some(4), "done\n"));
}

#[test]
fn stopping_and_continuing_the_group_works() {
    let session = Session::new();
    let ready = Ready::start(&mut counting(&session, &[Signal::SIGUSR1]));
    killpg(ready.pid(), Signal::SIGTSTP).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    killpg(ready.pid(), Signal::SIGCONT).unwrap();
    kill(ready.pid(), Signal::SIGUSR1).unwrap();
    let (status, rest) = finish(ready);
    assert_eq!((status.code(), rest.as_str()), (Some(5), "[10]\n"));
}

#[test]
fn an_ignored_sigchld_does_not_lose_the_status() {
    let session = Session::new();
    let code =
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = session.command(python());
    command
        .args(["-c", code, DEADWEIGHT, "run", "-q", "--python"])
        .arg(python())
        .args(["-c", "raise SystemExit(9)"]);
    assert_eq!(command.status().unwrap().code(), Some(9));
}
