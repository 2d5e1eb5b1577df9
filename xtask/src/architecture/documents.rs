//! Documents name only files that exist.

use super::relative;
use crate::checkout;

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

/// Checks all documents.
pub fn check(violations: &mut Vec<String>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_lose_line_numbers_and_patterns_are_left_out() {
        let text = "see `crates/cli/build.rs:12`, `crates/*/src`, `docs/format.md`, crates/none and `cratesmen/x`";
        assert_eq!(
            paths_in(text).collect::<Vec<_>>(),
            ["crates/cli/build.rs", "docs/format.md"]
        );
    }
}
