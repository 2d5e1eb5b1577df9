//! What a run will do: the arguments after everything that can be wrong with them has been looked at.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::RunArgs;
use crate::launch::python;
use crate::linux::elf::{self, Program};

/// A run that can be started.
#[derive(Debug)]
pub struct Plan {
    /// The program to execute and its arguments.
    pub command: Vec<OsString>,
    /// The program as the user gave it, for people.
    pub argv: Vec<String>,
    /// What the capture is named after when no name is given.
    pub stem: String,
    /// The folder asked for.
    pub output: Option<PathBuf>,
    /// Whether that folder may be replaced.
    pub force: bool,
    /// Every block instead of a sample.
    pub exact: bool,
    /// Whether heap snapshots are taken.
    pub snapshots: bool,
    /// Sampling interval in bytes.
    pub interval_bytes: u64,
    /// Largest size of the capture.
    pub max_size_bytes: u64,
    /// Functions that are treated as regions.
    pub regions: Vec<String>,
    /// No diagnosis.
    pub quiet: bool,
}

impl Plan {
    /// Looks at the system: is there such a script, and a Python that can be recorded?
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do next.
    pub fn new(args: RunArgs) -> Result<Plan> {
        let interpreted = |option: Option<&str>, words: &[OsString]| -> Result<Vec<OsString>> {
            let python = python::find(args.python.as_deref())?;
            let option = option.map(OsString::from);
            Ok([python.into_os_string()]
                .into_iter()
                .chain(option)
                .chain(words.iter().cloned())
                .collect())
        };
        let (command, argv, stem) = if let Some(module) = args.module.first() {
            (
                interpreted(Some("-m"), &args.module)?,
                with_option("-m", &args.module),
                shown(module),
            )
        } else if !args.code.is_empty() {
            (
                interpreted(Some("-c"), &args.code)?,
                with_option("-c", &args.code),
                "code".to_string(),
            )
        } else if let Some(script) = args.script.first() {
            check_script(script)?;
            let stem = if script == "-" {
                "stdin".to_string()
            } else {
                file_stem(script)
            };
            (
                interpreted(None, &args.script)?,
                args.script.iter().map(shown).collect(),
                stem,
            )
        } else if let Some(name) = args.command.first() {
            let mut command = args.command.clone();
            command[0] = find_program(name)?.into_os_string();
            (command, args.command.iter().map(shown).collect(), file_stem(name))
        } else {
            bail!("nothing to run: name a script, -m MODULE, -c CODE, or -- COMMAND (see deadweight run --help)");
        };
        Ok(Plan {
            command,
            argv,
            stem,
            output: args.output,
            force: args.force,
            exact: args.exact,
            regions: args.region,
            snapshots: !args.no_snapshots,
            interval_bytes: args.interval,
            max_size_bytes: args.max_size,
            quiet: args.quiet,
        })
    }
}

fn shown(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

fn with_option(option: &str, words: &[OsString]) -> Vec<String> {
    [option.to_string()]
        .into_iter()
        .chain(words.iter().map(shown))
        .collect()
}

/// `jobs/bench.py` -> `bench`; `.` -> the folder's name.
pub fn file_stem(path: &OsStr) -> String {
    let path = Path::new(path);
    let whole = path.canonicalize().unwrap_or_default();
    let stem = path.file_stem().or(whole.file_stem()).unwrap_or(OsStr::new("capture"));
    stem.to_string_lossy().into_owned()
}

/// Everything that Python itself would complain about only after the capture had been made.
pub fn check_script(script: &OsStr) -> Result<()> {
    let (path, name) = (Path::new(script), script.to_string_lossy());
    if script == "-" {
        return Ok(()); // the program comes from standard input
    }
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !name.contains('/') && python::find_command(script).is_some() {
                bail!(
                    "there is no script {name} here, but there is a command of this name: use \
                     `deadweight run -m {name} ...` if it is a Python module, or `deadweight run -- {name} ...`"
                );
            }
            bail!(
                "there is no script {name}{}",
                if path.is_absolute() {
                    ""
                } else {
                    " in the current folder"
                }
            );
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read the script {name}")),
    };
    if metadata.is_dir() {
        if !path.join("__main__.py").is_file() && !path.join("__main__.pyc").is_file() {
            bail!("{name} is a folder without a __main__.py, so Python cannot run it: name a script in it");
        }
        return Ok(());
    }
    File::open(path).with_context(|| format!("cannot read the script {name}"))?;
    if metadata.is_file() && !matches!(elf::inspect(path), Ok(Program::Script) | Err(_)) {
        bail!("{name} is no Python script but a compiled program: use `deadweight run -- {name} ...`");
    }
    Ok(())
}

/// The file that a command's name stands for.
pub fn find_program(name: &OsStr) -> Result<PathBuf> {
    let (path, shown) = (Path::new(name), name.to_string_lossy());
    if !shown.contains('/') {
        return python::find_command(name).with_context(|| {
            format!("there is no command {shown} on PATH: check its spelling, or give its full path")
        });
    }
    if !path.exists() {
        bail!("there is no command {shown}: no such file");
    }
    if !python::is_executable(path) {
        bail!(
            "{shown} cannot be executed: make it executable, or use `deadweight run {shown}` if it is a Python script"
        );
    }
    Ok(path.to_path_buf())
}
