//! Where things are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

const DEADWEIGHT: &str = env!("CARGO_BIN_EXE_deadweight");

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout")
}

/// A guide's text.
pub fn guide(name: &str) -> String {
    fs::read_to_string(checkout().join("docs/guide").join(name)).expect("the guide")
}

/// A search path with the `deadweight` under test in front, and behind everything else what pyenv has: its shims refuse
/// versions that are not chosen.
pub fn search_path(folder: &Path) -> OsString {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a folder for programs");
    std::os::unix::fs::symlink(DEADWEIGHT, bin.join("deadweight")).expect("a link to deadweight");
    if let Some(python) = python39() {
        std::os::unix::fs::symlink(python, bin.join("python3.9")).expect("a link to Python");
    }
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(bin).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).expect("a search path")
}

/// A Python 3.9 of pyenv's or Debian's.
pub fn python39() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let root = std::env::var_os("PYENV_ROOT").map_or(home.join(".pyenv"), PathBuf::from);
    let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin/python3.9")).collect();
    found.extend(["/usr/bin/python3.9", "/usr/local/bin/python3.9"].map(PathBuf::from));
    found.into_iter().find(|path| path.exists())
}
