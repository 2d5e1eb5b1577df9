//! `deadweight heap`, on snapshots that are written here.

use std::fs;

use deadweight_capture::read::{ProcessId, heap_file_name};
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, EdgeLabel, HeapObject, RootKind, StringId, TypeId};

use crate::session::{Session, output, text};

/// A capture with snapshots 0 and 4 of process 7: a node on a cycle, and a list that `main` has. Of snapshot 4 the end is
/// missing.
fn with_snapshots() -> Session {
    let session = Session::new();
    fs::create_dir(session.path("a.dw")).unwrap();
    session.write("a.dw/run.json", r#"{"format": 1, "deadweight": "0", "argv": ["x.py"], "cwd": "/", "started_unix": 0, "started_monotonic_nanos": 1, "exact": true, "sampling_interval_bytes": 0, "max_size_bytes": 1, "processes": [], "warnings": []}"#);
    for (number, whole) in [(0, true), (4, false)] {
        let process = ProcessId { pid: 7, incarnation: 0 };
        let name = format!("a.dw/{}", heap_file_name(process, number, 0));
        session.write(&name, snapshot(whole));
    }
    session
}

fn snapshot(whole: bool) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let info = SegmentInfo {
        pid: 7,
        start_nanos: 2,
        exact: true,
        ..SegmentInfo::default()
    };
    let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
    for (id, name) in [(1, "app.Node"), (2, "list"), (3, "me"), (4, "main"), (5, "things")] {
        writer.string(StringId(id), name.as_bytes()).unwrap();
    }
    for id in [1, 2] {
        writer.heap_type(TypeId(id), StringId(id)).unwrap();
    }
    for (addr, kind) in [(0x1000, 1), (0x2000, 2)] {
        let object = HeapObject {
            addr: Addr(addr),
            type_id: TypeId(kind),
            size: 4096,
            references: 1,
            tracked: true,
            prefix: 16,
        };
        writer.heap_object(&object).unwrap();
        if kind == 1 {
            writer
                .heap_edge(Addr(addr), EdgeLabel::Attribute(StringId(3)), true)
                .unwrap();
        }
    }
    writer.heap_root(RootKind::Frame, StringId(4)).unwrap();
    writer
        .heap_edge(Addr(0x2000), EdgeLabel::Local(StringId(5)), false)
        .unwrap();
    if whole {
        writer.heap_end(2, 0, 0).unwrap();
    }
    let len = writer.finish();
    bytes.truncate(len);
    bytes
}

fn shown(session: &Session, arguments: &[&str]) -> String {
    let done = output(session.deadweight(["heap", "a.dw", "--at", "0"]).args(arguments));
    assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
    assert_eq!(text(&done.stderr), "");
    text(&done.stdout)
}

#[test]
fn each_question_has_its_answer() {
    let session = with_snapshots();
    let overview = shown(&session, &[]);
    assert!(
        overview.contains("Heap snapshot 0 of pid 7") && overview.contains("Node.me → Node"),
        "{overview}"
    );
    assert!(overview.contains("deadweight heap a.dw --cycles"), "{overview}");
    let cycles = shown(&session, &["--cycles"]);
    assert!(
        cycles.contains("4.00 KiB garbage: Node that only this cycle keeps alive"),
        "{cycles}"
    );
    let held = shown(&session, &["--holders", "list"]);
    assert!(held.contains("frame main<local things> → list"), "{held}");
    let of_type = shown(&session, &["--type", "Node"]);
    assert!(
        of_type.contains("Unreachable: 1 of them") && of_type.contains("itself alone, by a cycle"),
        "{of_type}"
    );
    let object = shown(&session, &["--path", "0x2000"]);
    assert!(object.contains("list at 0x2000: reachable"), "{object}");
}

