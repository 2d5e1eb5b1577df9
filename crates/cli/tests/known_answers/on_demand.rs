//! Snapshots on demand: `deadweight snapshot PID` from outside, `deadweight.snapshot()` from inside.

use std::path::Path;

use deadweight_capture::read::Capture;
use deadweight_heap::{Cause, SnapshotAnswer, analyse_heap};
use tempfile::TempDir;

use crate::pythons::{Findings, Python, each_alone, each_of_ends_alone};
use crate::recording::{Mode, around, folder};
use crate::skips::skip;
use crate::started::{DEADWEIGHT, Ended, Started, command, own_program, plain, python_package, run};

/// Starts a program of `on_demand.py` under `deadweight run`, and waits until it is ready. The second answer is its own
/// process id.
fn start(python: &Python, which: &str, folder: &Path, options: &[&str]) -> Result<(Started, u32), String> {
    let mut command = command(DEADWEIGHT, folder);
    command
        .args(["run", "-q", "-o", "c.dw"])
        .args(options)
        .args(["--", &python.path]);
    command.arg(own_program("on_demand")).arg(which);
    let mut started = Started::new(command.env("PYTHONPATH", python_package()));
    started.await_output("ready")?;
    let printed = started.printed();
    let pid = printed.split("ready ").nth(1).and_then(|rest| rest.trim().parse().ok());
    Ok((started, pid.ok_or("no process id")?))
}

fn ask(folder: &Path, pid: u32, options: &[&str]) -> Result<Ended, String> {
    run(command(DEADWEIGHT, folder)
        .arg("snapshot")
        .arg(pid.to_string())
        .args(options))
}

fn snapshots(folder: &TempDir) -> Result<Vec<SnapshotAnswer>, String> {
    let capture = Capture::open(&folder.path().join("c.dw")).map_err(|error| error.to_string())?;
    let answers = capture
        .heaps()
        .iter()
        .map(|files| analyse_heap(files).map_err(|error| error.to_string()));
    answers.collect()
}

fn stop(folder: &TempDir) {
    std::fs::write(folder.path().join("stop"), "").expect("the folder can be written");
}

/// Checks that asking failed with status 2 and one sentence that has these words.
fn check_refused(asked: &Ended, words: &[&str], findings: &mut Findings) {
    let is_right = asked.how() == "exit 2" && asked.out.is_empty() && words.iter().all(|word| asked.err.contains(word));
    findings.check(is_right, || format!("wanted {words:?}, got {asked:?}"));
}

fn try_asking(python: &Python, findings: &mut Findings) -> Result<(), String> {
    let folder = folder();
    let (started, pid) = start(python, "working", folder.path(), &[])?;
    for (number, asked) in [started.id(), pid].into_iter().enumerate() {
        let ended = ask(folder.path(), asked, &[])?;
        let says = [
            format!("Snapshot {number} of process {pid}: "),
            format!("deadweight heap c.dw --at {number}\n"),
        ];
        let is_said = ended.status.success() && says.iter().all(|text| ended.out.contains(text));
        findings.check(is_said, || format!("{ended:?}"));
    }
    stop(&folder);
    let ended = started.end()?;
    findings.check(ended.status.success() && ended.err.is_empty(), || format!("{ended:?}"));
    let answers = snapshots(&folder)?;
    let causes: Vec<Cause> = answers.iter().map(|answer| answer.cause).collect();
    findings.check(causes == [Cause::Asked; 2], || {
        format!("the snapshots were taken because of {causes:?}")
    });
    for answer in &answers {
        let held = answer.types.iter().find(|of| of.type_name == "__main__.Held");
        findings.check(answer.complete && held.is_some_and(|of| of.objects == 1000), || {
            format!("not the whole heap: {held:?}, {:?}", answer.warnings)
        });
    }
    Ok(())
}

#[test]
fn a_running_program_is_asked_for_a_snapshot() {
    each_alone("asked", |python, findings| {
        let tried = try_asking(python, findings);
        findings.take("working", tried);
    });
}

