//! The workflow in docs/guide/ci.md: its steps are run as the runner runs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use saphyr::{LoadableYamlNode, Yaml};

use crate::places;

/// A step that runs a shell.
struct Step {
    name: String,
    condition: Option<String>,
    run: String,
}

/// The steps of the workflow that run a shell.
fn steps() -> Vec<Step> {
    let guide = places::guide("ci.md");
    let (_, rest) = guide.split_once("```yaml\n").expect("a workflow");
    let (workflow, _) = rest.split_once("\n```").expect("its end");
    let documents = Yaml::load_from_str(workflow).expect("YAML");
    let steps = documents[0]["jobs"]["memory"]["steps"].as_vec().expect("steps").iter();
    let text = |step: &Yaml<'_>, key: &str| {
        let value = step.as_mapping_get(key)?;
        value.as_str().map(str::to_owned)
    };
    steps
        .filter_map(|step| {
            Some(Step {
                name: text(step, "name").unwrap_or_default(),
                condition: text(step, "if"),
                run: text(step, "run")?,
            })
        })
        .collect()
}

/// Runs the steps in a repository until one fails; then those that are for failures. What they wrote into the step summary comes
/// with them.
fn job(repository: &Path, path: &std::ffi::OsStr) -> (Vec<(String, Output)>, String) {
    let summary = repository.join("summary.md");
    let mut done: Vec<(String, Output)> = Vec::new();
    let mut has_failed = false;
    for step in steps() {
        // The one under test is on the path.
        if step.name == "Install deadweight" {
            continue;
        }
        if has_failed != (step.condition.as_deref() == Some("failure()")) {
            continue;
        }
        let output = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.run])
            .current_dir(repository)
            .env("PATH", path)
            .env("XDG_CACHE_HOME", repository.join("cache"))
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_WORKSPACE", repository)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env_remove("VIRTUAL_ENV")
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        has_failed |= !output.status.success();
        done.push((step.name, output));
    }
    (done, fs::read_to_string(summary).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_workflow_passes_the_fixed_program_and_fails_the_leaking_one() {
    let names: Vec<String> = steps().into_iter().map(|step| step.name).collect();
    let expected = [
        "Install deadweight",
        "Record the benchmark",
        "Check its memory",
        "Explain it",
    ];
    assert_eq!(names, expected);

    let folder = tempfile::tempdir().unwrap();
    let path = places::search_path(folder.path());
    let leaking = fs::read_to_string(places::checkout().join("examples/nightly.py")).unwrap();
    let fixed = leaking
        .replace("import statistics\n", "import statistics\nimport weakref\n")
        .replace("self._table = table\n", "self._table = weakref.proxy(table)\n");
    assert_ne!(fixed, leaking);
    let repository = |name: &str, program: &str| {
        let repository = folder.path().join(name);
        fs::create_dir_all(repository.join("bench")).unwrap();
        fs::write(repository.join("bench/nightly.py"), program).unwrap();
        repository
    };

    // The baseline is made as the guide says, where the program is good.
    let good = repository("good", &fixed);
    let guide = places::guide("ci.md");
    let mut make = guide.lines().filter_map(|line| line.strip_prefix("    "));
    let make = [
        make.find(|line| line.starts_with("deadweight run ")).unwrap(),
        make.find(|line| line.starts_with("deadweight baseline ")).unwrap(),
        "rm -r nightly.dw",
    ];
    let made = Command::new("bash")
        .args(["-ec", &make.join("\n")])
        .current_dir(&good)
        .env("PATH", &path)
        .env("XDG_CACHE_HOME", good.join("cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));

    let (done, summary) = job(&good, &path);
    let statuses: Vec<Option<i32>> = done.iter().map(|(_, output)| output.status.code()).collect();
    assert_eq!(statuses, [Some(0), Some(0)], "{done:?}");
    assert!(summary.starts_with("### ✅ Memory: nightly.dw holds"), "{summary}");
    let results = fs::read_to_string(good.join("memory.xml")).unwrap();
    assert!(results.contains("errors=\"0\" failures=\"0\""), "{results}");

    let bad = repository("bad", &leaking);
    fs::copy(good.join("bench/memory.json"), bad.join("bench/memory.json")).unwrap();
    let (done, summary) = job(&bad, &path);
    let statuses: Vec<Option<i32>> = done.iter().map(|(_, output)| output.status.code()).collect();
    assert_eq!(statuses, [Some(0), Some(1), Some(0)], "{done:?}");
    let (_, check) = &done[1];
    let (log, commands) = (text(&check.stdout), text(&check.stderr));
    assert!(log.contains("deadweight: nightly.dw does not hold"), "{log}");
    let annotation = "::error file=bench/nightly.py,line=48,title=Memory of nightly.dw%3A --forbid cyclic_garbage::";
    assert!(commands.contains(annotation), "{commands}");
    assert!(summary.contains("### ❌ Memory: nightly.dw does not hold"), "{summary}");
    assert!(summary.contains("bench/nightly.py:48"), "{summary}");
    assert!(
        fs::read_to_string(bad.join("memory.xml"))
            .unwrap()
            .contains("<failure ")
    );
    assert!(fs::read_to_string(bad.join("peak.svg")).unwrap().contains("<svg"));
}