#[test]
fn every_format_comes_out_of_every_question() {
    let session = with_snapshots();
    for question in [
        &[] as &[&str],
        &["--cycles"],
        &["--type", "app.Node"],
        &["--path", "4096"],
    ] {
        for (format, begin) in [
            ("json", "{"),
            ("dot", "digraph"),
            ("svg", "<svg"),
            ("heapsnapshot", "{\"snapshot\""),
        ] {
            let out = shown(&session, &[question, &["--format", format]].concat());
            assert!(out.starts_with(begin), "{question:?} {format}: {out}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&shown(&session, &["--cycles", "--format", "json"])).unwrap();
    assert_eq!(json["cycles"][0]["cycle"][0]["edge"], ".me");
}

#[test]
fn what_is_not_there_is_one_clear_sentence() {
    let session = with_snapshots();
    let refusal = |arguments: &[&str]| session.refusal([&["heap", "a.dw", "--at", "0"], arguments].concat());
    assert_eq!(
        refusal(&["--type", "app.Nod"]),
        "deadweight: there is no object of type app.Nod in the heap snapshot; there are objects of type app.Node\n"
    );
    assert!(refusal(&["--holders", "zzz"]).ends_with("no object of type zzz in the heap snapshot\n"));
    assert_eq!(
        refusal(&["--path", "0x1001"]),
        "deadweight: there is no object at 0x1001 in the heap snapshot; the ones next to it are at 0x1000 (Node) and \
         0x2000 (list)\n"
    );
    assert!(refusal(&["--path", "@99999"]).contains("there is no object @99999"));
    assert!(refusal(&["--path", "somewhere"]).contains("write an address"));
    assert!(refusal(&["--pid", "8"]).contains("pid 8 has no heap snapshot in this capture; these have: 7"));
    assert!(refusal(&["--cycles", "--type", "list"]).contains("cannot be used with"));
    let message = session.refusal(["heap", "a.dw", "--at", "3"]);
    assert_eq!(message, "deadweight: pid 7 has no heap snapshot 3; it has: 0, 4\n");
    assert!(session.refusal(["heap", "b.dw"]).contains("there is no capture b.dw"));
}

#[test]
fn a_capture_without_snapshots_says_how_to_get_some() {
    let session = Session::new();
    assert!(
        output(&mut session.run(["-o", "a.dw", "--no-snapshots", "-c", "pass"]))
            .status
            .success()
    );
    let message = session.refusal(["heap", "a.dw"]);
    assert!(
        message.starts_with("deadweight: a.dw has no heap snapshots: "),
        "{message}"
    );
    assert!(message.contains("--no-snapshots"), "{message}");
}

#[test]
fn a_snapshot_that_was_cut_off_is_shown_as_far_as_it_goes() {
    let session = with_snapshots();
    let done = output(&mut session.deadweight(["heap", "a.dw", "--at", "end"]));
    let shown = text(&done.stdout);
    assert!(done.status.success() && shown.contains("Heap snapshot 4"), "{shown}");
    assert!(shown.contains("was not written to its end"), "{shown}");
    let file = heap_file_name(ProcessId { pid: 7, incarnation: 0 }, 4, 0);
    session.write(&format!("a.dw/{file}"), "");
    let message = session.refusal(["heap", "a.dw", "--at", "4"]);
    assert!(
        message.contains("heap snapshot 4 of pid 7 cannot be analysed"),
        "{message}"
    );
}

#[test]
fn one_that_was_cut_off_does_not_stand_for_the_peak_while_there_is_a_whole_one() {
    let session = with_snapshots();
    let shown = text(&output(&mut session.deadweight(["heap", "a.dw"])).stdout);
    assert!(shown.contains("Heap snapshot 0"), "{shown}");
    let file = heap_file_name(ProcessId { pid: 7, incarnation: 0 }, 0, 0);
    session.write(&format!("a.dw/{file}"), snapshot(false));
    let shown = text(&output(&mut session.deadweight(["heap", "a.dw"])).stdout);
    assert!(shown.contains("was not written to its end"), "{shown}");
}

#[test]
fn a_picture_does_not_overwrite_a_file() {
    let session = with_snapshots();
    session.write("p.svg", "mine");
    let write = [
        "heap", "a.dw", "--cycles", "--at", "0", "--format", "svg", "-o", "p.svg",
    ];
    assert!(session.refusal(write).contains("p.svg exists already"));
    assert_eq!(fs::read_to_string(session.path("p.svg")).unwrap(), "mine");
    assert!(output(session.deadweight(write).arg("--force")).status.success());
    assert!(fs::read_to_string(session.path("p.svg")).unwrap().starts_with("<svg"));
}
