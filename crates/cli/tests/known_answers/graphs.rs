//! Heap snapshots of programs that know their own graph: the cycles, the holders, and what the collector would free.

use std::collections::BTreeMap;
use std::process::Command;

use deadweight_heap::{Cause, Holder, SnapshotAnswer, Step, analyse_heap};
use serde_json::Value;

use crate::packages;
use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, Recording};
use crate::skips::absent;
use crate::started::{own_program, python_package};
use crate::stated::number;

/// Runs a program that takes snapshots, and analyses the one with this label.
fn snapshot_of(
    python: &Python,
    arguments: impl FnOnce(&mut Command),
    label: &str,
) -> Result<(Recording, SnapshotAnswer), String> {
    let recording = Recording::with(python, Mode::Sampled(5), |command| {
        command.env("PYTHONPATH", python_package());
        arguments(command);
    })?
    .sound()?;
    let mut answers = Vec::new();
    for files in recording.capture.heaps() {
        answers.push(analyse_heap(files).map_err(|error| error.to_string())?);
    }
    let found = answers.into_iter().find(|answer| answer.label == label);
    let answer = found.ok_or_else(|| format!("there is no snapshot {label:?}: {}", recording.ended.err))?;
    if !answer.complete || !answer.warnings.is_empty() {
        return Err(format!("the snapshot is not whole: {:?}", answer.warnings));
    }
    if answer.cause != Cause::Called {
        return Err(format!("the snapshot was taken because of {:?}", answer.cause));
    }
    Ok((recording, answer))
}

/// Without ctypes a program cannot call the agent.
fn can_call(python: &Python) -> bool {
    let can = python.has("_ctypes");
    if !can {
        absent(
            &python.name,
            "built without ctypes, so it cannot call deadweight.snapshot()",
        );
    }
    can
}

fn text(step: &Step) -> String {
    format!("{}{}", step.type_name, step.edge)
}

/// The steps that a program states: its own types without their module, others after `=`.
fn stated_steps(fact: &Value) -> Vec<String> {
    let steps = fact["steps"].as_array().into_iter().flatten();
    let whole = |step: &str| match step.strip_prefix('=') {
        Some(step) => step.to_string(),
        None => format!("__main__.{step}"),
    };
    steps.filter_map(Value::as_str).map(whole).collect()
}

/// Up to 3.10 a generator and a coroutine refer to an object for their frame.
fn without_frames(chain: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for step in chain {
        let frame = [".gi_frame", ".cr_frame", ".ag_frame"]
            .iter()
            .find_map(|name| joined.last()?.strip_suffix(name).map(str::to_string));
        match (frame, step.strip_prefix("frame<local ")) {
            (Some(owner), Some(rest)) => {
                joined.pop();
                joined.push(format!("{owner}<local {rest}"));
            }
            _ => joined.push(step),
        }
    }
    joined
}

fn is_rotation(found: &[String], stated: &[String]) -> bool {
    found.len() == stated.len()
        && (0..stated.len()).any(|start| stated[start..].iter().chain(&stated[..start]).eq(found))
}

/// Whether the snapshot has every cycle that the program states, with these edges and so often.
fn check_cycles(recording: &Recording, answer: &SnapshotAnswer, findings: &mut Findings) {
    for fact in recording.facts.all("cycle") {
        let stated = stated_steps(fact);
        let instances = number(fact, "instances");
        let chains = answer.cycles.iter().map(|group| {
            let chain: Vec<String> = group.cycle.iter().map(text).collect();
            (without_frames(chain), group.instances)
        });
        let own = stated
            .first()
            .and_then(|step| step.split(['.', '[']).nth(1))
            .unwrap_or_default();
        let is_found = chains
            .clone()
            .any(|(chain, count)| is_rotation(&chain, &stated) && count == instances);
        findings.check(is_found, || {
            let similar: Vec<_> = chains
                .filter(|(chain, _)| chain.iter().any(|step| step.contains(own)))
                .collect();
            format!(
                "{} is not found {instances} times as {stated:?}, but {similar:?}",
                fact["name"]
            )
        });
    }
}

/// The numbers of objects by type that differ.
fn differences(found: &BTreeMap<String, u64>, stated: &BTreeMap<String, u64>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = found.keys().chain(stated.keys()).collect();
    let count = |map: &BTreeMap<String, u64>, name: &String| map.get(name).copied().unwrap_or(0);
    let differing = names
        .into_iter()
        .filter(|name| count(found, name) != count(stated, name));
    differing
        .map(|name| {
            format!(
                "{name}: {} in the snapshot, {} collected",
                count(found, name),
                count(stated, name)
            )
        })
        .collect()
}

