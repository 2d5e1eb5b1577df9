//! The program runs as it would without deadweight.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::session::{DEADWEIGHT, Session, output, python, text};

#[test]
fn the_exit_status_is_the_programs() {
    let session = Session::new();
    for (code, status) in [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(255)", 255),
        ("1 / 0", 1),
        ("import os; os._exit(77)", 77),
        ("this is no Python", 1),
    ] {
        assert_eq!(
            output(&mut session.run(["-c", code])).status.code(),
            Some(status),
            "{code}"
        );
    }
}

#[test]
fn a_killed_program_kills_its_supervisor_the_same_way() {
    use std::os::unix::process::ExitStatusExt;
    let session = Session::new();
    for signal in [
        libc::SIGKILL,
        libc::SIGSEGV,
        libc::SIGTERM,
        libc::SIGABRT,
        libc::SIGPIPE,
        libc::SIGINT,
        40,
    ] {
        let code = format!(
            "import os, signal; signal.signal({signal}, 0) if {signal} != 9 else 0; os.kill(os.getpid(), {signal})"
        );
        let done = output(&mut session.run(["-c", &code]));
        assert_eq!(done.status.signal(), Some(signal));
        assert!(!done.status.core_dumped());
    }
}

#[test]
fn output_and_input_pass_unchanged() {
    let session = Session::new();
    let code =
        "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.stderr.buffer.write(d * 2)";
    let input: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let feed = |command: &mut Command| -> Output {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        child.wait_with_output().unwrap()
    };
    let done = feed(&mut session.run(["-c", code]));
    assert!(done.stdout.iter().eq(input.iter().rev()));
    assert!(done.stderr == [&input[..], &input[..]].concat());
}

#[test]
fn the_diagnosis_goes_to_standard_error_only() {
    let session = Session::new();
    let mut command = session.deadweight(["run", "--python"]);
    let done = output(command.arg(python()).args(["-c", "print('only this')"]));
    assert_eq!(text(&done.stdout), "only this\n");
    assert!(
        text(&done.stderr).contains("deadweight report code.dw"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let session = Session::new();
    let mut command = session.command("sh");
    command
        .args(["-c", "exec \"$@\" 2>&-", "sh", DEADWEIGHT, "run", "--python"])
        .arg(python());
    let done = output(command.args(["-c", "raise SystemExit(5)"]));
    assert_eq!(done.status.code(), Some(5));
}

/// The output of `script` run by a shell, first without and then with deadweight around `$@`.
fn both(session: &Session, shell: &str, program: &[&str]) -> (String, String) {
    let plain = output(session.command("sh").args(["-c", shell, "sh"]).args(program));
    let mut around = session.command("sh");
    around
        .args(["-c", shell, "sh", DEADWEIGHT, "run", "-q", "--"])
        .args(program);
    (text(&plain.stdout), text(&output(&mut around).stdout))
}

#[test]
fn ignored_signals_and_the_mask_are_inherited() {
    let session = Session::new();
    // gVisor and others show no signal sets; where there are any, they are the same.
    let show = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    for ignored in ["", "INT", "INT QUIT HUP", "PIPE", "TERM USR1 USR2 CHLD TSTP"] {
        let shell = format!("for s in {ignored}; do trap '' $s; done; exec \"$@\"");
        let (plain, around) = both(&session, &shell, &show);
        assert_eq!(plain, around, "ignored: {ignored}");
    }
    let code = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {1, 2, 10, 15, 17, 34}); \
                os.execvp(sys.argv[1], sys.argv[1:])";
    let masked = |words: &[&str]| text(&output(session.command(python()).args(["-c", code]).args(words)).stdout);
    let around = [&[DEADWEIGHT, "run", "-q", "--"], &show[..]].concat();
    assert_eq!(masked(&show), masked(&around));
}

#[test]
fn open_and_closed_descriptors_are_inherited() {
    let session = Session::new();
    session.write("file", "");
    let list = [
        "sh",
        "-c",
        "for f in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$f && echo $f; done",
    ];
    for shell in [
        "exec \"$@\"",
        "exec \"$@\" <&-",
        "exec \"$@\" 2>&-",
        "exec \"$@\" 7<file 5>/dev/null <&- 2>&-",
    ] {
        let (plain, around) = both(&session, shell, &list);
        assert_eq!(plain, around, "{shell}");
    }
}

#[test]
fn the_environment_gains_only_what_the_agent_needs() {
    let session = Session::new();
    let names = |command: &mut Command| -> Vec<String> {
        let shown = text(&output(command.env("PYTHONHASHSEED", "7")).stdout);
        shown
            .lines()
            .filter(|line| !line.starts_with("_="))
            .map(str::to_string)
            .collect()
    };
    let plain = names(&mut session.command("env"));
    let around = names(&mut session.deadweight(["run", "-q", "--exact", "-o", "a.dw", "--", "env"]));
    let new: Vec<&String> = around.iter().filter(|line| !plain.contains(line)).collect();
    assert!(plain.iter().all(|line| around.contains(line)));
    assert!(
        new.iter()
            .all(|line| line.starts_with("DEADWEIGHT_") || line.starts_with("LD_PRELOAD=")),
        "{new:?}"
    );
    let capture = format!(
        "DEADWEIGHT_CAPTURE={}",
        session.path("a.dw").canonicalize().unwrap().display()
    );
    for expected in [
        &capture[..],
        "DEADWEIGHT_MODE=exact",
        "DEADWEIGHT_MAX_SIZE=268435456",
        "DEADWEIGHT_INTERVAL=65536",
    ] {
        assert!(new.iter().any(|line| *line == expected), "{expected}: {new:?}");
    }
}

#[test]
fn what_was_preloaded_stays_preloaded() {
    let session = Session::new();
    // A library that is already loaded anyway: preloading it is harmless.
    let mut command = session.run(["-c", "import os; print(os.environ['LD_PRELOAD'])"]);
    let done = output(command.env("LD_PRELOAD", "libc.so.6"));
    let line = text(&done.stdout);
    let (ours, theirs) = line.trim().split_once(':').expect("two libraries");
    assert!(
        ours.starts_with(session.cache().to_str().unwrap()) && ours.ends_with(".so"),
        "{ours}"
    );
    assert_eq!(theirs, "libc.so.6");
}

#[test]
fn the_process_group_and_parent_are_as_expected() {
    let session = Session::new();
    let code = "import os; print(os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0) == os.getsid(os.getppid()))";
    assert_eq!(text(&output(&mut session.run(["-c", code])).stdout), "True True\n");
}

#[test]
fn a_capture_that_vanishes_changes_nothing() {
    let session = Session::new();
    let code = "import os, shutil; shutil.rmtree(os.environ['DEADWEIGHT_CAPTURE']); raise SystemExit(6)";
    let mut command = session.deadweight(["run", "--python"]);
    let done = output(command.arg(python()).args(["-c", code]));
    assert_eq!(done.status.code(), Some(6));
    let message = text(&done.stderr);
    assert!(message.contains("run.json could not be written"), "{message}");
    assert!(message.contains("ended with exit status 6"), "{message}");
}
