//! The arrows between the folders within a crate, and circles of files.
//!
//! [`CRATES`] is the plan that docs/architecture.md draws: which folder may import which. No two files import each
//! other, directly or through others; a circle that cannot be opened yet stands in [`Layers::circles`] by name, and must leave
//! it when it is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{self, Imports};
use crate::{Fallible, checkout};

/// The plan of one crate's source folder.
pub struct Layers {
    /// The folder, from the root of the checkout.
    source: &'static str,
    /// Each folder in it (with the file of the same name), or file beside the folders, and which others it may import.
    allowed: &'static [(&'static str, &'static [&'static str])],
    /// Circles of files that are still there, each with its files in alphabetical order.
    circles: &'static [&'static [&'static str]],
}

/// All plans.
const CRATES: &[Layers] = &[
    Layers {
        source: "crates/cli/src",
        allowed: &[
            ("args", &[]),
            (
                "commands",
                &["args", "launch", "linux", "load", "snapshot", "supervise", "ui"],
            ),
            ("launch", &["args", "linux", "supervise"]),
            ("linux", &[]),
            ("load", &["linux", "supervise"]),
            ("main", &["args", "commands", "supervise"]),
            ("snapshot", &["launch", "linux"]),
            ("supervise", &["linux"]),
            ("ui", &[]),
        ],
        circles: &[],
    },
    Layers {
        source: "crates/report/src",
        allowed: &[
            ("attribution", &["model", "words"]),
            ("baseline", &["identity", "model", "words"]),
            ("build", &["attribution", "model", "words"]),
            ("check", &["baseline", "model", "text", "words"]),
            (
                "diff",
                &["attribution", "export", "findings", "identity", "model", "words"],
            ),
            ("export", &["attribution", "model", "words"]),
            ("findings", &["attribution", "build", "knowledge", "model", "words"]),
            ("heap", &["attribution", "build", "findings", "model", "words"]),
            ("identity", &["model", "words"]),
            ("json_schema", &["baseline", "check", "diff", "heap", "model"]),
            ("knowledge", &["model"]),
            ("lib", &[]),
            (
                "make_report",
                &["attribution", "build", "findings", "knowledge", "model"],
            ),
            ("model", &[]),
            ("text", &["diff", "heap", "model", "words"]),
            ("words", &["model"]),
        ],
        circles: &[],
    },
    Layers {
        source: "crates/agent/src",
        allowed: &[
            ("arch", &[]),
            ("at_exit", &["python"]),
            ("called", &["recorder"]),
            (
                "catalogue",
                &["filter", "memory", "output", "python", "stacks", "table"],
            ),
            ("config", &["os", "path"]),
            ("exports", &["real", "recorder", "thread"]),
            ("filter", &["memory"]),
            ("lib", &["pymem", "real", "recorder"]),
            ("list", &["memory"]),
            ("live_block", &[]),
            ("lock", &["os", "sync", "thread"]),
            ("memory", &["os"]),
            ("os", &["arch", "path"]),
            ("output", &["arch", "config", "os", "path", "segment"]),
            ("path", &[]),
            ("pymem", &["python", "recorder", "thread"]),
            ("python", &["thread"]),
            ("real", &["os"]),
            (
                "recorder",
                &[
                    "at_exit",
                    "catalogue",
                    "config",
                    "filter",
                    "live_block",
                    "lock",
                    "os",
                    "output",
                    "path",
                    "python",
                    "regions",
                    "sampler",
                    "snapshot",
                    "stacks",
                    "table",
                    "thread",
                ],
            ),
            ("regions", &["os", "python", "thread"]),
            ("sampler", &["thread"]),
            ("segment", &["os"]),
            (
                "snapshot",
                &[
                    "arch",
                    "config",
                    "list",
                    "live_block",
                    "memory",
                    "os",
                    "output",
                    "path",
                    "segment",
                    "table",
                ],
            ),
            ("stacks", &["memory", "table"]),
            ("sync", &[]),
            ("table", &["memory"]),
            ("thread", &["arch"]),
        ],
        circles: &[&[
            "snapshot/child.rs",
            "snapshot/child/chunks.rs",
            "snapshot/child/memory.rs",
            "snapshot/child/objects.rs",
        ]],
    },
    Layers {
        source: "crates/analysis/src",
        allowed: &[
            ("analyse", &["answer", "error", "ledger", "read", "replay"]),
            ("answer", &["stacks"]),
            ("error", &[]),
            ("fold", &["error", "read", "replay"]),
            ("ledger", &["answer", "error", "read", "replay"]),
            ("lib", &[]),
            ("read", &["replay"]),
            ("replay", &["answer", "stacks"]),
            ("stacks", &[]),
        ],
        circles: &[],
    },
    Layers {
        source: "crates/capture/src",
        allowed: &[
            ("error", &[]),
            ("event", &["ids", "linetable"]),
            ("header", &[]),
            ("ids", &[]),
            ("lib", &[]),
            ("linetable", &[]),
            ("manifest", &["error", "wire"]),
            (
                "read",
                &[
                    "error",
                    "event",
                    "header",
                    "ids",
                    "linetable",
                    "manifest",
                    "varint",
                    "wire",
                ],
            ),
            ("rss_samples", &[]),
            ("timeline", &["error", "manifest"]),
            ("varint", &[]),
            ("wire", &[]),
            ("write", &["event", "ids", "linetable", "varint", "wire"]),
        ],
        circles: &[],
    },
    Layers {
        source: "crates/cpython/src",
        allowed: &[
            ("bytes", &["layout", "memory", "type_object"]),
            ("code", &["layout", "memory"]),
            ("context", &["layout", "memory"]),
            ("debug_offsets", &["layout", "memory", "mismatch", "version"]),
            ("frame", &["layout", "memory"]),
            ("heap", &["layout", "memory", "mismatch", "runtime", "unicode"]),
            ("layout", &["version"]),
            ("lib", &[]),
            ("memory", &[]),
            ("mismatch", &[]),
            ("runtime", &["debug_offsets", "layout", "memory", "mismatch"]),
            ("type_object", &["layout", "memory", "mismatch"]),
            ("unicode", &["layout", "memory", "type_object"]),
            ("version", &[]),
        ],
        circles: &[],
    },
    Layers {
        source: "crates/heap/src",
        allowed: &[
            ("analyse", &["answer", "error", "graph", "read"]),
            ("answer", &[]),
            ("ask", &["analyse", "answer", "graph"]),
            ("error", &[]),
            ("graph", &[]),
            ("growth", &["answer"]),
            ("lib", &[]),
            ("read", &["error", "graph"]),
        ],
        circles: &[],
    },
];

