//! The capture's folder.

use std::ffi::OsStr;
use std::fs;

use crate::session::{Session, output, text};

#[test]
fn the_capture_is_named_after_the_program_and_never_overwritten() {
    let session = Session::new();
    session.write("bench.py", "");
    for _ in 0..3 {
        assert!(output(&mut session.run(["bench.py"])).status.success());
    }
    assert!(
        output(&mut session.run(["-m", "timeit", "-n1", "-r1", "pass"]))
            .status
            .success()
    );
    for name in ["bench.dw", "bench-2.dw", "bench-3.dw", "timeit.dw"] {
        assert!(session.path(name).join("run.json").is_file(), "{name}");
    }
}

#[test]
fn an_existing_folder_is_not_touched() {
    let session = Session::new();
    fs::create_dir(session.path("mine")).unwrap();
    session.write("mine/letter", "dear");
    session.write("file", "dear");
    let message = session.refusal(["run", "-o", "mine", "-c", "pass"]);
    assert!(
        message.contains("mine exists already") && !message.contains("--force"),
        "{message}"
    );
    assert!(
        session
            .refusal(["run", "--force", "-o", "mine", "-c", "pass"])
            .contains("--force does not replace mine")
    );
    assert!(
        session
            .refusal(["run", "--force", "-o", "file", "-c", "pass"])
            .contains("--force does not replace file")
    );
    assert_eq!(fs::read_to_string(session.path("mine/letter")).unwrap(), "dear");
    assert_eq!(fs::read_to_string(session.path("file")).unwrap(), "dear");
}

#[test]
fn force_replaces_a_capture_but_nothing_beside_it() {
    let session = Session::new();
    assert!(output(&mut session.run(["-o", "a.dw", "-c", "pass"])).status.success());
    assert!(
        session
            .refusal(["run", "-o", "a.dw", "-c", "pass"])
            .contains("replace this capture with --force")
    );
    session.write("a.dw/7.0.000000.dws", "old");
    assert!(
        output(&mut session.run(["--force", "-o", "a.dw", "-c", "pass"]))
            .status
            .success()
    );
    assert!(!session.path("a.dw/7.0.000000.dws").exists());
    session.write("a.dw/letter", "dear");
    let message = session.refusal(["run", "--force", "-o", "a.dw", "-c", "pass"]);
    assert!(message.contains("it holds letter"), "{message}");
    assert!(session.path("a.dw/run.json").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let session = Session::new();
    assert!(
        session
            .refusal(["run", "-o", "no/such/x.dw", "-c", "pass"])
            .contains("does not exist")
    );
    session.write("file", "");
    assert!(
        session
            .refusal(["run", "-o", "file/x.dw", "-c", "pass"])
            .contains("cannot make the folder file/x.dw")
    );
}

#[test]
fn a_path_that_the_agent_cannot_hold_is_an_error() {
    let session = Session::new();
    let folder = (0..5).fold(session.path(""), |folder, _| folder.join("a".repeat(200)));
    fs::create_dir_all(&folder).unwrap();
    let long = folder.join("x.dw");
    let message = session.refusal([
        OsStr::new("run"),
        OsStr::new("-o"),
        long.as_os_str(),
        OsStr::new("-cpass"),
    ]);
    assert!(message.contains("longer than 960 bytes"), "{message}");
    assert!(!long.exists());
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_capture() {
    let session = Session::new();
    session.write_executable("empty-script", "#!/no/such/interpreter\n");
    assert!(
        session
            .refusal(["run", "-o", "a.dw", "--", "./empty-script"])
            .contains("cannot start")
    );
    assert!(!session.path("a.dw").exists());
}

#[test]
fn the_manifest_tells_the_run() {
    let session = Session::new();
    session.write(
        "eat.py",
        "import time; x = bytearray(50_000_000); time.sleep(0.3); raise SystemExit(3)",
    );
    let done = output(&mut session.run(["-o", "a.dw", "--exact", "eat.py", "--fast"]));
    assert_eq!(done.status.code(), Some(3));
    let manifest = deadweight_capture::manifest::Manifest::read(&session.path("a.dw")).unwrap();
    assert_eq!(manifest.argv, ["eat.py", "--fast"]);
    assert_eq!((manifest.exact, manifest.sampling_interval_bytes), (true, 0));
    assert_eq!(manifest.exit.as_ref().and_then(|exit| exit.status), Some(3));
    assert!(manifest.seconds.is_some_and(|seconds| (0.3..60.0).contains(&seconds)));
    assert!(
        manifest
            .peak_rss_bytes
            .is_some_and(|bytes| (50_000_000..500_000_000).contains(&bytes))
    );
    let root = manifest
        .processes
        .iter()
        .find(|process| Some(process.pid) == manifest.pid)
        .unwrap();
    assert!(
        root.argv.ends_with(&["eat.py".to_string(), "--fast".to_string()]),
        "{:?}",
        root.argv
    );
    assert_eq!(Some(&root.exit), manifest.exit.as_ref());
}

#[test]
fn pages_that_forked_processes_share_count_once() {
    let session = Session::new();
    session.write(
        "pool.py",
        "import os, time\n\
         x = bytearray(b'x') * 100_000_000\n\
         children = []\n\
         for _ in range(4):\n\
         \x20   pid = os.fork()\n\
         \x20   if pid == 0:\n\
         \x20       time.sleep(1)\n\
         \x20       os._exit(0)\n\
         \x20   children.append(pid)\n\
         for pid in children:\n\
         \x20   os.waitpid(pid, 0)\n",
    );
    let done = output(&mut session.run(["-o", "a.dw", "pool.py"]));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let manifest = deadweight_capture::manifest::Manifest::read(&session.path("a.dw")).unwrap();
    assert_eq!(manifest.processes.len(), 5);
    let peak = manifest.peak_rss_bytes.unwrap();
    assert!((100_000_000..250_000_000).contains(&peak), "{peak}");
}

#[test]
fn a_run_without_python_says_why_nothing_was_recorded() {
    let session = Session::new();
    let done = output(&mut session.deadweight(["run", "-o", "a.dw", "--", "sleep", "0.1"]));
    assert!(done.status.success());
    // The agent may or may not have been loaded into sleep; it has no Python to record.
    let message = text(&done.stderr);
    assert!(message.contains("deadweight report a.dw"), "{message}");
}
