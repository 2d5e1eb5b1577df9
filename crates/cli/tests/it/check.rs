//! `deadweight check` and `deadweight baseline`.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::session::{Session, output, refusal, text};

/// A program that keeps 64 MiB in two lines.
const PROGRAM: &str = "import time\n\ndef keep():\n    return [bytearray(b'x') * (1 << 20) for _ in range(48)]\n\n\
                       kept = keep()\nmore = bytearray(b'x') * (16 << 20)\nfor _ in range(30):\n    time.sleep(0.01)\n";

/// A session with the capture `a.dw` of it, exact, so that figures are the same in every run.
fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let session = Session::new();
        session.write("keeps.py", PROGRAM);
        session.write("other.py", PROGRAM);
        for (capture, program) in [("a.dw", "keeps.py"), ("other.dw", "other.py")] {
            let done = output(&mut session.run(["--exact", "-o", capture, program]));
            assert!(done.status.success(), "{}", text(&done.stderr));
        }
        let watched = ["watch", "-q", "-o", "watched.dw", "sleep", "0.2"];
        assert!(output(&mut session.deadweight(watched)).status.success());
        session
    })
}

/// `deadweight check` outside of any CI.
fn check(words: &[&str]) -> Command {
    let mut command = session().deadweight(["check"].iter().chain(words));
    for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"] {
        command.env_remove(name);
    }
    command
}

fn ended(words: &[&str]) -> (i32, String, String) {
    let done = output(&mut check(words));
    let out = text(&done.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    (done.status.code().unwrap(), out, text(&done.stderr))
}

#[test]
fn a_limit_holds_or_does_not() {
    let (status, out, errors) = ended(&["a.dw", "--max-peak", "200MiB", "--max-rss", "1 GB"]);
    assert_eq!((status, errors.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("deadweight: a.dw holds ok --max-peak 200 MiB"), "{out}");
    let (status, out, _) = ended(&["a.dw", "--max-peak", "50MiB"]);
    assert_eq!(status, 1);
    assert!(out.contains("above the limit of 50.0 MiB."), "{out}");
    assert!(out.contains("came from keeps.py:4 in keep"), "{out}");
    assert!(out.contains("16.0 MiB came from keeps.py:7 in <module>"), "{out}");
}

#[test]
fn what_cannot_be_meant_is_one_sentence_and_status_2() {
    session().write("not.json", "{}");
    for (words, why) in [
        (&["a.dw"][..], "there is nothing to check"),
        (&["a.dw", "--max-peak", "2apples"], "`apples` is no unit of size"),
        (&["a.dw", "--max-peak", "-1MiB"], "a size cannot be negative"),
        (&["a.dw", "--max-peak", "300"], "is the unit missing"),
        (
            &["a.dw", "--max-peak", "1G", "--max-peak", "2G"],
            "cannot be used multiple times",
        ),
        (
            &["a.dw", "--max-peak", "1G", "--max-growth", "2G"],
            "contradicts --max-peak",
        ),
        (&["a.dw", "--max-peak", "1G", "--tolerance", "5%"], "--baseline <FILE>"),
        (
            &["a.dw", "--baseline", "a.dw", "--tolerance", "5"],
            "write the percent sign",
        ),
        (
            &["a.dw", "--forbid", "garbage"],
            "there is no kind of finding called garbage",
        ),
        (&["a.dw", "--baseline", "none.json"], "there is no baseline none.json"),
        (&["a.dw", "--baseline", "not.json"], "not.json is no baseline"),
        (&["a.dw", "--baseline", "keeps.py"], "keeps.py is no baseline"),
        (&["a.dw", "--baseline", "."], "is no deadweight capture"),
        (&["none.dw", "--max-peak", "1G"], "there is no capture none.dw"),
        (&["--max-peak", "1G"], "<CAPTURE>"),
    ] {
        let message = refusal(&mut check(words));
        assert!(message.contains(why), "{words:?}: {message}");
    }
}

#[test]
fn what_a_capture_does_not_know_is_status_2() {
    let (status, out, _) = ended(&["watched.dw", "--max-peak", "1GiB"]);
    assert!(status == 2 && out.contains("only --max-rss can be judged"), "{out}");
    let (status, out, _) = ended(&["watched.dw", "--max-rss", "1GiB"]);
    assert!(status == 0, "{out}");
    let (status, out, _) = ended(&["a.dw", "watched.dw", "--max-peak", "50MiB"]);
    assert!(status == 1 && out.contains("watched.dw could not be judged"), "{out}");
    let (status, out, _) = ended(&["a.dw", "--baseline", "other.dw"]);
    assert!(status == 2 && out.contains("is of another program"), "{out}");
    let (status, out, _) = ended(&["a.dw", "--baseline", "watched.dw"]);
    assert!(status == 2 && out.contains("is of another program"), "{out}");
}

#[test]
fn a_capture_that_was_cut_off_is_status_2() {
    let session = Session::new();
    session.write("x.py", PROGRAM);
    assert!(output(&mut session.run(["-o", "cut.dw", "x.py"])).status.success());
    let segments = fs::read_dir(session.path("cut.dw"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let segment = segments
        .filter(|path| path.extension().is_some_and(|extension| extension == "dws"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() / 3]).unwrap();
    for limit in ["1MiB", "1GiB"] {
        let done = output(&mut session.deadweight(["check", "cut.dw", "--max-peak", limit]));
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stdout));
        assert!(text(&done.stdout).contains("is not whole"), "{}", text(&done.stdout));
    }
    let message = session.refusal(["baseline", "cut.dw"]);
    assert!(message.contains("cut.dw can be no baseline"), "{message}");
    fs::remove_file(session.path("cut.dw/run.json")).unwrap();
    fs::write(&segment, &whole).unwrap();
    let done = output(&mut session.deadweight(["check", "cut.dw", "--max-peak", "1GiB"]));
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stdout).contains("The end of the run was not seen"));
}

