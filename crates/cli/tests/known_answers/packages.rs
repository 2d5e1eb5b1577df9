//! Packages from PyPI for a Python, in the user's cache: fetched once, and only as wheels.

use std::path::PathBuf;
use std::process::Command;

use crate::pythons::Python;
use crate::skips::{absent, skip};

/// What pip says when PyPI cannot be reached.
const UNREACHABLE: [&str; 5] = [
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "NameResolutionError",
];
/// And when there is no wheel for this Python.
const NO_WHEEL: &str = "No matching distribution found";

fn cache() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("deadweight-tests/packages"))
}

/// The folder with these packages, to be put on `PYTHONPATH`; `None` where they cannot be had, which is said.
///
/// # Errors
/// If pip fails otherwise.
pub fn folder(python: &Python, packages: &[&str]) -> Result<Option<PathBuf>, String> {
    let what = format!("{} for Python {}", packages.join(" and "), python.name);
    let Some(cache) = cache() else {
        skip(&what, "neither HOME nor XDG_CACHE_HOME is set");
        return Ok(None);
    };
    let folder = cache.join(format!("{}-3.{}", packages.join("-"), python.minor));
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    let has_pip = Command::new(&python.path).args(["-m", "pip", "--version"]).output();
    if !has_pip.is_ok_and(|output| output.status.success()) {
        absent(&what, "this Python has no pip");
        return Ok(None);
    }
    // Made beside its place: what stands there is complete.
    let part = cache.join(format!("part-{}-3.{}", std::process::id(), python.minor));
    std::fs::create_dir_all(&part).map_err(|error| format!("{}: {error}", part.display()))?;
    let output = Command::new(&python.path)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "1",
        ])
        .args(["--only-binary", ":all:", "--target"])
        .arg(&part)
        .args(packages)
        .output()
        .map_err(|error| error.to_string())?;
    let done = output.status.success() && (std::fs::rename(&part, &folder).is_ok() || folder.is_dir());
    let _ = std::fs::remove_dir_all(&part); // it is elsewhere now, or useless
    if done {
        return Ok(Some(folder));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if UNREACHABLE.iter().any(|sign| said.contains(sign)) {
        skip(&what, "PyPI cannot be reached");
    } else if said.contains(NO_WHEEL) {
        absent(&what, "there is no wheel");
    } else {
        return Err(format!("pip cannot install {what}: {said}"));
    }
    Ok(None)
}