fn try_in_vain(python: &Python, findings: &mut Findings) -> Result<(), String> {
    let cases: [(&str, &[&str], &[&str]); 3] = [
        (
            "idle",
            &["--timeout", "1.1"],
            &["within 1.1 s", "it is idle", "--timeout"],
        ),
        ("native", &["--timeout", "1.1"], &["within 1.1 s", "main thread"]),
        ("ending", &[], &["ended before a snapshot could be taken"]),
    ];
    for (which, options, words) in cases {
        if which == "native" && !python.has("_ctypes") {
            continue;
        }
        let folder = folder();
        // Small objects are hardly ever in the sample.
        let (started, pid) = start(python, which, folder.path(), &["--interval", "1MiB"])?;
        let asked = ask(folder.path(), pid, options)?;
        check_refused(&asked, words, findings);
        findings.check(
            asked.err.contains(&format!("waiting for process {pid}")) || which == "ending",
            || format!("{which}: it does not say that it waits: {asked:?}"),
        );
        let ended = started.end()?;
        let status = if which == "ending" { "exit 3" } else { "exit 0" };
        findings.check(ended.how() == status, || format!("{which}: {ended:?}"));
        // What was taken back is not done later.
        let later = snapshots(&folder)?.len();
        findings.check(later == 0, || format!("{which}: {later} snapshots are taken later"));
    }
    Ok(())
}

#[test]
fn a_program_that_never_imports_atexit_has_a_last_snapshot() {
    // Snapshots are taken while memory grows, not when it falls.
    const CODE: &str = "import sys, time\nkept = []\nfor _ in range(300_000):\n    kept.append(bytes(1000))\n\
                        end = time.monotonic() + 0.6\nwhile time.monotonic() < end:\n    bytes(100_000)\n    time.sleep(0.001)\n\
                        del kept[100_000:]\nprint('atexit' in sys.modules)\n";
    each_alone("last snapshot", |python, findings| {
        // There each module `atexit` has its own functions, and ours would take the place of the program's.
        if python.name.starts_with("3.9") {
            return;
        }
        let folder = folder();
        let mut command = around(python, Mode::Sampled(3), folder.path());
        let Some(ended) = findings.take("last", run(command.args(["-I", "-S", "-c", CODE]))) else {
            return;
        };
        // What the program sees is what it would see.
        findings.check(ended.how() == "exit 0" && ended.out == "False\n", || {
            format!("{ended:?}")
        });
        let Some(answers) = findings.take("last", snapshots(&folder)) else {
            return;
        };
        let last = answers.iter().find(|answer| answer.cause == Cause::End);
        let held = last.and_then(|answer| answer.types.iter().find(|of| of.type_name == "bytes"));
        findings.check(held.is_some_and(|of| (100_000..150_000).contains(&of.objects)), || {
            format!("{held:?} of {} snapshots", answers.len())
        });
    });
}

#[test]
fn another_thread_answers_while_the_main_thread_waits() {
    each_alone("waiting", |python, findings| {
        let folder = folder();
        let tried = start(python, "waiting", folder.path(), &[]).and_then(|(started, pid)| {
            let asked = ask(folder.path(), pid, &[])?;
            Ok((asked, started.end()?))
        });
        let Some((asked, ended)) = findings.take("waiting", tried) else {
            return;
        };
        let is_taken = asked.status.success() && asked.out.contains("Snapshot 0 of process");
        findings.check(is_taken && ended.how() == "exit 0", || format!("{asked:?} {ended:?}"));
    });
}

#[test]
fn who_asks_in_vain_is_told_why() {
    each_alone("in vain", |python, findings| {
        let tried = try_in_vain(python, findings);
        findings.take("in vain", tried);
    });
}

