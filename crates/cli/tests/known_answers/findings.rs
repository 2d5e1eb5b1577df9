//! Programs with one memory problem each, bad and good: what the report finds, and that it finds nothing in the good one.

use serde_json::Value;

use crate::amounts::line_of;
use crate::pythons::{Findings, Python, each};
use crate::recording::folder;
use crate::started::{DEADWEIGHT, command, own_program, run};

/// What must be found in the bad variant.
struct Expected {
    /// The program's function.
    name: &'static str,
    kinds: &'static [&'static str],
    /// Whether it must be more than good to know.
    grave: bool,
    /// Text of the line that must be named.
    line: &'static str,
    /// Words that must stand somewhere in the finding.
    words: &'static str,
    snapshots: bool,
}

const FROM_EVENTS: Expected = Expected {
    name: "",
    kinds: &[],
    grave: true,
    line: "",
    words: "",
    snapshots: false,
};

/// The findings of one run.
fn findings_of(python: &Python, expected: &Expected, variant: &str) -> Result<Vec<Value>, String> {
    let folder = folder();
    let mut around = command(DEADWEIGHT, folder.path());
    around.args(["run", "-q", "-o", "c.dw"]);
    if !expected.snapshots {
        around.arg("--no-snapshots");
    }
    around.args(["--", &python.path]).arg(own_program("findings"));
    let ended = run(around.args([expected.name, variant]))?;
    if !ended.status.success() {
        return Err(format!("{}: {}", ended.how(), ended.err));
    }
    let mut report = command(DEADWEIGHT, folder.path());
    let ended = run(report.args(["report", "c.dw", "--format", "json"]))?;
    let report: Value = serde_json::from_str(&ended.out).map_err(|error| format!("{error}: {}", ended.err))?;
    Ok(report["findings"].as_array().cloned().unwrap_or_default())
}

fn is_grave(found: &Value) -> bool {
    found["severity"] != "low"
}

/// Whether this is the finding that is expected.
fn fits(found: &Value, expected: &Expected, line: u32) -> bool {
    let kind = found["kind"].as_str().unwrap_or_default();
    let lines = found["user_sites"].as_array().into_iter().flatten();
    expected.kinds.contains(&kind)
        && is_grave(found) == expected.grave
        && lines.clone().any(|site| site["line"] == line)
        && found.to_string().contains(expected.words)
}

fn shown(found: &[Value]) -> String {
    let one = |found: &Value| format!("{} {} {}", found["kind"], found["severity"], found["title"]);
    found.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn check(python: &Python, expected: &Expected, findings: &mut Findings) {
    let name = expected.name;
    if let Some(found) = findings.take(&format!("{name} bad"), findings_of(python, expected, "bad")) {
        let line = line_of(&own_program("findings"), expected.line);
        findings.check(found.iter().any(|found| fits(found, expected, line)), || {
            format!("{name} bad: line {line} is not found: {}", shown(&found))
        });
    }
    check_good(python, expected, findings);
}

fn check_good(python: &Python, expected: &Expected, findings: &mut Findings) {
    let name = expected.name;
    if let Some(found) = findings.take(&format!("{name} good"), findings_of(python, expected, "good")) {
        findings.check(!found.iter().any(is_grave), || {
            format!("{name} good: {}", shown(&found))
        });
    }
}

#[test]
fn native_memory_that_is_lost_is_found_and_a_cache_is_not() {
    each("native_leak", |python, findings| {
        if !python.has("_ctypes") {
            return;
        }
        let expected = Expected {
            name: "native_leak",
            kinds: &["native_leak"],
            line: "block = libc.malloc(MIB)  # lost here",
            words: "never freed",
            ..FROM_EVENTS
        };
        check(python, &expected, findings);
        check_good(
            python,
            &Expected {
                name: "native_cache",
                ..expected
            },
            findings,
        );
    });
}

#[test]
fn objects_whose_references_are_lost_are_found() {
    each("lost_reference", |python, findings| {
        if !python.has("_ctypes") {
            return;
        }
        let expected = Expected {
            name: "lost_reference",
            kinds: &["uncollectable", "native_leak"],
            line: "data = b\"x\" * MIB  # lost here",
            words: "a second",
            ..FROM_EVENTS
        };
        check(python, &expected, findings);
    });
}

#[test]
fn growth_whose_end_is_not_seen_is_good_to_know() {
    each("growth", |python, findings| {
        let expected = Expected {
            name: "growth",
            kinds: &["growing_holder"],
            grave: false,
            line: "kept.append(b\"x\" * MIB)  # kept here",
            words: "grew steadily",
            ..FROM_EVENTS
        };
        check(python, &expected, findings);
    });
}

#[test]
fn a_whole_file_and_copies_at_the_peak_are_named_as_what_they_are() {
    each("spikes", |python, findings| {
        let expected = Expected {
            name: "whole_file",
            kinds: &["peak_spike"],
            grave: false,
            line: "data = file.read()  # all of it",
            words: "needs the whole file at once",
            ..FROM_EVENTS
        };
        check(python, &expected, findings);
        let expected = Expected {
            name: "copies",
            line: "second = first.replace(b\"x\", b\"y\")",
            words: "3 blocks of 60.0 MiB were live at the same time",
            ..expected
        };
        check(python, &expected, findings);
    });
}

#[test]
fn cycles_and_growing_containers_are_found_in_snapshots() {
    each("snapshots", |python, findings| {
        let expected = Expected {
            name: "cycle",
            kinds: &["cyclic_garbage"],
            line: "self.data = bytearray(b\"x\" * (2 * MIB))  # kept here",
            words: "View.table",
            snapshots: true,
            ..FROM_EVENTS
        };
        check(python, &expected, findings);
        let expected = Expected {
            name: "holder",
            kinds: &["growing_holder"],
            line: "kept.append(bytearray(b\"x\" * (2 * MIB)))  # kept here",
            words: "<local kept>",
            ..expected
        };
        check(python, &expected, findings);
    });
}
