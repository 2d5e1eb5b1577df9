//! `deadweight report`.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::session::{Session, output, text};

/// A session with the capture `a.dw` of a program that does little.
fn with_capture() -> Session {
    let session = Session::new();
    assert!(output(&mut session.run(["-o", "a.dw", "-c", "pass"])).status.success());
    session
}

#[test]
fn what_is_no_capture_is_an_error() {
    let session = Session::new();
    let message = session.refusal(["report", "nothing.dw"]);
    assert_eq!(
        message,
        "deadweight: there is no capture nothing.dw: `deadweight run` makes one\n"
    );
    session.write("file", "x");
    assert!(
        session
            .refusal(["report", "file"])
            .contains("it is a file, not a folder")
    );
    fs::create_dir(session.path("empty")).unwrap();
    assert!(
        session
            .refusal(["report", "empty"])
            .contains("empty is no deadweight capture")
    );
}

#[test]
fn a_capture_of_a_newer_version_is_an_error() {
    let session = with_capture();
    session.write("a.dw/run.json", r#"{"format": 999, "from": "the future"}"#);
    let message = session.refusal(["report", "a.dw"]);
    assert!(
        message.contains("format version 999") && message.contains("update deadweight"),
        "{message}"
    );
}

#[test]
fn every_format_comes_out() {
    let session = with_capture();
    for (format, begin) in [
        ("text", "deadweight"),
        ("json", "{"),
        ("collapsed", ""),
        ("svg", "<?xml"),
        ("speedscope", "{"),
    ] {
        let done = output(&mut session.deadweight(["report", "a.dw", "--format", format]));
        assert!(done.status.success(), "{format}: {}", text(&done.stderr));
        assert!(
            text(&done.stdout).starts_with(begin),
            "{format}: {}",
            text(&done.stdout)
        );
    }
    let json = output(&mut session.deadweight(["report", "a.dw", "--format", "json"]));
    assert!(text(&json.stdout).contains("\"schema\": \"deadweight.report/1\""));
}

#[test]
fn a_file_is_not_overwritten() {
    let session = with_capture();
    let write = ["report", "a.dw", "--format", "json", "-o", "a.json"];
    assert!(output(&mut session.deadweight(write)).status.success());
    let written = fs::read(session.path("a.json")).unwrap();
    assert!(written.starts_with(b"{"));
    session.write("a.json", "mine");
    assert!(session.refusal(write).contains("a.json exists already"));
    assert_eq!(fs::read_to_string(session.path("a.json")).unwrap(), "mine");
    assert!(output(session.deadweight(write).arg("--force")).status.success());
    assert_eq!(fs::read(session.path("a.json")).unwrap(), written);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let session = with_capture();
    let mut command = session.deadweight(["report", "a.dw", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!((child.wait().unwrap().code(), message.as_str()), (Some(0), ""));
}

#[test]
fn a_capture_without_its_manifest_is_still_read() {
    let session = with_capture();
    fs::remove_file(session.path("a.dw/run.json")).unwrap();
    session.write("a.dw/7.0.000000.dws", "damaged");
    let done = output(&mut session.deadweight(["report", "a.dw"]));
    assert!(!text(&done.stderr).contains("panicked"), "{}", text(&done.stderr));
}

#[test]
fn colours_are_for_terminals() {
    let session = with_capture();
    let mut command = session.deadweight(["report", "a.dw"]);
    assert!(!output(&mut command).stdout.contains(&b'\x1b'));
    command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!output(&mut command).stdout.contains(&b'\x1b'));
}