#[test]
fn processes_that_cannot_be_asked_are_told_apart() {
    each_of_ends_alone("refusals", |python, findings| {
        let folder = folder();
        let here = folder.path();
        let mut refused = |pid: u32, words: &[&str]| match ask(here, pid, &[]) {
            Ok(asked) => check_refused(&asked, words, findings),
            Err(error) => findings.check(false, || error),
        };
        refused(std::process::id(), &["is not recorded", "deadweight run"]);
        refused(4_000_000, &["there is no process 4000000"]);
        let ended = run(command(DEADWEIGHT, here).args(["snapshot", "nonsense"]));
        findings.check(ended.is_ok_and(|ended| ended.how() == "exit 2"), || {
            "a wrong process id".to_string()
        });
        let tried = start(python, "working", here, &[]).and_then(|(started, pid)| {
            let mut other = command("setpriv", here);
            other.args([
                "--reuid=65534",
                "--clear-groups",
                DEADWEIGHT,
                "snapshot",
                &pid.to_string(),
            ]);
            let asked = run(&mut other);
            stop(&folder);
            started.end()?;
            asked
        });
        // Only root can become somebody else.
        match tried {
            Ok(asked) if asked.err.contains("setpriv") => skip("a snapshot of somebody else's program", &asked.err),
            Ok(asked) => check_refused(&asked, &["no permission", "belongs to another user"], findings),
            Err(error) => findings.check(false, || error),
        }
    });
}

fn try_keeping(python: &Python, findings: &mut Findings) -> Result<(), String> {
    let folder = folder();
    let (started, pid) = start(python, "growing", folder.path(), &[])?;
    let asked = ask(folder.path(), pid, &[])?;
    findings.check(asked.status.success(), || format!("{asked:?}"));
    stop(&folder);
    let ended = started.end()?;
    findings.check(ended.status.success() && ended.out.ends_with("True\n"), || {
        format!("{ended:?}")
    });
    let answers = snapshots(&folder)?;
    let label = |label: &str| {
        answers
            .iter()
            .any(|answer| answer.label == label && answer.cause == Cause::Called)
    };
    findings.check(label("small") && label("large"), || {
        "a snapshot that the program took is gone".to_string()
    });
    let count = |cause: Cause| answers.iter().filter(|answer| answer.cause == cause).count();
    findings.check(count(Cause::Asked) == 1, || {
        "the snapshot that was asked for is gone".to_string()
    });
    // More than four were taken: numbers are missing.
    let last = answers.iter().map(|answer| answer.number).max().unwrap_or(0);
    findings.check(last >= 7, || {
        format!("the last snapshot is number {last}: nothing had to be thinned out")
    });
    let automatic = count(Cause::Growth) + count(Cause::End);
    findings.check((1..=5).contains(&automatic), || {
        format!("{automatic} automatic snapshots are kept")
    });
    Ok(())
}

#[test]
fn automatic_snapshots_never_replace_those_that_were_wanted() {
    each_alone("kept", |python, findings| {
        if python.has("_ctypes") {
            let tried = try_keeping(python, findings);
            findings.take("growing", tried);
        }
    });
}

#[test]
fn a_program_takes_snapshots_itself() {
    each_alone("called", |python, findings| {
        let folder = folder();
        let ended = run(plain(python, folder.path())
            .arg(own_program("on_demand"))
            .arg("outside")
            .env("PYTHONPATH", python_package()));
        findings.check(ended.as_ref().is_ok_and(|ended| ended.out == "fine\n"), || {
            format!("outside: {ended:?}")
        });
        if !python.has("_ctypes") {
            return;
        }
        let mut inside = around(python, Mode::Sampled(2), folder.path());
        inside
            .arg(own_program("on_demand"))
            .arg("calling")
            .env("PYTHONPATH", python_package());
        let Some(ended) = findings.take("calling", run(&mut inside)) else {
            return;
        };
        let wanted = "main True\nthread True\ncollector False True\nstrange True True True\nchild 0\n";
        findings.check(ended.status.success() && ended.out == wanted, || format!("{ended:?}"));
        let Some(answers) = findings.take("calling", snapshots(&folder)) else {
            return;
        };
        let labels: Vec<&str> = answers.iter().map(|answer| answer.label.as_str()).collect();
        let long = "x".repeat(512);
        let wanted = ["main", "thread", "? \u{20ac}", "17", &long, "child"];
        findings.check(labels == wanted, || format!("the labels are {labels:?}"));
        findings.check(answers.iter().all(|answer| answer.complete), || {
            "one is not whole".to_string()
        });
    });
}
