//! The rules about crates and files that no compiler checks.
//!
//! Which crate may depend on which is a decision (docs/architecture.md draws it), and [`ALLOWED`] holds it true.

use std::path::Path;

use serde_json::Value;

use crate::{Fallible, checkout};

/// Each package and what it may depend on among ours, in normal and build dependencies.
const ALLOWED: &[(&str, &[&str])] = &[
    ("deadweight-capture", &[]),
    ("deadweight-cpython", &[]),
    ("deadweight-agent", &["deadweight-capture", "deadweight-cpython"]),
    ("deadweight-analysis", &["deadweight-capture"]),
    ("deadweight-heap", &["deadweight-capture"]),
    ("deadweight-report", &["deadweight-analysis", "deadweight-heap"]),
    // Never the agent: it defines malloc, which would replace the program's own. Its bytes are embedded by build.rs.
    (
        "deadweight",
        &[
            "deadweight-capture",
            "deadweight-analysis",
            "deadweight-heap",
            "deadweight-report",
        ],
    ),
    ("xtask", &[]),
];

/// The crates that contain no unsafe code.
const SAFE: &[&str] = &["capture", "cpython", "analysis", "heap", "report"];

/// Words that say nothing about what is in a file.
const VAGUE: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager", "managers",
];

/// The folders whose files a document may name, from the root of the checkout.
const NAMED: &[&str] = &[
    "crates",
    "docs",
    "xtask",
    "python",
    "examples",
    "tests/programs",
    "web",
    ".ci",
    ".cargo",
];

/// The folders that hold our sources.
const SOURCES: &[&str] = &["crates", "xtask", "python", "tests", "examples", "web"];

const LONG_LINES: usize = 500;
const TOO_LONG_LINES: usize = 900;

/// Checks every rule; the error lists all violations.
pub fn check() -> Fallible<()> {
    let mut violations = Vec::new();
    edges(&checkout::metadata()?, &mut violations);
    safety(&mut violations);
    names_and_lengths(&mut violations);
    documents(&mut violations);
    if violations.is_empty() {
        println!("architecture: all rules hold");
        return Ok(());
    }
    for violation in &violations {
        println!("architecture: {violation}");
    }
    Err(format!("architecture: {} violations", violations.len()).into())
}

/// The arrows between crates.
fn edges(metadata: &Value, violations: &mut Vec<String>) {
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = checkout::text(&package["name"]);
        let Some((_, allowed)) = ALLOWED.iter().find(|(package, _)| *package == name) else {
            violations.push(format!(
                "package {name} is not in the table of allowed dependencies (xtask/src/architecture.rs)"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = checkout::text(&dependency["name"]);
            let ours = ALLOWED.iter().any(|(package, _)| *package == target);
            let for_tests = dependency["kind"] == "dev" && (name == "deadweight" || target != "deadweight-agent");
            if ours && !for_tests && !allowed.contains(&&*target) {
                violations.push(format!("{name} must not depend on {target}"));
            }
        }
    }
}

/// Crates that promise to have no unsafe code say so to the compiler.
fn safety(violations: &mut Vec<String>) {
    for name in SAFE {
        let folder = checkout::root().join("crates").join(name);
        let library = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if folder.join("Cargo.toml").exists() && !library.contains("#![forbid(unsafe_code)]") {
            violations.push(format!("crates/{name}/src/lib.rs lacks #![forbid(unsafe_code)]"));
        }
    }
}

/// Files have telling names and are not too long.
fn names_and_lengths(violations: &mut Vec<String>) {
    for path in SOURCES
        .iter()
        .flat_map(|folder| checkout::files(&checkout::root().join(folder)))
    {
        let shown = relative(&path);
        let words = shown.split(['/', '.', '_', '-']).map(str::to_ascii_lowercase);
        if let Some(vague) = words.into_iter().find(|word| VAGUE.contains(&&**word)) {
            violations.push(format!("{shown}: \"{vague}\" says nothing about what is in it"));
        }
        let extension = path.extension().unwrap_or_default();
        if ["rs", "py", "ts", "js"].iter().any(|of_source| extension == *of_source) {
            let lines = std::fs::read_to_string(&path).unwrap_or_default().lines().count();
            if lines > TOO_LONG_LINES {
                violations.push(format!("{shown} has {lines} lines, more than {TOO_LONG_LINES}"));
            } else if lines > LONG_LINES {
                println!("warning: {shown} has {lines} lines, more than {LONG_LINES}");
            }
        }
    }
}

/// Documents name only files that exist.
fn documents(violations: &mut Vec<String>) {
    let root = checkout::root();
    let at_root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name));
    let in_folders = ["docs", "tests", "crates"]
        .iter()
        .flat_map(|folder| checkout::files(&root.join(folder)));
    for document in at_root.into_iter().chain(in_folders) {
        if document.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&document).unwrap_or_default();
        for path in paths_in(&text) {
            if !root.join(path).exists() {
                violations.push(format!("{} names {path}, which does not exist", relative(&document)));
            }
        }
    }
}

/// The paths of our files that a document quotes in backticks, without line numbers and patterns.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(|quoted| quoted.split(':').next().unwrap_or(quoted))
        .filter(|path| {
            let mut ours = NAMED.iter().filter_map(|folder| path.strip_prefix(folder));
            ours.any(|rest| rest.starts_with('/')) && !path.contains(['*', '{', '<', '…', ' ', '$'])
        })
}

fn relative(path: &Path) -> String {
    path.strip_prefix(checkout::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, kind: Option<&str>, dependency: &str) -> Value {
        serde_json::json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": kind}]}]})
    }

    fn violations(metadata: &Value) -> usize {
        let mut violations = Vec::new();
        edges(metadata, &mut violations);
        violations.len()
    }

    #[test]
    fn the_program_never_depends_on_the_agent() {
        assert_eq!(violations(&package("deadweight", None, "deadweight-agent")), 1);
        assert_eq!(violations(&package("deadweight", Some("build"), "deadweight-agent")), 1);
        assert_eq!(violations(&package("deadweight", Some("dev"), "deadweight-agent")), 0);
        assert_eq!(
            violations(&package("deadweight-report", Some("dev"), "deadweight-agent")),
            1
        );
    }

    #[test]
    fn a_package_outside_the_table_is_a_violation() {
        assert_eq!(violations(&package("deadweight-extra", None, "clap")), 1);
        assert_eq!(violations(&package("deadweight-analysis", None, "clap")), 0);
    }

    #[test]
    fn quoted_paths_lose_line_numbers_and_patterns_are_left_out() {
        let text = "see `crates/cli/build.rs:12`, `crates/*/src`, `docs/format.md`, crates/none and `cratesmen/x`";
        assert_eq!(
            paths_in(text).collect::<Vec<_>>(),
            ["crates/cli/build.rs", "docs/format.md"]
        );
    }
}
