//! The Pythons of this machine that the tests run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::shell::{self, ArgSelf};

/// The environment variable that tells tests which Pythons to run: paths, separated by colons.
pub const VARIABLE: &str = "DEADWEIGHT_PYTHONS";

/// The minor versions of Python 3 that deadweight supports.
pub const SUPPORTED: std::ops::RangeInclusive<u32> = 9..=15;

/// One interpreter.
pub struct Python {
    /// The path to start it by, links resolved.
    pub path: PathBuf,
    /// Its version in full.
    pub version: (u32, u32, u32),
    /// Whether it runs without the global interpreter lock.
    pub free_threaded: bool,
}

impl Python {
    /// A short name for files: `3.12.1`, or `3.13.0t` for a free-threaded one.
    pub fn name(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}{}", if self.free_threaded { "t" } else { "" })
    }
}

impl fmt::Display for Python {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:8} {}", self.name(), self.path.display())
    }
}

/// The supported CPythons in pyenv's folder, in /usr/bin and /usr/local/bin and on the path: each executable once, oldest version first.
pub fn find() -> Vec<Python> {
    let mut found = BTreeMap::new();
    for path in candidates() {
        if let Some(python) = ask(&path) {
            found.entry((python.version, python.path.clone())).or_insert(python);
        }
    }
    found.into_values().collect()
}

/// The value of [`VARIABLE`] for these interpreters.
pub fn joined(pythons: &[Python]) -> String {
    pythons
        .iter()
        .map(|python| python.path.display().to_string())
        .collect::<Vec<_>>()
        .join(":")
}

fn candidates() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map_or(home.join(".pyenv"), PathBuf::from)
        .join("versions");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(pyenv)
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin/python3"))
        .filter(|path| path.exists())
        .collect();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ["/usr/bin", "/usr/local/bin"]
        .map(PathBuf::from)
        .into_iter()
        .chain(std::env::split_paths(&on_path));
    for folder in folders {
        let of_minor = SUPPORTED.map(|minor| folder.join(format!("python3.{minor}")));
        paths.extend(of_minor.chain([folder.join("python3")]).filter(|path| path.exists()));
    }
    paths
}

/// What the program at `path` says of itself; nothing unless it is a supported CPython. (A pyenv shim of a version that is
/// not chosen here fails, for example.)
fn ask(path: &Path) -> Option<Python> {
    let question = "import os, sys, sysconfig\n\
        assert sys.implementation.name == 'cpython' and sys.maxsize > 2**32\n\
        print(*sys.version_info[:3], int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))), os.path.realpath(sys.executable))";
    let answer = shell::output(shell::command(path).arg_self("-c").arg_self(question)).ok()?;
    let mut words = answer.splitn(5, ' ');
    let mut number = || words.next()?.parse().ok();
    let version = (number()?, number()?, number()?);
    let free_threaded = number()? == 1;
    let path = PathBuf::from(words.next()?);
    (version.0 == 3 && SUPPORTED.contains(&version.1)).then_some(Python {
        path,
        version,
        free_threaded,
    })
}
