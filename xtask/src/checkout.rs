//! Where things are: the checkout, its build directory, and what Cargo knows about its packages.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Fallible, shell};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the checkout")
        .to_path_buf()
}

/// Cargo's build directory, absolute.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// The release binary, where `cargo build --release` puts it.
pub fn release_binary() -> PathBuf {
    target().join("release/deadweight")
}

/// What `cargo metadata --no-deps` says about the workspace.
pub fn metadata() -> Fallible<Value> {
    let text = shell::output(shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    Ok(serde_json::from_str(&text)?)
}

/// The names of the default members, as `cargo test` without a selection would take them.
pub fn default_members(metadata: &Value) -> Vec<String> {
    let empty = Vec::new();
    let ids = metadata["workspace_default_members"].as_array().unwrap_or(&empty);
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    packages
        .iter()
        .filter(|package| ids.contains(&package["id"]))
        .map(|package| text(&package["name"]))
        .collect()
}

/// A JSON string's text, or an empty one.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// All files under a folder of the checkout, except build results, caches and hidden files; sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let of_cargo = path.join("CACHEDIR.TAG").exists();
            if name.starts_with('.') || of_cargo || matches!(&*name, "node_modules" | "__pycache__") {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
