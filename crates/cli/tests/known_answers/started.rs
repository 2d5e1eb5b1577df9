//! A program that was started: its output, its end, and a limit for how long it may take.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::pythons::Python;

pub const DEADWEIGHT: &str = env!("CARGO_BIN_EXE_deadweight");

/// Nothing here takes more than a few seconds on a machine of its own: what takes this long hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// The known-answer programs that other tests share.
pub fn shared_program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/programs")
        .join(format!("{name}.py"))
}

/// This test's own programs.
pub fn own_program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/known_answers/programs")
        .join(format!("{name}.py"))
}

/// Where `import deadweight` is found.
pub fn python_package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python")
}

/// A command in a known environment, so that runs can be repeated and compared.
pub fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("LANG", "C.UTF-8")
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .current_dir(folder)
        .stdin(Stdio::null());
    // The chroot's tests run twice: with Python's JIT and without.
    for name in ["PYTHON_JIT", "DEADWEIGHT_AGENT"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The program as it is without deadweight.
pub fn plain(python: &Python, folder: &Path) -> Command {
    command(&python.path, folder)
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// `exit 0`, or `signal 9`.
    pub fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        }
    }
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A running program.
pub struct Started {
    child: Child,
    out: Bytes,
    err: Bytes,
    readers: Vec<JoinHandle<()>>,
}

fn collect(mut from: impl Read + Send + 'static) -> (Bytes, JoinHandle<()>) {
    let bytes = Bytes::default();
    let to = bytes.clone();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            to.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    });
    (bytes, reader)
}

impl Started {
    pub fn new(command: &mut Command) -> Started {
        let command = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let (out, of_out) = collect(child.stdout.take().expect("a pipe"));
        let (err, of_err) = collect(child.stderr.take().expect("a pipe"));
        let readers = vec![of_out, of_err];
        Started {
            child,
            out,
            err,
            readers,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has printed this.
    ///
    /// # Errors
    /// If it does not, or ends before.
    pub fn await_output(&mut self, text: &str) -> Result<(), String> {
        let start = Instant::now();
        while !self.printed().contains(text) {
            let ended = self.child.try_wait().expect("the child is ours").is_some();
            if start.elapsed() > LIMIT || ended {
                return Err(format!("does not print {text:?}; {}", self.tail()));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it hangs; then it and its group are killed.
    pub fn end(mut self) -> Result<Ended, String> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            if start.elapsed() > LIMIT {
                self.kill_group();
                let _ = self.child.wait(); // it was killed: how it ended says nothing
                return Err(format!("hangs: no end within {} s; {}", LIMIT.as_secs(), self.tail()));
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        // What the program left running may hold the pipes open.
        let closed = |readers: &[JoinHandle<()>]| readers.iter().all(JoinHandle::is_finished);
        let since = Instant::now();
        while !closed(&self.readers) && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !closed(&self.readers) {
            self.kill_group();
            return Err(format!(
                "left a process behind that holds its output open; {}",
                self.tail()
            ));
        }
        let text = |bytes: &Bytes| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        let (out, err) = (text(&self.out), text(&self.err));
        Ok(Ended { status, out, err })
    }

    fn kill_group(&self) {
        // It may be gone by now.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
    }

    fn tail(&self) -> String {
        let err = String::from_utf8_lossy(&self.err.lock().unwrap()).into_owned();
        let (out, err) = (last_line(&self.printed()), last_line(&err));
        format!("last output: {out:?}, last error: {err:?}")
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_string()
}

/// Runs to the end.
pub fn run(command: &mut Command) -> Result<Ended, String> {
    Started::new(command).end()
}
