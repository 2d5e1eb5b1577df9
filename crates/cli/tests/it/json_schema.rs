//! The JSON that commands print, held against the schemas in `docs/schema`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::session::{Session, output, text};

/// It makes cyclic garbage, keeps much, has a child and a region, and fails.
const PROGRAM: &str = "import gc, subprocess, sys, deadweight
gc.disable()
class Node:
    def __init__(self):
        self.me = self
        self.content = bytearray(b'x') * (1 << 20)
with deadweight.region('garbage'):
    for _ in range(48):
        Node()
kept = [bytearray(b'x') * (1 << 20) for _ in range(48)]
deadweight.snapshot()
subprocess.run([sys.executable, '-c', 'x = bytearray(b\"x\") * (8 << 20)'])
sys.exit(3)
";

/// A session with an exact capture, a sampled one, one of a program that does little, one that was only watched, and a
/// baseline.
fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let session = Session::new();
        session.write("much.py", PROGRAM);
        for (capture, how) in [("exact.dw", "--exact"), ("sampled.dw", "--force")] {
            let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python");
            let done = output(session.run([how, "-o", capture, "much.py"]).env("PYTHONPATH", package));
            assert_eq!(done.status.code(), Some(3), "{}", text(&done.stderr));
        }
        succeed(
            &session,
            &["run", "-q", "-o", "little.dw", "--", "python3", "-c", "pass"],
        );
        succeed(&session, &["watch", "-q", "-o", "watched.dw", "sleep", "0.2"]);
        succeed(&session, &["baseline", "exact.dw", "-o", "baseline.json"]);
        session
    })
}

fn succeed(session: &Session, words: &[&str]) {
    let done = output(&mut session.deadweight(words));
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
}

fn schema_path(name: &str) -> PathBuf {
    let file = format!("../../docs/schema/{name}.schema.json");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn validator(name: &str) -> Validator {
    let schema = fs::read_to_string(schema_path(name)).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("the schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    jsonschema::validator_for(&schema).expect("the schema can be used")
}

/// What the command prints, which conforms to the schema.
fn conforming(schema: &str, words: &[&str]) -> Value {
    let done = output(&mut session().deadweight(words));
    let printed = serde_json::from_slice(&done.stdout);
    let value: Value = printed.unwrap_or_else(|error| panic!("{words:?}: {error}: {}", text(&done.stderr)));
    assert_conforms(schema, &value, &words.join(" "));
    value
}

fn assert_conforms(schema: &str, value: &Value, what: &str) {
    let validator = validator(schema);
    let errors = validator.iter_errors(value);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what} against {schema}: {errors:#?}");
}

#[test]
fn the_schemas_are_those_of_the_types() {
    for (name, schema) in deadweight_report::json_schema::all() {
        let made = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        let kept = fs::read_to_string(schema_path(name)).unwrap_or_default();
        assert!(
            made == kept,
            "docs/schema/{name}.schema.json is not what the types say: run `cargo xtask schema`"
        );
    }
}

#[test]
fn reports_conform() {
    for capture in ["exact.dw", "sampled.dw", "little.dw", "watched.dw"] {
        conforming("report", &["report", capture, "--format", "json"]);
    }
    let report = conforming("report", &["report", "exact.dw", "--format", "json"]);
    for path in [
        "/findings/0/chain/0/edge",
        "/regions/0/spans/0/entered",
        "/timeline/points/0/rss_bytes",
    ] {
        assert!(
            !report.pointer(path).unwrap_or(&Value::Null).is_null(),
            "{path} is not there: nothing was compared"
        );
    }
}

#[test]
fn comparisons_conform() {
    for (before, after) in [
        ("little.dw", "exact.dw"),
        ("sampled.dw", "little.dw"),
        ("exact.dw", "sampled.dw"),
    ] {
        conforming("diff", &["diff", before, after, "--format", "json"]);
    }
}

#[test]
fn checks_conform() {
    let asked = [
        "--max-peak",
        "50MiB",
        "--max-rss",
        "50MiB",
        "--forbid",
        "cyclic_garbage",
        "--format",
        "json",
    ];
    let broken = conforming("check", &[&["check", "exact.dw", "little.dw"][..], &asked].concat());
    assert_eq!(broken["verdict"], "broken");
    conforming(
        "check",
        &["check", "exact.dw", "--baseline", "baseline.json", "--format", "json"],
    );
    conforming(
        "check",
        &["check", "watched.dw", "--max-rss", "1GiB", "--format", "json"],
    );
}

#[test]
fn baselines_conform() {
    let written = fs::read_to_string(session().path("baseline.json")).expect("the baseline");
    assert_conforms(
        "baseline",
        &serde_json::from_str(&written).expect("JSON"),
        "baseline.json",
    );
}

#[test]
fn answers_about_snapshots_conform() {
    for asked in [
        &[][..],
        &["--cycles"],
        &["--type", "bytearray"],
        &["--holders", "bytearray"],
    ] {
        conforming("heap", &[&["heap", "exact.dw", "--format", "json"][..], asked].concat());
    }
}

#[test]
fn what_does_not_conform_is_noticed() {
    let mut report = conforming("report", &["report", "little.dw", "--format", "json"]);
    let validator = validator("report");
    report["peak"]["rss_bytes"] = "much".into();
    assert!(!validator.is_valid(&report));
    report["peak"]["rss_bytes"] = Value::Null;
    assert!(validator.is_valid(&report));
    report["peak"].as_object_mut().expect("an object").remove("rss_bytes");
    assert!(!validator.is_valid(&report));
}
