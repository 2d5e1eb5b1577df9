//! Heap snapshots as they are taken by default: the program does not notice, and the report says what they show.

use crate::behaviour::{Case, check_case};
use crate::pythons::{Findings, Python, each_alone};
use crate::recording::{Mode, Recording};
use crate::started::{DEADWEIGHT, command, own_program, run};

const FILE: &str = "snapshotted";

#[test]
fn a_program_does_not_notice_its_snapshots() {
    const NAMES: [&str; 6] = [
        "nobody_to_wait_for",
        "same_process",
        "signals_all_the_time",
        "writer_is_killed",
        "collected_all_the_time",
        "forks_while_one_is_written",
    ];
    each_alone("snapshots", |python, findings| {
        for name in NAMES {
            let modes = &[Mode::Sampled(1)];
            check_case(
                python,
                &Case {
                    modes,
                    ..Case::new(FILE, name)
                },
                findings,
            );
        }
        taken(python, findings);
    });
}

/// That programs of their size have snapshots at all: one that still has its objects at its end.
fn taken(python: &Python, findings: &mut Findings) {
    let recorded = Recording::with(python, Mode::Sampled(1), |command| {
        command.arg(own_program(FILE)).arg("cycles");
    });
    if let Some(recording) = findings.take("snapshots", recorded) {
        let count = recording.capture.heaps().len();
        findings.check(count > 0, || "no snapshot was taken".to_owned());
    }
}

/// The first finding of a kind in a program of this file, and the report.
fn found(python: &Python, findings: &mut Findings, name: &str, kind: &str) -> (Option<serde_json::Value>, String) {
    let here = crate::recording::folder();
    let mut recorded = crate::recording::around(python, Mode::Sampled(1), here.path());
    recorded.arg(own_program(FILE)).arg(name);
    if findings.take(name, run(&mut recorded)).is_none() {
        return (None, String::new());
    }
    let mut report = command(DEADWEIGHT, here.path());
    report.args(["report", "c.dw", "--format", "json"]);
    let Some(report) = findings.take("report", run(&mut report)) else {
        return (None, String::new());
    };
    let json: serde_json::Value = serde_json::from_str(&report.out).unwrap_or_default();
    let all = json["findings"].as_array().cloned().unwrap_or_default();
    (all.into_iter().find(|finding| finding["kind"] == kind), report.out)
}

fn has_edge(finding: &serde_json::Value, edge: &str) -> bool {
    let chain = finding["chain"].as_array().cloned().unwrap_or_default();
    chain.iter().any(|step| step["edge"] == edge)
}

#[test]
fn what_grows_is_seen_while_the_main_thread_waits() {
    each_alone("threads", |python, findings| {
        let (found, report) = found(python, findings, "in_another_thread", "growing_holder");
        let is_right = |finding: &serde_json::Value| {
            let is_index = finding["type"].as_str().is_some_and(|name| name.ends_with("Index"));
            is_index && (has_edge(finding, ".first") || has_edge(finding, ".last"))
        };
        findings.check(found.as_ref().is_some_and(is_right), || {
            format!("no caches of Index.first and Index.last: {report}")
        });
    });
}

#[test]
fn cyclic_garbage_is_named_without_being_asked_for() {
    each_alone("cycles", |python, findings| {
        let (found, report) = found(python, findings, "cycles", "cyclic_garbage");
        let is_right = |finding: &serde_json::Value| has_edge(finding, ".neighbour");
        findings.check(found.as_ref().is_some_and(is_right), || {
            format!("no garbage held by .neighbour: {report}")
        });
        let count = found.and_then(|finding| finding["count"].as_u64()).unwrap_or(0);
        findings.check(count >= 20_000, || format!("{count} instances only"));
    });
}