/// Holds every plan against the sources.
pub fn check(violations: &mut Vec<String>) -> Fallible<()> {
    for layers in CRATES {
        let imports = imports::of_folder(&checkout::root().join(layers.source))?;
        layers.check(&imports, violations);
    }
    Ok(())
}

/// Prints each crate's folders with the folders that they import.
pub fn print() -> Fallible<()> {
    for layers in CRATES {
        println!("{}", layers.source);
        let imports = imports::of_folder(&checkout::root().join(layers.source))?;
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (file, others) in &imports {
            let from = folder(file);
            let to = others.iter().map(|other| folder(other)).filter(|to| *to != from);
            arrows.entry(from).or_default().extend(to);
        }
        for (from, to) in arrows {
            println!("    {from} -> {}", to.into_iter().collect::<Vec<_>>().join(", "));
        }
        for circle in circles(&imports) {
            println!("    circle: {}", circle.join(", "));
        }
    }
    Ok(())
}

impl Layers {
    fn check(&self, imports: &Imports, violations: &mut Vec<String>) {
        self.check_arrows(imports, violations);
        let circles = circles(imports);
        for circle in circles
            .iter()
            .filter(|circle| !self.circles.contains(&circle.as_slice()))
        {
            violations.push(format!(
                "{}: {} import each other in a circle",
                self.source,
                circle.join(", ")
            ));
        }
        for gone in self
            .circles
            .iter()
            .filter(|known| circles.iter().all(|circle| circle != *known))
        {
            violations.push(format!(
                "{}: the circle {} is no more: take it out of {}",
                self.source,
                gone.join(", "),
                file!()
            ));
        }
    }

