//! The contract `deadweight.report/1`, written down once more.

use deadweight_report::{BuildOptions, Report, build, json};
use serde_json::{Value, json};

use crate::fixture;

fn rendered(report: &Report) -> Value {
    let mut out = Vec::new();
    json::render(report, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// Every name of the contract must be there; a list's only element describes all elements. A string tells the
/// type, with `?` if it may be null.
fn conforms(path: &str, contract: &Value, value: &Value) {
    match contract {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = format!("{path}.{name}");
                let found = value.get(name).unwrap_or_else(|| panic!("{path} is missing"));
                conforms(&path, inner, found);
            }
        }
        Value::Array(element) => {
            let list = value.as_array().unwrap_or_else(|| panic!("{path} is no list"));
            for (index, found) in list.iter().enumerate() {
                conforms(&format!("{path}[{index}]"), &element[0], found);
            }
        }
        Value::String(kind) => {
            let (kind, nullable) = kind
                .strip_suffix('?')
                .map_or((kind.as_str(), false), |kind| (kind, true));
            let fits = match kind {
                "int" => value.is_u64() || value.is_i64(),
                "float" => value.is_number(),
                "text" => value.is_string(),
                "bool" => value.is_boolean(),
                one_of => value
                    .as_str()
                    .is_some_and(|text| one_of.split('|').any(|word| word == text)),
            };
            assert!(fits || nullable && value.is_null(), "{path} is {value}, not {kind}");
        }
        other => panic!("no contract: {other}"),
    }
}

fn contract() -> Value {
    let exit = json!({
        "kind": "ok|failed|signalled|oom_killed|unknown", "status": "int?", "signal": "int?",
        "limit_bytes": "int?", "limit_kind": "cgroup|rlimit|machine?"
    });
    let place = json!({ "file": "text", "line": "int?", "function": "text" });
    let mut site = json!({ "bytes": "int", "error_bytes": "int", "blocks": "int", "stack": [place] });
    site.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
    let mut contract = json!({
        "schema": "deadweight.report/1",
        "run": {
            "argv": ["text"], "python": "text?", "mode": "sampled|exact", "sampling_interval_bytes": "int?",
            "started": "text?", "seconds": "float?", "complete": "bool", "exit": exit
        },
        "processes": [{
            "pid": "int", "parent": "int?", "argv": ["text"], "peak_rss_bytes": "int?", "peak_heap_bytes": "int?",
            "exit": exit
        }],
        "peak": {
            "seconds": "float?", "pid": "int?", "heap_bytes": "int?", "rss_bytes": "int?",
            "sites": [site], "user_sites": [site],
            "ledger": {
                "python_objects": "int?", "native_blocks": "int?", "allocator_slack": "int?", "file_backed": "int?",
                "shared_memory": "int?", "thread_stacks": "int?", "deadweight": "int?", "unexplained": "int?"
            }
        },
        "warnings": ["text"]
    });
    contract["findings"] = json!([{
        "kind": "out_of_memory|cyclic_garbage|uncollectable|growing_holder|native_leak|peak_spike|allocator_slack|child_process|file_mapping",
        "severity": "high|medium|low", "title": "text", "bytes": "int?", "share_of_peak": "float?", "count": "int?",
        "type": "text?", "pid": "int?", "sites": [site], "chain": [{ "type": "text", "edge": "text" }],
        "cycle": "bool?", "freeable_by_gc": "bool?", "lingered_seconds": "float?", "suggestion": "text?"
    }]);
    contract["churn"] = json!({ "bytes": "int", "blocks": "int", "sites": [site] });
    contract["end"] = json!({ "heap_bytes": "int?", "sites": [site] });
    contract
}

#[test]
fn every_report_conforms_to_the_contract() {
    let runs = [fixture::bench(), fixture::pool(), fixture::hostile()];
    for run in runs {
        conforms("report", &contract(), &rendered(&fixture::report(run)));
    }
    let empty = build(None, &fixture::nothing(), &[], &BuildOptions::default());
    conforms("report", &contract(), &rendered(&empty));
}

#[test]
fn a_missing_fact_is_null() {
    let value = rendered(&build(None, &fixture::nothing(), &[], &BuildOptions::default()));
    for pointer in [
        "/run/python",
        "/run/started",
        "/run/seconds",
        "/run/exit/status",
        "/run/exit/limit_kind",
        "/peak/seconds",
        "/peak/pid",
        "/peak/heap_bytes",
        "/peak/rss_bytes",
        "/peak/ledger/python_objects",
        "/peak/ledger/unexplained",
        "/end/heap_bytes",
    ] {
        assert_eq!(value.pointer(pointer), Some(&Value::Null), "{pointer}");
    }
    assert_eq!(value["run"]["exit"]["kind"], "unknown");
    assert_eq!(value["run"]["complete"], false);
    assert_eq!(value["peak"]["sites"], json!([]));
}

#[test]
fn an_exact_run_has_no_interval() {
    let value = rendered(&fixture::report(fixture::pool()));
    assert_eq!(value["run"]["mode"], "exact");
    assert_eq!(value["run"]["sampling_interval_bytes"], Value::Null);
    let value = rendered(&fixture::report(fixture::bench()));
    assert_eq!(value["run"]["mode"], "sampled");
    assert_eq!(value["run"]["sampling_interval_bytes"], 65_536);
}

#[test]
fn json_of_one_process() {
    let mut out = Vec::new();
    json::render(&fixture::report(fixture::bench()), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn json_of_a_pool() {
    let mut out = Vec::new();
    json::render(&fixture::report(fixture::pool()), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}
