//! Which crate may depend on which, and which have no unsafe code.

use serde_json::Value;

use crate::checkout;

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

/// The arrows between crates.
pub fn check(metadata: &Value, violations: &mut Vec<String>) {
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
pub fn check_safety(violations: &mut Vec<String>) {
    for name in SAFE {
        let folder = checkout::root().join("crates").join(name);
        let library = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if folder.join("Cargo.toml").exists() && !library.contains("#![forbid(unsafe_code)]") {
            violations.push(format!("crates/{name}/src/lib.rs lacks #![forbid(unsafe_code)]"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, kind: Option<&str>, dependency: &str) -> Value {
        serde_json::json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": kind}]}]})
    }

    fn violations(metadata: &Value) -> usize {
        let mut violations = Vec::new();
        check(metadata, &mut violations);
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
}
