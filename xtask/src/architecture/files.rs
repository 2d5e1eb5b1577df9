//! Files have telling names, are not too long, and stand where they belong.

use super::relative;
use crate::{Fallible, checkout, shell};

/// Words that say nothing about what is in a file.
const VAGUE: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager", "managers",
];

/// The folders that hold our sources.
const SOURCES: &[&str] = &["crates", "xtask", "python", "tests", "examples", "web"];

/// What belongs at the root of the checkout.
const AT_ROOT: &[&str] = &[
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "bench",
    "crates",
    "deny.toml",
    "docs",
    "examples",
    "fixtures",
    "pyproject.toml",
    "python",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "xtask",
];

const LONG_LINES: usize = 500;
const TOO_LONG_LINES: usize = 900;

/// Checks all files.
pub fn check(violations: &mut Vec<String>) -> Fallible<()> {
    names_and_lengths(violations);
    // In an unpacked source distribution there is nobody who could have added a file by mistake.
    if checkout::root().join(".git").exists() {
        let mut list = shell::command("git");
        list.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        at_root(&shell::output(list)?, violations);
    }
    Ok(())
}

/// Refuses what is at the root of the checkout by mistake, given the paths of all files that git does not ignore.
fn at_root(paths: &str, violations: &mut Vec<String>) {
    let mut first: Vec<&str> = paths
        .lines()
        .map(|path| path.split('/').next().unwrap_or(path))
        .collect();
    first.sort_unstable();
    first.dedup();
    for name in first.into_iter().filter(|name| !AT_ROOT.contains(name)) {
        violations.push(format!(
            "{name} does not belong at the root of the checkout ({})",
            file!()
        ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_file_at_the_root_is_refused() {
        let mut violations = Vec::new();
        at_root(
            "README.md\ncrates/cli/src/main.rs\ncrates/cli/build.rs\n",
            &mut violations,
        );
        assert_eq!(violations, Vec::<String>::new());
        at_root("README.md\n100000\nnotes/a.md\n", &mut violations);
        assert!(
            matches!(&violations[..], [file, folder] if file.starts_with("100000 ") && folder.starts_with("notes "))
        );
    }
}
