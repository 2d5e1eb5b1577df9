//! The ledger of resident memory against what programs know of themselves and what the kernel says.

use serde_json::Value;

use crate::pythons::{Findings, Python, each_of_ends_alone};
use crate::recording::{Mode, around, folder};
use crate::started::{DEADWEIGHT, command, own_program, run};
use crate::stated::{Facts, number};

const MIB: u64 = 1 << 20;
const PARTS: [&str; 8] = [
    "python_objects",
    "native_blocks",
    "allocator_slack",
    "file_backed",
    "shared_memory",
    "thread_stacks",
    "deadweight",
    "unexplained",
];

/// The report of a run of a scenario, and what the scenario states.
fn report(python: &Python, mode: Mode, scenario: &str) -> Result<(Value, Facts), String> {
    let folder = folder();
    let mut command_line = around(python, mode, folder.path());
    command_line.arg(own_program("resident")).arg(scenario);
    let ended = run(&mut command_line)?;
    if !ended.status.success() {
        return Err(format!("{}: {}", ended.how(), ended.err));
    }
    let shown = run(command(DEADWEIGHT, folder.path()).args(["report", "c.dw", "--format", "json"]))?;
    let report = serde_json::from_str(&shown.out).map_err(|error| format!("{error}: {}", shown.err))?;
    Ok((report, Facts::of(&ended.out)))
}

/// What holds for every program: the parts add up, and little is unexplained.
///
/// Pages that several processes share are divided between them now and then, and in between the peak is estimated: there
/// more may be unexplained.
fn adds_up(report: &Value, rss: Option<u64>, what: &str, findings: &mut Findings) {
    let part_unexplained = if report["processes"].as_array().is_some_and(|all| all.len() > 1) {
        7
    } else {
        20
    };
    let ledger = &report["peak"]["ledger"];
    let part = |name: &str| ledger[name].as_u64();
    let sum: Option<u64> = PARTS.iter().map(|name| part(name)).sum();
    let peak = report["peak"]["rss_bytes"].as_u64().unwrap_or(0);
    findings.check(sum.is_some_and(|sum| sum.abs_diff(peak) <= 16), || {
        format!("{what}: the parts are {sum:?} of {peak}: {ledger}")
    });
    let unexplained = part("unexplained").unwrap_or(u64::MAX);
    findings.check(unexplained <= peak / part_unexplained, || {
        format!("{what}: {unexplained} of {peak} are unexplained: {ledger}")
    });
    if let Some(rss) = rss {
        findings.check(peak >= rss - rss / 50, || {
            format!("{what}: a peak of {peak}, where the kernel says {rss}")
        });
    }
}

/// Runs a scenario in both modes and holds the ledger against what it states.
fn each_mode(scenario: &str, check: impl Fn(&Value, &Facts, &str, &mut Findings)) {
    each_of_ends_alone(scenario, |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(7)] {
            let what = format!("{scenario} {mode:?}");
            let Some((report, facts)) = findings.take(&what, report(python, mode, scenario)) else {
                continue;
            };
            let Some(fact) = findings.take(&what, facts.one("resident")) else {
                continue;
            };
            let alone = fact.get("processes").is_none();
            adds_up(&report, alone.then(|| number(fact, "rss")), &what, findings);
            for name in PARTS.iter().filter(|name| fact.get(**name).is_some()) {
                let (found, made) = (report["peak"]["ledger"][name].as_u64(), number(fact, name));
                // What Python and its libraries have themselves is on top. Some of what was free is used again.
                let least = if *name == "allocator_slack" {
                    made / 10 * 8
                } else {
                    made / 100 * 96
                };
                let fits = found.is_some_and(|found| (least..made + 40 * MIB).contains(&found));
                findings.check(fits, || {
                    format!("{what}: {name} is {found:?}, not {made}: {}", report["peak"]["ledger"])
                });
            }
            check(&report, &facts, &what, findings);
        }
    });
}

/// The first finding of a kind.
fn finding<'r>(report: &'r Value, kind: &str) -> Option<&'r Value> {
    let mut findings = report["findings"].as_array().into_iter().flatten();
    findings.find(|found| found["kind"] == kind)
}

fn has(report: &Value, kind: &str) -> bool {
    finding(report, kind).is_some()
}

#[test]
fn untouched_pages_do_not_count() {
    each_mode("touched", |report, _, what, findings| {
        findings.check(!has(report, "allocator_slack"), || {
            format!("{what}: {}", report["findings"])
        });
    });
}

#[test]
fn a_mapped_file_is_named() {
    each_mode("file", |report, facts, what, findings| {
        let path = facts
            .one("resident")
            .ok()
            .and_then(|fact| fact["path"].as_str().map(String::from));
        let found = report["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|found| found["kind"] == "file_mapping");
        let named = found
            .zip(path)
            .is_some_and(|(found, path)| found["title"].as_str().is_some_and(|title| title.contains(&path)));
        findings.check(named, || format!("{what}: {}", report["findings"]));
        let grave = found.is_some_and(|found| found["severity"] != "low");
        findings.check(!grave, || format!("{what}: a mapped file is no fault"));
    });
}

#[test]
fn arenas_that_few_small_objects_pin_are_slack() {
    // The peak is the moment before: the slack is what stays.
    each_of_ends_alone("arenas", |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(7)] {
            let what = format!("arenas {mode:?}");
            let Some((report, _)) = findings.take(&what, report(python, mode, "arenas")) else {
                continue;
            };
            adds_up(&report, None, &what, findings);
            let found = finding(&report, "allocator_slack");
            let title = found.and_then(|found| found["title"].as_str()).unwrap_or_default();
            findings.check(title.contains("Python's allocator for small objects"), || {
                format!("{what}: {}", report["findings"])
            });
            let bytes = found.and_then(|found| found["bytes"].as_u64()).unwrap_or(0);
            findings.check((40 * MIB..100 * MIB).contains(&bytes), || {
                format!("{what}: {bytes} bytes of slack")
            });
        }
    });
}

#[test]
fn what_threads_freed_in_their_arenas_is_slack() {
    each_of_ends_alone("threads", |python, findings| {
        for mode in [Mode::Exact, Mode::Sampled(7)] {
            let what = format!("threads {mode:?}");
            let Some((report, _)) = findings.take(&what, report(python, mode, "threads")) else {
                continue;
            };
            adds_up(&report, None, &what, findings);
            let found = finding(&report, "allocator_slack");
            let bytes = found.and_then(|found| found["bytes"].as_u64()).unwrap_or(0);
            findings.check((70 * MIB..150 * MIB).contains(&bytes), || {
                format!("{what}: {bytes} bytes of slack: {report}")
            });
        }
    });
}

#[test]
fn shared_memory_counts_once() {
    each_mode("shared", |_, _, _, _| {});
}

#[test]
fn what_a_child_copies_is_no_slack() {
    each_mode("copies", |report, _, what, findings| {
        let ledger = &report["peak"]["ledger"];
        let slack = ledger["allocator_slack"].as_u64().unwrap_or(u64::MAX);
        findings.check(slack < 20 * MIB, || format!("{what}: {ledger}"));
        findings.check(!has(report, "allocator_slack"), || {
            format!("{what}: {}", report["findings"])
        });
    });
}
