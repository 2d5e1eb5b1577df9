//! `deadweight watch`: any program, any Python, without the agent.

use std::process::{Child, Output, Stdio};

use deadweight_capture::manifest::{ExitKind, Manifest};
use deadweight_capture::timeline::{Point, Timeline};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::session::{Ready, Session, eventually, hearing_signals, output, python, text};

const MIB: u64 = 1 << 20;

fn read(session: &Session, name: &str) -> (Manifest, Timeline) {
    let folder = session.path(name);
    let timeline = Timeline::read(&folder).unwrap().expect("a timeline");
    (Manifest::read(&folder).unwrap(), timeline)
}

/// Starts `deadweight watch -o w.dw` with these arguments.
fn watch(session: &Session, arguments: &[&str]) -> Child {
    let mut command = session.deadweight([&["watch", "-o", "w.dw"], arguments].concat());
    hearing_signals(&mut command).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a point of `w.dw` has been written that is so.
fn await_point(session: &Session, what: &str, is_so: impl Fn(&Point) -> bool) {
    eventually(what, || {
        let timeline = Timeline::read(&session.path("w.dw")).ok().flatten();
        timeline.is_some_and(|timeline| timeline.points.iter().any(&is_so))
    });
}

/// Lets a program go on that waits for a file, and waits for the watch's end.
fn go_on(session: &Session, watch: Child) -> Output {
    session.write("go", "");
    watch.wait_with_output().unwrap()
}

/// Two children hold memory together until there is a file `go`.
const TREE: &str = "import os, sys, time
def child(mib):
    if os.fork() == 0:
        x = bytearray(b'x') * (mib << 20)
        while not os.path.exists('go'):
            time.sleep(0.005)
        os._exit(0)
child(60)
child(90)
os.wait(); os.wait()
sys.exit(3)
";

#[test]
fn a_tree_is_watched_as_a_whole() {
    let session = Session::new();
    session.write("tree.py", TREE);
    let watch = watch(&session, &["--", python().to_str().unwrap(), "tree.py"]);
    await_point(&session, "both children are full", |point| point.total >= 150 * MIB);
    let done = go_on(&session, watch);
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(3), "{said}");
    for words in ["ended with exit status 3", "Peak: ", "┤", "no allocations"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (manifest, timeline) = read(&session, "w.dw");
    assert!(manifest.watched && manifest.exit.as_ref().is_some_and(|exit| exit.kind == ExitKind::Failed));
    let peak = timeline.peak().unwrap().total;
    assert!((150 * MIB..200 * MIB).contains(&peak), "{peak}");
    let mut peaks: Vec<u64> = timeline.processes.values().map(|process| process.peak / MIB).collect();
    peaks.sort_unstable();
    let [.., first, second] = peaks[..] else {
        panic!("{peaks:?}")
    };
    assert!((60..80).contains(&first) && (90..110).contains(&second), "{peaks:?}");
    assert!(timeline.processes.values().all(|process| process.ended_ms.is_some()));
    assert!(
        manifest
            .peak_rss_bytes
            .is_some_and(|bytes| bytes.abs_diff(peak) < 8 * MIB)
    );

    let report = text(&output(&mut session.deadweight(["report", "w.dw"])).stdout);
    assert!(report.contains("This capture has a timeline only"), "{report}");
    let json = output(&mut session.deadweight(["report", "w.dw", "--format", "json"]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["run"]["watched"], true);
    assert_eq!(json["peak"]["heap_bytes"], serde_json::Value::Null);
    assert_eq!(json["warnings"], serde_json::json!([]));
    let points = json["timeline"]["points"].as_array().unwrap();
    assert_eq!(points.len(), timeline.points.len());
    let svg = text(&output(&mut session.deadweight(["report", "w.dw", "--format", "timeline"])).stdout);
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(
        session
            .refusal(["report", "w.dw", "--format", "svg"])
            .contains("no allocations")
    );
}

#[test]
fn shares_are_measured_when_asked_for() {
    let session = Session::new();
    // The child shares what its parent has.
    let shared = "import os, time
x = bytearray(b'x') * (100 << 20)
if os.fork() == 0:
    while not os.path.exists('go'):
        time.sleep(0.005)
    os._exit(0)
os.wait()";
    let of_both = |point: &Point| point.pss.len() == 2 && point.rss.iter().all(|&(_, bytes)| bytes > 100 * MIB);
    let watch = watch(
        &session,
        &["-q", "--pss", "--", python().to_str().unwrap(), "-c", shared],
    );
    await_point(&session, "both processes are seen", of_both);
    let done = go_on(&session, watch);
    assert!(done.status.success() && done.stderr.is_empty());
    let (_, timeline) = read(&session, "w.dw");
    let both = timeline.points.iter().find(|point| of_both(point));
    let both = both.expect("two processes at once");
    let sum = |list: &[(u32, u64)]| list.iter().map(|(_, bytes)| bytes).sum::<u64>();
    assert!(sum(&both.rss) > 200 * MIB, "{both:?}");
    assert!((100 * MIB..130 * MIB).contains(&sum(&both.pss)), "{both:?}");
    assert!(sum(&both.uss) < 30 * MIB, "{both:?}");
    assert!(both.total < 130 * MIB, "{both:?}");
}

#[test]
fn a_running_process_is_watched_until_it_ends() {
    let session = Session::new();
    let mut sleeper = session.command("sleep").arg("60").spawn().unwrap();
    let watch = watch(&session, &[&sleeper.id().to_string()]);
    await_point(&session, "the process is seen", |_| true);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let done = watch.wait_with_output().unwrap();
    let said = text(&done.stderr);
    assert!(done.status.success() && said.contains("sleep"), "{said}");
    let (manifest, timeline) = read(&session, "w.dw");
    assert_eq!(manifest.pid, Some(sleeper.id()));
    let process = timeline.processes.values().next().unwrap();
    let last = timeline.points.last().unwrap();
    assert!(
        process.ended_ms.is_some_and(|ms| ms + 1000 > last.ms),
        "{process:?} {last:?}"
    );
}

#[test]
fn an_interrupt_ends_the_watch_and_not_the_process() {
    let session = Session::new();
    let mut sleeper = session.command("sleep").arg("60").spawn().unwrap();
    let watch = watch(&session, &[&sleeper.id().to_string()]);
    await_point(&session, "the process is seen", |_| true);
    kill(Pid::from_raw(watch.id() as i32), Signal::SIGINT).unwrap();
    let done = watch.wait_with_output().unwrap();
    assert!(sleeper.try_wait().unwrap().is_none(), "the process has ended");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let said = text(&done.stderr);
    assert!(
        done.status.success() && said.contains("still ran when watching"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    let session = Session::new();
    assert!(
        session
            .refusal(["watch", "4194305"])
            .contains("there is no process 4194305")
    );
    assert!(session.refusal(["watch", "1", "2"]).contains("is a PID"));
    assert!(
        session
            .refusal(["watch", "no-such-command"])
            .contains("no-such-command")
    );
    assert!(session.refusal(["watch", "--foo", "ls"]).contains("--foo"));
    assert!(!session.path("w.dw").exists());
}

#[test]
fn a_killed_supervisor_leaves_a_timeline() {
    let session = Session::new();
    let code = "import time; x = bytearray(b'x') * (50 << 20); print('ready', flush=True); time.sleep(60)";
    let mut command = session.deadweight([
        "watch",
        "-q",
        "-o",
        "w.dw",
        "--",
        python().to_str().unwrap(),
        "-c",
        code,
    ]);
    let mut ready = Ready::start(&mut command);
    await_point(&session, "the memory is seen", |point| point.total > 50 * MIB);
    kill(ready.pid(), Signal::SIGKILL).unwrap();
    ready.child.wait().unwrap();
    let (manifest, _) = read(&session, "w.dw");
    // The program goes on without its supervisor.
    kill(Pid::from_raw(manifest.pid.unwrap() as i32), Signal::SIGKILL).unwrap();
    let report = text(&output(&mut session.deadweight(["report", "w.dw"])).stdout);
    assert!(report.contains("its end was not seen"), "{report}");
    let json = output(&mut session.deadweight(["report", "w.dw", "--format", "json"]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(
        json["peak"]["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 50 * MIB),
        "{}",
        json["peak"]
    );
}