    fn check_arrows(&self, imports: &Imports, violations: &mut Vec<String>) {
        let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (file, imported) in imports {
            let from = folder(file);
            let Some((_, allowed)) = self.allowed.iter().find(|(name, _)| *name == from) else {
                violations.push(format!(
                    "{}/{file} is in no folder of the plan ({})",
                    self.source,
                    file!()
                ));
                continue;
            };
            for other in imported {
                let to = folder(other);
                used.insert((from, to));
                if from != to && !allowed.contains(&to) {
                    violations.push(format!(
                        "{}/{file} imports {other}: {from} must not import {to}",
                        self.source
                    ));
                }
            }
        }
        for (from, allowed) in self.allowed {
            if !imports.keys().any(|file| folder(file) == *from) {
                violations.push(format!("{}/{from} is in the plan and not there", self.source));
            }
            for to in allowed.iter().filter(|to| !used.contains(&(*from, **to))) {
                violations.push(format!(
                    "{}: {from} may import {to} and does not: the plan allows too much",
                    self.source
                ));
            }
        }
    }
}

/// The first folder of a path, or the name of a file beside the folders.
fn folder(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The sets of files that import each other, directly or through others; each in alphabetical order.
fn circles(imports: &Imports) -> Vec<Vec<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (file.as_str(), reachable(imports, file)))
        .collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        let circle: Vec<&str> = others
            .iter()
            .copied()
            .filter(|other| reached[other].contains(file))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// All files that a file imports, directly or through others.
fn reachable<'a>(imports: &'a Imports, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![file];
    while let Some(file) = waiting.pop() {
        for other in imports.get(file).into_iter().flatten() {
            if found.insert(other.as_str()) {
                waiting.push(other);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Layers = Layers {
        source: "src",
        allowed: &[("main", &["view"]), ("view", &["model"]), ("model", &[])],
        circles: &[],
    };

    fn violations(layers: &Layers, arrows: &[(&str, &[&str])]) -> Vec<String> {
        let imports = arrows.iter().map(|(file, others)| {
            let others = others.iter().map(|other| (*other).to_owned()).collect();
            ((*file).to_owned(), others)
        });
        let mut violations = Vec::new();
        layers.check(&imports.collect(), &mut violations);
        violations
    }

    #[test]
    fn what_is_as_planned_is_no_violation() {
        let arrows: [(&str, &[&str]); 4] = [
            ("main.rs", &["view/a.rs"]),
            ("view.rs", &["view/a.rs"]),
            ("view/a.rs", &["model.rs"]),
            ("model.rs", &[]),
        ];
        assert_eq!(violations(&PLAN, &arrows), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_against_the_plan_is_named() {
        let arrows: [(&str, &[&str]); 4] = [
            ("main.rs", &["view.rs"]),
            ("view.rs", &["model.rs"]),
            ("model.rs", &["model/b.rs"]),
            ("model/b.rs", &["main.rs"]),
        ];
        let found = violations(&PLAN, &arrows);
        assert!(
            found
                .iter()
                .any(|what| what == "src/model/b.rs imports main.rs: model must not import main"),
            "{found:?}"
        );
    }

    #[test]
    fn a_file_outside_the_plan_and_a_folder_that_is_not_there_are_named() {
        let arrows: [(&str, &[&str]); 3] = [("main.rs", &["view.rs"]), ("view.rs", &[]), ("odd.rs", &[])];
        let found = violations(&PLAN, &arrows).join("\n");
        for words in [
            "src/odd.rs is in no folder",
            "src/model is in the plan and not there",
            "view may import model and does not",
        ] {
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[test]
    fn a_circle_is_named_unless_it_is_known_and_one_that_is_gone_must_leave_the_table() {
        let arrows: [(&str, &[&str]); 4] = [
            ("main.rs", &["view.rs"]),
            ("view.rs", &["model.rs", "view/a.rs"]),
            ("view/a.rs", &["view.rs"]),
            ("model.rs", &[]),
        ];
        assert_eq!(
            violations(&PLAN, &arrows),
            ["src: view.rs, view/a.rs import each other in a circle"]
        );
        let known = Layers {
            circles: &[&["view.rs", "view/a.rs"]],
            ..PLAN
        };
        assert_eq!(violations(&known, &arrows), Vec::<String>::new());
        let gone: [(&str, &[&str]); 3] = [("main.rs", &["view.rs"]), ("view.rs", &["model.rs"]), ("model.rs", &[])];
        let found = violations(&known, &gone);
        assert!(
            matches!(&found[..], [one] if one.contains("the circle view.rs, view/a.rs is no more")),
            "{found:?}"
        );
    }
}
