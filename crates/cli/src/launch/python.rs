//! Which Python runs the program, and whether the agent can be loaded into it.

use std::env;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access};

use crate::linux::elf::{self, Program};

/// The Python to use: the one asked for, else the active environment's, else the one beside `deadweight`, else the
/// first on `PATH`.
pub fn find(asked_for: Option<&Path>) -> Result<PathBuf> {
    let python = match asked_for {
        Some(path) => named(path)?,
        None => environments().or_else(beside_us).or_else(on_path).context(
            "no Python found: neither $VIRTUAL_ENV nor PATH has a python3 or python. \
             Activate an environment, or name one with --python /path/to/python",
        )?,
    };
    check(&python)?;
    Ok(python)
}

fn named(path: &Path) -> Result<PathBuf> {
    if path.components().count() == 1 && !path.exists() {
        return find_command(path.as_os_str()).with_context(|| {
            format!(
                "--python {}: there is no such file, and no such command on PATH",
                path.display()
            )
        });
    }
    if !path.exists() {
        bail!("--python {}: there is no such file", path.display());
    }
    if path.is_dir() {
        bail!(
            "--python {}: this is a folder; name the interpreter in it (for a virtual environment {})",
            path.display(),
            path.join("bin/python").display()
        );
    }
    if !is_executable(path) {
        bail!("--python {}: this file is not executable", path.display());
    }
    Ok(std::path::absolute(path)?)
}

fn environments() -> Option<PathBuf> {
    let folder = env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join("bin/python")).filter(|python| is_executable(python))
}

/// `pip install deadweight` puts the program into the environment's `bin`.
fn beside_us() -> Option<PathBuf> {
    let exe = env::current_exe().ok()?;
    let folder = exe.parent()?;
    ["python", "python3"]
        .iter()
        .map(|name| folder.join(name))
        .find(|python| is_executable(python))
}

fn on_path() -> Option<PathBuf> {
    find_command(OsStr::new("python3")).or_else(|| find_command(OsStr::new("python")))
}

/// The executable file of this name on `PATH`.
pub fn find_command(name: &OsStr) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// Whether this is a file that we may execute.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// Says why the agent could not be loaded into this Python, before the dynamic loader does so or keeps silent.
fn check(python: &Path) -> Result<()> {
    let shown = python.display();
    match elf::inspect(python) {
        Ok(Program::Static) => bail!(
            "{shown} is linked statically: nothing can be loaded into it, so its memory cannot be recorded. \
             Choose a dynamically linked Python with --python"
        ),
        Ok(Program::OtherMachine) => bail!(
            "{shown} is for another processor or word size than this deadweight ({}). Choose another Python with \
             --python",
            env::consts::ARCH
        ),
        Ok(Program::Dynamic { loader }) if loader.contains("ld-musl") != cfg!(target_env = "musl") => bail!(
            "{shown} uses the C library of {loader}, and this deadweight was built for {}. Choose another Python with \
             --python",
            if cfg!(target_env = "musl") {
                "musl"
            } else {
                "glibc, which cannot be loaded beside musl"
            }
        ),
        // A pyenv shim or another wrapper: what it starts inherits the environment.
        Ok(Program::Script | Program::Dynamic { .. }) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            bail!("{shown} is damaged: it ends in the middle of its headers")
        }
        // Executable but not readable: the kernel can run it all the same.
        Err(_) => Ok(()),
    }
}
