//! `deadweight diff`.

use std::fs;

use crate::session::{Session, output, python, text};

/// Holds so many megabytes in a function, after so many lines.
fn program(megabytes: u64, lines: usize) -> String {
    let above = "# moved\n".repeat(lines);
    format!("{above}def hold():\n    return bytearray({megabytes} << 20)\n\nkept = hold()\n")
}

/// A session with the captures `a.dw` and `b.dw` of two versions of a script.
fn with_captures(a: &str, b: &str) -> Session {
    let session = Session::new();
    for (name, content) in [("a", a), ("b", b)] {
        session.write("job.py", content);
        let capture = format!("{name}.dw");
        assert!(output(&mut session.run(["-o", &capture, "job.py"])).status.success());
    }
    session
}

fn shown(session: &Session, arguments: &[&str]) -> String {
    let done = output(&mut session.deadweight([&["diff"], arguments].concat()));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn a_line_that_moved_and_holds_more_is_found() {
    let session = with_captures(&program(40, 0), &program(80, 40));
    let out = shown(&session, &["a.dw", "b.dw"]);
    assert!(out.contains("Peak heap rose by "), "{out}");
    assert!(out.contains("job.py:42 (was :2)"), "{out}");
    let json = shown(&session, &["a.dw", "b.dw", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "deadweight.diff/1");
    assert_eq!(json["totals"]["peak_heap"]["trend"], "rose");
    let site = &json["user_sites"][0];
    assert_eq!(
        (&site["before"]["line"], &site["after"]["line"]),
        (&2.into(), &42.into())
    );
    assert_eq!(site["change_bytes"], 40 << 20);
    assert_eq!(site["trend"], "rose");
}

#[test]
fn the_same_program_twice_has_no_change() {
    let session = with_captures(&program(40, 0), &program(40, 0));
    let out = shown(&session, &["a.dw", "b.dw"]);
    assert!(out.contains("No change of peak heap"), "{out}");
    assert!(!out.contains("that changed"), "{out}");
}

#[test]
fn every_format_comes_out() {
    let session = with_captures(&program(40, 0), &program(80, 0));
    for (format, begin) in [
        ("text", "deadweight: a.dw"),
        ("json", "{"),
        ("markdown", "### Memory: Peak heap rose by "),
        ("svg", "<?xml"),
    ] {
        let out = shown(&session, &["a.dw", "b.dw", "--format", format]);
        assert!(out.starts_with(begin), "{format}: {out}");
    }
    shown(&session, &["a.dw", "b.dw", "-o", "diff.txt"]);
    let message = session.refusal(["diff", "a.dw", "b.dw", "-o", "diff.txt"]);
    assert!(message.contains("diff.txt exists already"), "{message}");
}

#[test]
fn bad_input_is_one_sentence() {
    let session = with_captures(&program(4, 0), &program(4, 0));
    for (arguments, says) in [
        (&["a.dw", "nothing.dw"][..], "there is no capture nothing.dw"),
        (&["a.dw", "./a.dw"], "a.dw and ./a.dw are the same capture"),
        (&["a.dw", "job.py"], "it is a file, not a folder"),
        (&["--run", "python3 'x", "python3 y"], "a quote is not closed"),
        (&["--run", "python3 x", " "], "a command is empty"),
    ] {
        let message = session.refusal([&["diff"], arguments].concat());
        assert!(message.contains(says), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    for wrong in [
        &["a.dw"][..],
        &["a.dw", "b.dw", "-n", "3"],
        &["--run", "-n", "0", "a", "b"],
    ] {
        let message = session.refusal([&["diff"], wrong].concat());
        assert!(message.contains("error:"), "{message}");
    }
}

#[test]
fn a_capture_that_was_cut_off_is_compared_with_a_note() {
    let session = with_captures(&program(40, 0), &program(40, 0));
    let entries = fs::read_dir(session.path("b.dw")).unwrap();
    let segment = entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "dws"))
        .unwrap();
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
    let out = shown(&session, &["a.dw", "b.dw"]);
    assert!(out.contains("The capture after is not complete"), "{out}");
}

#[test]
fn a_watched_program_has_resident_memory_only() {
    let session = with_captures(&program(40, 0), &program(40, 0));
    let watch = ["watch", "-q", "-o", "w.dw"];
    let mut command = session.deadweight(watch);
    assert!(output(command.arg(python()).arg("job.py")).status.success());
    let out = shown(&session, &["a.dw", "w.dw"]);
    assert!(out.contains("The capture after has no allocations"), "{out}");
    let message = session.refusal(["diff", "a.dw", "w.dw", "--format", "svg"]);
    assert!(message.contains("w.dw has none"), "{message}");
}

#[test]
fn commands_run_in_turn_and_their_medians_are_compared() {
    let session = Session::new();
    session.write("old.py", program(40, 0) + "print('said')\n");
    session.write("new.py", program(60, 5));
    let command = |script: &str| format!("'{}' {script}", python().display());
    let (old, new) = (command("old.py"), command("new.py"));
    let arguments = ["diff", "--run", "-n", "2", "--keep", "kept", &old, &new];
    let done = output(&mut session.deadweight(arguments));
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{err}");
    assert!(out.contains("Peak heap rose by "), "{out}");
    assert!(out.contains("new.py:7 (was old.py:2)"), "{out}");
    assert!(out.contains("medians of 2 runs each"), "{out}");
    let order: Vec<&str> = err
        .lines()
        .filter_map(|line| {
            line.strip_prefix("deadweight: ")?
                .split_once(" took ")
                .map(|(name, _)| name)
        })
        .collect();
    assert_eq!(order, ["before-1", "after-1", "after-2", "before-2"], "{err}");
    for name in ["before-1.dw/run.json", "after-2.dw/run.json"] {
        assert!(session.path("kept").join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_to_string(session.path("kept/before-1.log")).unwrap(), "said\n");
}

#[test]
fn a_command_that_fails_ends_the_comparison() {
    let session = Session::new();
    session.write("good.py", "pass\n");
    session.write("bad.py", program(40, 0) + "raise SystemExit('no such table')\n");
    let command = |script: &str| format!("'{}' {script}", python().display());
    let (good, bad) = (command("good.py"), command("bad.py"));
    let done = output(&mut session.deadweight(["diff", "--run", "-n", "1", "--keep", "kept", &good, &bad]));
    let err = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{err}");
    let message = err.lines().last().unwrap();
    assert!(
        message.contains("ended with exit status 1") && message.contains("no such table") && message.contains("kept"),
        "{err}"
    );
    let mut ignoring = session.deadweight(["diff", "--run", "-n", "1", "--ignore-failure", &good, &bad]);
    let done = output(&mut ignoring);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("The program after ended with exit status 1"));
}
