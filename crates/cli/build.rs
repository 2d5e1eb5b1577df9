//! Builds the agent, so that its bytes can be embedded, and lists the pages about findings for `src/commands/explain.rs`.
//!
//! The agent is no dependency of this crate: a linked agent would replace the malloc of `deadweight` itself.
//! It is built by a cargo of its own, with its own profile and features, in a folder of its own (so that the two
//! cargos do not wait for each other's lock) that all builds of this crate share: the agent is the same in a debug and in
//! a release build, and takes as long to build as both. `DEADWEIGHT_PREBUILT_AGENT` names a file to embed instead.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// What the agent is made of, relative to this crate.
const SOURCES: [&str; 8] = [
    "../agent",
    "../capture/src",
    "../capture/Cargo.toml",
    "../cpython/src",
    "../cpython/Cargo.toml",
    "../../Cargo.toml",
    "../../Cargo.lock",
    "../../.cargo",
];

/// What the outer cargo sets for its own compilations (coverage, clippy) and what must not reach the agent's.
const NOT_FOR_THE_AGENT: [&str; 5] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
];

fn main() {
    println!("cargo::rerun-if-env-changed=DEADWEIGHT_PREBUILT_AGENT");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    // A path that does not exist would make every build run this again.
    for source in SOURCES
        .iter()
        .map(|source| here.join(source))
        .filter(|path| path.exists())
    {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let agent = match env::var_os("DEADWEIGHT_PREBUILT_AGENT").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => build(&here),
    };
    if !agent.is_file() {
        fail(&format!("there is no agent at {}", agent.display()));
    }
    println!("cargo::rustc-env=DEADWEIGHT_AGENT_SO={}", agent.display());
    pages(&here.join("../../docs/guide/findings"));
}

/// Writes the table of the pages in a folder: each one is named after the kind of finding that it explains.
fn pages(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) => fail(&format!("{} cannot be read: {error}", folder.display())),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let mut table = String::from("const PAGES: &[(&str, &str)] = &[\n");
    for path in paths {
        let kind = path.file_stem().unwrap_or_default().to_string_lossy();
        table.push_str(&format!(
            "    ({kind:?}, include_str!({:?})),\n",
            path.display().to_string()
        ));
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("finding_pages.rs");
    if let Err(error) = std::fs::write(&out, table) {
        fail(&format!("{} cannot be written: {error}", out.display()));
    }
}

fn build(here: &Path) -> PathBuf {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // target/PROFILE/build/PACKAGE/out
    let folder = out.ancestors().nth(4).unwrap_or(&out).join("agent");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--lib",
            "--package",
            "deadweight-agent",
            "--profile",
            "agent",
        ])
        .args(["--target", &target, "--manifest-path"])
        .arg(here.join("../agent/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder);
    // The outer cargo has just brought the lock file up to date: this one has nothing to decide.
    if here.join("../../Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for name in NOT_FOR_THE_AGENT {
        cargo.env_remove(name);
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!(
            "the agent (crates/agent) could not be built ({status}): its errors stand above. \
             DEADWEIGHT_PREBUILT_AGENT=/path/to/libdeadweight_agent.so embeds another one"
        )),
        Err(error) => fail(&format!("cargo could not be started to build the agent: {error}")),
    }
    // Embedded is a file of this build's own: another build may replace the shared one at any time.
    let own = out.join("libdeadweight_agent.so");
    let built = folder.join(target).join("agent/libdeadweight_agent.so");
    if let Err(error) = std::fs::copy(&built, &own) {
        fail(&format!("{} cannot be copied: {error}", built.display()));
    }
    own
}

fn fail(what: &str) -> ! {
    println!("cargo::error={what}");
    exit(1)
}
