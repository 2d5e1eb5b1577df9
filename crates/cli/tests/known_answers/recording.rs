//! A program run under `deadweight run`, and what its capture says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use deadweight_analysis::{Analysis, ProcessAnswer, StackTree, analyse};
use deadweight_capture::StackId;
use deadweight_capture::read::Capture;
use tempfile::TempDir;

use crate::pythons::Python;
use crate::started::{DEADWEIGHT, Ended, command, run};
use crate::stated::Facts;

/// How to record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Exact,
    /// As by default, with this seed.
    Sampled(u64),
}

/// A folder to run in.
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("deadweight-known-")
        .tempdir()
        .expect("a folder for the run")
}

/// `deadweight run` around the interpreter; the caller adds the interpreter's arguments.
pub fn around(python: &Python, mode: Mode, folder: &Path) -> Command {
    let mut command = command(DEADWEIGHT, folder);
    command.args(["run", "-q", "-o", "c.dw"]);
    match mode {
        Mode::Exact => command.arg("--exact"),
        Mode::Sampled(seed) => command.env("DEADWEIGHT_SEED", seed.to_string()),
    };
    command.args(["--", &python.path]);
    command
}

/// A finished run.
pub struct Recording {
    pub ended: Ended,
    pub facts: Facts,
    pub capture: Capture,
    pub analysis: Analysis,
    _folder: TempDir,
}

impl Recording {
    /// Runs `program` with no arguments, which must end with status 0 and be recorded without a complaint.
    pub fn of(python: &Python, mode: Mode, program: PathBuf) -> Result<Recording, String> {
        Recording::with(python, mode, |command| {
            command.arg(&program);
        })
        .and_then(Recording::sound)
    }

    /// Runs whatever `arguments` makes of the command.
    pub fn with(python: &Python, mode: Mode, arguments: impl FnOnce(&mut Command)) -> Result<Recording, String> {
        let folder = folder();
        let mut command = around(python, mode, folder.path());
        arguments(&mut command);
        let ended = run(&mut command)?;
        Recording::read(ended, folder)
    }

    /// Reads the capture of a run that has ended.
    pub fn read(ended: Ended, folder: TempDir) -> Result<Recording, String> {
        let read = Capture::open(&folder.path().join("c.dw"));
        let capture = read.map_err(|error| format!("unreadable: {error}; {ended:?}"))?;
        let analysis = analyse(&capture).map_err(|error| format!("not analysed: {error}; {ended:?}"))?;
        Ok(Recording {
            facts: Facts::of(&ended.out),
            ended,
            capture,
            analysis,
            _folder: folder,
        })
    }

    /// Refuses a run that failed or is not recorded as a whole.
    pub fn sound(self) -> Result<Recording, String> {
        if !self.ended.status.success() {
            return Err(format!("{}: {}", self.ended.how(), self.ended.err));
        }
        let notes = self.analysis.processes.iter().flat_map(|process| &process.notes);
        let complaints: Vec<&String> = self.analysis.warnings.iter().chain(notes).collect();
        if complaints.is_empty() {
            Ok(self)
        } else {
            Err(format!("the capture complains: {complaints:?}"))
        }
    }

    /// The only process of a program that starts none.
    pub fn process(&self) -> Result<&ProcessAnswer, String> {
        match &self.analysis.processes[..] {
            [process] => Ok(process),
            others => Err(format!("{} processes instead of one", others.len())),
        }
    }
}

/// What a frame shows.
pub fn frames(stacks: &StackTree, stack: StackId) -> Vec<String> {
    let text = |frame: deadweight_analysis::FrameName<'_>| format!("{}:{} {}", frame.file, frame.line, frame.function);
    stacks.frames(stack).map(text).collect()
}

/// The innermost function of a stack.
pub fn function(stacks: &StackTree, stack: StackId) -> String {
    let frame = stacks.frame(stack);
    frame.map(|frame| frame.function.to_string()).unwrap_or_default()
}

/// Blocks summed by innermost function.
pub fn by_function(stacks: &StackTree, blocks: &[(u64, StackId)]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (size, stack) in blocks {
        *sums.entry(function(stacks, *stack)).or_default() += size;
    }
    sums
}
