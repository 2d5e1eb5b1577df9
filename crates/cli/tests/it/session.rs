//! A folder to work in, and `deadweight` started in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, signal};
use tempfile::TempDir;

pub const DEADWEIGHT: &str = env!("CARGO_BIN_EXE_deadweight");

/// The interpreter itself, not a shim in front of it.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let asked = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable, end='')"])
            .output();
        let asked = asked.expect("these tests need a python3 on PATH");
        PathBuf::from(String::from_utf8(asked.stdout).expect("a path in UTF-8"))
    })
}

/// One test's folder.
pub struct Session {
    folder: TempDir,
}

impl Session {
    pub fn new() -> Session {
        let folder = tempfile::tempdir().expect("a folder for the test");
        fs::create_dir(folder.path().join("work")).expect("a folder to work in");
        Session { folder }
    }

    /// A path in the folder that commands run in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// Where the library goes.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).expect("the test's file");
        self.path(name)
    }

    pub fn write_executable(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.install(&self.write("content", content), name)
    }

    /// Copies an executable. A program of its own does so: a file that this process has open for writing cannot be
    /// executed, and another test's child may have inherited it for a moment.
    pub fn install(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.path(name);
        let done = Command::new("install").args(["-m", "755"]).arg(from).arg(&to).status();
        assert!(done.expect("install starts").success());
        to
    }

    /// Any program, with an environment that the caller's settings do not reach.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env("XDG_CACHE_HOME", self.cache())
            .stdin(Stdio::null());
        for name in [
            "LD_PRELOAD",
            "VIRTUAL_ENV",
            "DEADWEIGHT_AGENT",
            "NO_COLOR",
            "CLICOLOR_FORCE",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// `deadweight` with these arguments.
    pub fn deadweight<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(DEADWEIGHT);
        command.args(arguments);
        command
    }

    /// `deadweight run -q` with the tests' Python and these arguments.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.deadweight(["run", "-q", "--python"]);
        command.arg(python()).args(arguments);
        command
    }

    /// Runs it, expects an error of deadweight itself, and returns its message.
    pub fn refusal<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        refusal(&mut self.deadweight(arguments))
    }
}

pub fn refusal(command: &mut Command) -> String {
    let output = output(command);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(text(&output.stdout), "");
    message
}

pub fn output(command: &mut Command) -> Output {
    command.output().expect("the command starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that runs in a process group of its own and has said `ready`.
pub struct Ready {
    pub child: Child,
    pub out: BufReader<std::process::ChildStdout>,
}

impl Ready {
    pub fn start(command: &mut Command) -> Ready {
        let command = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = hearing_signals(command).spawn().expect("the command starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = Ready { child, out };
        assert_eq!(ready.line(), "ready\n");
        ready
    }

    /// The next line that the program prints, with its end; empty if it prints no more.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line of the program");
        line
    }

    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id() as i32)
    }
}

/// The same command, which ignores no signal: a shell starts what runs in its background with SIGINT and SIGQUIT ignored,
/// `nohup` with SIGHUP, and both would reach the program.
pub fn hearing_signals(command: &mut Command) -> &mut Command {
    let hear = || {
        for heard in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
            // SAFETY: no handler is installed.
            unsafe { signal(heard, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: `signal` may be called between fork and exec, and nothing is allocated.
    unsafe { command.pre_exec(hear) }
}

/// Waits until it is so.
///
/// # Panics
/// If it is not so within a minute, far beyond what any machine needs.
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
