//! Runs two commands in turn, each several times, and keeps what was recorded.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use deadweight_report::units;
use tempfile::TempDir;

use super::side::Side;
use crate::args::DiffArgs;

/// How often each command runs unless something else is asked for.
const RUNS: usize = 3;

/// Where the captures are.
enum Folder {
    /// Asked for.
    Kept(PathBuf),
    /// Removed when everything has gone well.
    Temporary(TempDir),
}

/// The commands have been run.
pub struct Ran {
    pub before: Side,
    pub after: Side,
    folder: Folder,
}

impl Folder {
    fn make(asked_for: Option<&Path>) -> Result<Folder> {
        let Some(path) = asked_for else {
            let folder = tempfile::Builder::new().prefix("deadweight-diff-").tempdir();
            return Ok(Folder::Temporary(
                folder.context("cannot make a folder for the captures")?,
            ));
        };
        match fs::create_dir(path) {
            Ok(()) => Ok(Folder::Kept(std::path::absolute(path)?)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{} exists already: choose another name with --keep", path.display())
            }
            Err(error) => Err(error).with_context(|| format!("cannot make the folder {}", path.display())),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Temporary(folder) => folder.path(),
        }
    }

    /// Keeps it, and returns where it is.
    fn keep(self) -> PathBuf {
        match self {
            Folder::Kept(path) => path,
            Folder::Temporary(folder) => folder.keep(),
        }
    }
}

impl Ran {
    /// Where the captures are for now.
    pub fn kept_in(&self) -> String {
        format!("the captures in {} were made, but", self.folder.path().display())
    }

    /// Removes the captures, or says where they are.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub fn end(self) -> Result<()> {
        match self.folder {
            Folder::Kept(path) => {
                progress(&format!("the captures are in {}", path.display()));
                Ok(())
            }
            Folder::Temporary(folder) => {
                let path = folder.path().display().to_string();
                folder.close().with_context(|| format!("cannot remove {path}"))
            }
        }
    }
}

/// A line of progress on standard error, which may be closed.
fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "deadweight: {text}");
}

/// Runs both commands.
///
/// # Errors
/// If a command cannot be started or fails. What was recorded by then is kept.
pub fn run(args: &DiffArgs) -> Result<Ran> {
    let runs = args.n.unwrap_or(RUNS);
    let commands = [words(&args.before)?, words(&args.after)?];
    let folder = Folder::make(args.keep.as_deref())?;
    let mut captures = [Vec::new(), Vec::new()];
    for run in 0..runs {
        // The order alternates: neither command always has the warmer caches.
        let order = if run % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            let name = format!("{}-{}", ["before", "after"][side], run + 1);
            match once(args, &commands[side], folder.path(), &name) {
                Ok(capture) => captures[side].push(capture),
                Err(error) => {
                    let kept = folder.keep();
                    return Err(error.context(format!("the captures and the output are in {}", kept.display())));
                }
            }
        }
    }
    let name = |words: &OsString| words.to_string_lossy().into_owned();
    Ok(Ran {
        before: Side::open(name(&args.before), &captures[0])?,
        after: Side::open(name(&args.after), &captures[1])?,
        folder,
    })
}

/// The words of a command as a shell would split them.
fn words(command: &OsString) -> Result<Vec<String>> {
    let text = command.to_str().context("a command must be valid UTF-8")?;
    let words = shlex::split(text).with_context(|| format!("a quote is not closed in the command: {text}"))?;
    if words.is_empty() {
        bail!("a command is empty: write for example --run 'python old.py' 'python new.py'");
    }
    Ok(words)
}

/// One run; returns its capture.
fn once(args: &DiffArgs, words: &[String], folder: &Path, name: &str) -> Result<PathBuf> {
    let capture = folder.join(format!("{name}.dw"));
    let log = folder.join(format!("{name}.log"));
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe().context("cannot find deadweight itself")?);
    command.args(["run", "--quiet", "--output"]).arg(&capture);
    if args.exact {
        command.arg("--exact");
    }
    // A script is run by Python; anything else is a command of its own.
    if !words[0].ends_with(".py") {
        command.arg("--");
    }
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("cannot share the file of the output")?)
        .stderr(output);
    let start = Instant::now();
    let status = command.status().context("cannot start deadweight run")?;
    let took = units::duration(start.elapsed().as_secs_f64());
    if !status.success() {
        let failure = format!("{name} ({}) {} after {took}", words.join(" "), ended(status));
        if !capture.is_dir() || !args.ignore_failure {
            let last = last_line(&log).map_or(String::new(), |line| format!("; its last words: {line}"));
            bail!("{failure}{last}");
        }
        progress(&failure);
    } else {
        progress(&format!("{name} took {took}"));
    }
    Ok(capture)
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}

/// What a program that failed said last.
fn last_line(log: &Path) -> Option<String> {
    let bytes = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    let shown: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(shown.trim().to_owned())
}
