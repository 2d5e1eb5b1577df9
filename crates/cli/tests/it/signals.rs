//! Signals that arrive from outside while the program runs.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::session::{DEADWEIGHT, Ready, Session, eventually, python};

/// Prints the number of each signal as it arrives, and ends with status 5 at the last of those that it was told of.
const COUNTING: &str = "
import signal, sys, time
*counted, last = map(int, sys.argv[1:])
def note(number, frame):
    print(int(number), flush=True)
for number in counted:
    signal.signal(number, note)
signal.signal(last, lambda number, frame: sys.exit(5))
print('ready', flush=True)
while True:
    time.sleep(0.01)
";

const WAITING: &str = "import time; print('ready', flush=True); time.sleep(60)";

fn finish(mut ready: Ready) -> (ExitStatus, String) {
    let mut rest = String::new();
    ready.out.read_to_string(&mut rest).unwrap();
    (ready.child.wait().unwrap(), rest)
}

/// A program that counts `signal`.
fn counting(session: &Session, signal: Signal) -> Command {
    let mut command = session.run(["-c", COUNTING]);
    command.args([signal, end_of(signal)].map(|signal| (signal as i32).to_string()));
    command
}

/// The signal that ends the program that counts `counted`. Of several pending signals Linux delivers the one with the
/// lowest number first, so a second copy of `counted` that the supervisor had still to pass on would come before it.
fn end_of(counted: Signal) -> Signal {
    match counted {
        Signal::SIGTERM => Signal::SIGUSR2,
        _ => Signal::SIGTERM,
    }
}

/// Waits until the program has seen the signal, ends the program through the supervisor, and expects its status, and
/// that it saw the signal once.
fn expect_one(mut ready: Ready, signal: Signal) {
    let number = format!("{}\n", signal as i32);
    assert_eq!(ready.line(), number);
    kill(ready.pid(), end_of(signal)).unwrap();
    let (status, rest) = finish(ready);
    assert_eq!((status.code(), rest.as_str()), (Some(5), ""), "after {signal}");
}

#[test]
fn ctrl_c_reaches_the_program_once_and_the_supervisor_waits() {
    let session = Session::new();
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let ready = Ready::start(&mut counting(&session, signal));
        killpg(ready.pid(), signal).unwrap();
        expect_one(ready, signal);
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

#[test]
fn a_signal_for_the_supervisor_is_forwarded() {
    let session = Session::new();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        let ready = Ready::start(&mut counting(&session, signal));
        kill(ready.pid(), signal).unwrap();
        expect_one(ready, signal);
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
    command.args(["-c", COUNTING]);
    let counted = Signal::SIGUSR1;
    command.args([counted, end_of(counted)].map(|signal| (signal as i32).to_string()));
    let ready = Ready::start(&mut command);
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        killpg(ready.pid(), signal).unwrap();
        kill(ready.pid(), signal).unwrap();
    }
    kill(ready.pid(), counted).unwrap();
    expect_one(ready, counted);
}

/// The process that the supervisor started.
fn program_of(supervisor: Pid) -> Pid {
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let only: i32 = children.trim().parse().expect("one child");
    Pid::from_raw(only)
}

/// Whether a process is stopped, as by Ctrl-Z: the state in `/proc/PID/stat`, behind the name in parentheses.
fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").expect("a state").1.starts_with('T')
}

#[test]
fn stopping_and_continuing_the_group_works() {
    let session = Session::new();
    let ready = Ready::start(&mut counting(&session, Signal::SIGUSR1));
    let (supervisor, program) = (ready.pid(), program_of(ready.pid()));
    assert!(!is_stopped(supervisor) && !is_stopped(program));
    killpg(supervisor, Signal::SIGTSTP).unwrap();
    let stopped = waitpid(supervisor, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(supervisor, Signal::SIGTSTP));
    eventually("the program stops", || is_stopped(program));
    killpg(supervisor, Signal::SIGCONT).unwrap();
    let continued = waitpid(supervisor, Some(WaitPidFlag::WCONTINUED)).unwrap();
    assert_eq!(continued, WaitStatus::Continued(supervisor));
    eventually("the program goes on", || !is_stopped(program));
    kill(supervisor, Signal::SIGUSR1).unwrap();
    expect_one(ready, Signal::SIGUSR1);
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
