//! Which interpreters are tested.

use std::path::{Path, PathBuf};

/// Every Python to test: the usual places, then those in `DEADWEIGHT_PYTHONS` (paths with colons between them).
/// An absent one is reported as skipped; one that was asked for and is absent is an error.
pub fn all() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = home.join(".pyenv/versions");
    let mut candidates: Vec<PathBuf> = ["3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0"]
        .iter()
        .map(|version| versions.join(version).join("bin/python3"))
        .collect();
    candidates.push("/usr/bin/python3.11".into());
    candidates.retain(|path| {
        let there = path.exists();
        if !there {
            println!("skipped: {} (no such file)", path.display());
        }
        there
    });
    if let Some(extra) = std::env::var_os("DEADWEIGHT_PYTHONS") {
        for path in std::env::split_paths(&extra).filter(|path| !path.as_os_str().is_empty()) {
            assert!(
                path.exists(),
                "DEADWEIGHT_PYTHONS names {}, which does not exist",
                path.display()
            );
            candidates.push(path);
        }
    }
    if candidates.is_empty() {
        println!("skipped: no interpreter found; name some in DEADWEIGHT_PYTHONS");
    }
    candidates
}

/// How an interpreter is called in messages.
pub fn name(path: &Path) -> String {
    path.display().to_string()
}