#[test]
fn a_baseline_is_written_once_and_held_against_the_same_program() {
    let session = session();
    let write = ["baseline", "a.dw", "-o", "memory.json"];
    assert!(output(&mut session.deadweight(write)).status.success());
    let written = fs::read(session.path("memory.json")).unwrap();
    assert!(session.refusal(write).contains("memory.json exists already"));
    assert_eq!(output(&mut session.deadweight(["baseline", "a.dw"])).stdout, written);
    let names = text(&written);
    assert!(
        names.contains("{\"file\": \"keeps.py\", \"function\": \"keep"),
        "{names}"
    );
    assert!(!names.contains(session.path("").to_str().unwrap()), "{names}");

    let (status, out, _) = ended(&["a.dw", "--baseline", "memory.json"]);
    assert!(status == 0 && out.contains("--tolerance 5%"), "{out}");
    let (before, after) = names.split_once("\"heap_bytes\": ").unwrap();
    let digits = after.find(',').unwrap();
    let smaller = format!("{before}\"heap_bytes\": 32000000{}", &after[digits..]);
    session.write("smaller.json", smaller);
    let (status, out, _) = ended(&["a.dw", "--baseline", "smaller.json", "--tolerance", "20%"]);
    assert!(status == 1 && out.contains("20 % more is allowed"), "{out}");
}

#[test]
fn every_format_comes_out_and_a_file_leaves_the_text() {
    for (format, begin) in [
        ("text", "deadweight: "),
        ("json", "{"),
        ("markdown", "### "),
        ("junit", "<?xml"),
        ("github", "::error file=keeps.py,line=4,title="),
    ] {
        let mut command = check(&["a.dw", "--max-peak", "50MiB", "--format", format]);
        let done = output(&mut command);
        assert_eq!(
            (done.status.code(), text(&done.stderr).as_str()),
            (Some(1), ""),
            "{format}"
        );
        assert!(
            text(&done.stdout).starts_with(begin),
            "{format}: {}",
            text(&done.stdout)
        );
    }
    let words = ["a.dw", "--max-peak", "50MiB", "--format", "junit", "-o", "memory.xml"];
    let (status, out, _) = ended(&words);
    assert!(
        status == 1 && out.starts_with("deadweight: a.dw does not hold"),
        "{out}"
    );
    assert!(
        fs::read_to_string(session().path("memory.xml"))
            .unwrap()
            .contains("<failure")
    );
    assert!(refusal(&mut check(&words)).contains("memory.xml exists already"));
}

#[test]
fn github_actions_has_annotations_and_summary_unasked() {
    let session = session();
    let summary = session.write("summary.md", "# Before\n");
    let with_actions = |words: &[&str]| {
        let mut command = check(words);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary);
        output(command.env("GITHUB_WORKSPACE", session.path("").parent().unwrap()))
    };
    let done = with_actions(&["a.dw", "--max-peak", "50MiB", "--format", "json"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(serde_json::from_slice::<serde_json::Value>(&done.stdout).is_ok());
    let commands = text(&done.stderr);
    assert!(
        commands.starts_with("::error file=work/keeps.py,line=4,title="),
        "{commands}"
    );
    let written = fs::read_to_string(&summary).unwrap();
    assert!(
        written.starts_with("# Before\n### ❌ Memory: a.dw does not hold"),
        "{written}"
    );
    // What cannot be judged at all is an annotation as well.
    let done = with_actions(&["none.dw", "--max-peak", "50MiB"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).starts_with("::error title=deadweight check::there is no capture"));
    // A summary that cannot be written changes no verdict.
    let mut command = check(&["a.dw", "--max-peak", "1GiB"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "/nowhere/summary.md");
    let done = output(&mut command);
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stderr).contains("cannot write the step summary /nowhere/summary.md"));
}