#[test]
fn every_kind_of_cycle_is_named_and_garbage_is_what_the_collector_frees() {
    each("garbage", |python, findings| {
        if !can_call(python) {
            return;
        }
        let snapshot = snapshot_of(
            python,
            |command| {
                command.arg(own_program("garbage"));
            },
            "garbage",
        );
        let Some((recording, answer)) = findings.take("garbage.py", snapshot) else {
            return;
        };
        check_cycles(&recording, &answer, findings);
        let Some(collected) = findings.take("garbage.py", recording.facts.one("collected").cloned()) else {
            return;
        };
        let stated: BTreeMap<String, u64> = collected["types"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, count)| (name.clone(), count.as_u64().expect("a count")))
            .collect();
        let found: BTreeMap<String, u64> = answer
            .garbage_types
            .iter()
            .filter(|of| of.collected > 0)
            .map(|of| (of.type_name.clone(), of.collected))
            .collect();
        let sum: u64 = found.values().sum();
        findings.detail = format!(", {sum} objects of garbage");
        findings.check(sum == number(&collected, "count"), || {
            format!(
                "{sum} objects of garbage in the snapshot, and gc.collect() found {}",
                collected["count"]
            )
        });
        for difference in differences(&found, &stated) {
            findings.check(false, || difference);
        }
    });
}

#[test]
fn cycles_that_finalizers_break_are_garbage_too() {
    each("finalized", |python, findings| {
        if !can_call(python) {
            return;
        }
        let snapshot = snapshot_of(
            python,
            |command| {
                command.arg(own_program("garbage")).arg("finalized");
            },
            "garbage",
        );
        let Some((recording, answer)) = findings.take("garbage.py finalized", snapshot) else {
            return;
        };
        check_cycles(&recording, &answer, findings);
        if let Some(died) = findings.take("garbage.py finalized", recording.facts.one("died").cloned()) {
            findings.check(died["count"] == died["made"], || format!("not all are freed: {died}"));
            let names: Vec<&str> = died["types"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let own = answer
                .garbage_types
                .iter()
                .filter(|of| names.contains(&of.type_name.as_str()));
            let found: u64 = own.map(|of| of.objects).sum();
            findings.check(found == number(&died, "count"), || {
                format!("{found} of them in the snapshot's garbage: {died}")
            });
        }
    });
}

/// How much more than stated a holder may hold: its own header, the alignment of blocks, a growing buffer's spare room.
const MORE: f64 = 1.1;

/// Whether every local variable that the program states is a holder of what it states.
fn check_holders(recording: &Recording, answer: &SnapshotAnswer, function: &str, findings: &mut Findings) {
    for fact in recording.facts.all("holder") {
        let name = fact["name"].as_str().unwrap_or_default();
        let bytes = number(fact, "bytes");
        let local = format!("frame {function}<local {name}>");
        let global = format!("module.{name}");
        let is_of = |holder: &&Holder| {
            let mut steps = holder.path.iter().map(text);
            steps.next().is_some_and(|first| first == local) || steps.any(|step| step == global)
        };
        let found: Vec<&Holder> = answer.holders.iter().filter(is_of).collect();
        let held: u64 = found.iter().map(|holder| holder.amount.bytes()).sum();
        let is_right = (bytes..=(bytes as f64 * MORE) as u64).contains(&held);
        findings.check(is_right && found.len() == 1, || {
            format!("{name} holds {bytes} bytes, and the snapshot says {held}: {found:?}")
        });
    }
}

#[test]
fn memory_is_held_by_its_only_holder() {
    each("held", |python, findings| {
        if !can_call(python) {
            return;
        }
        let snapshot = snapshot_of(
            python,
            |command| {
                command.arg(own_program("held"));
            },
            "held",
        );
        if let Some((recording, answer)) = findings.take("held.py", snapshot) {
            check_holders(&recording, &answer, "hold", findings);
        }
    });
}

#[test]
fn arrays_count_once_and_cycles_through_arrays_of_objects_are_uncollectable() {
    each("arrays", |python, findings| {
        let installed = findings.take("numpy", packages::folder(python, &["numpy"]));
        let (Some(Some(installed)), true) = (installed, can_call(python)) else {
            return;
        };
        let path = std::env::join_paths([python_package(), installed]).expect("no colons in these");
        let snapshot = snapshot_of(
            python,
            |command| {
                command.env("PYTHONPATH", path).arg(own_program("held")).arg("numpy");
            },
            "held",
        );
        let Some((recording, answer)) = findings.take("held.py numpy", snapshot) else {
            return;
        };
        check_holders(&recording, &answer, "with_numpy", findings);
        let Some(fact) = findings.take("held.py numpy", recording.facts.one("uncollectable").cloned()) else {
            return;
        };
        let wanted = ["__main__.Framed.cells", "numpy.ndarray[0]"].map(String::from);
        let found = answer.uncollectable.iter().any(|group| {
            let chain: Vec<String> = group.cycle.iter().map(text).collect();
            is_rotation(&chain, &wanted)
                && group.instances == number(&fact, "instances")
                && group.amount.bytes() >= number(&fact, "bytes")
        });
        findings.check(found, || format!("{fact} is not among {:?}", answer.uncollectable));
        let own = answer.cycles.iter().find(|group| group.type_name == "__main__.Framed");
        findings.check(own.is_none(), || format!("the collector would not free {own:?}"));
    });
}
