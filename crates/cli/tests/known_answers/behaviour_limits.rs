//! The program behaves as it does without deadweight when limits are hit and the ground is pulled away under the capture.

use std::fs;
use std::process::Command;

use crate::behaviour::{Case, check_case, compare};
use crate::pythons::{Python, each_of_ends};
use crate::recording::{Mode, Recording, around, folder};
use crate::skips::skip;
use crate::started::{command, own_program, plain, run};

#[test]
fn limits_are_hit_as_they_are_without_deadweight() {
    const NAMES: [(&str, bool); 10] = [
        ("address_space", true),
        ("descriptors", true),
        ("no_descriptors_at_all", true),
        ("file_size", true),
        ("file_size_with_default_action", true),
        ("locked_memory", false),
        ("small_stacks", false),
        ("removed_folder", false),
        ("deleted_capture", true),
        ("mappings", false),
    ];
    each_of_ends("limits", |python, findings| {
        for (name, may_stop) in NAMES {
            check_case(
                python,
                &Case {
                    may_stop,
                    ..Case::new("limits", name)
                },
                findings,
            );
        }
    });
}

/// Whether this command works here; CI may not let us.
fn works(words: &[&str]) -> bool {
    let done = Command::new(words[0]).args(&words[1..]).output();
    done.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_program() {
    if !works(&["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        return skip(
            "a capture on a full disk",
            "no mount namespace with a tmpfs can be had here (root, unshare, mount)",
        );
    }
    each_of_ends("full disk", |python, findings| {
        for size in ["100k", "400k", "5m"] {
            // The folder of the capture is a file system of this size, seen by the run alone.
            let mount =
                format!("mkdir -p small && mount -t tmpfs -o size={size} none small && cd small && exec \"$@\"");
            let wrapper = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
            let may_stop = true;
            check_case(
                python,
                &Case {
                    wrapper: &wrapper,
                    may_stop,
                    ..Case::new("limits", "full_disk")
                },
                findings,
            );
        }
    });
}

#[test]
fn a_capture_folder_that_takes_no_new_files_stops_the_recording_and_not_the_program() {
    let probe = folder();
    let path = probe.path().display().to_string();
    if !works(&["chattr", "+i", &path]) {
        return skip(
            "a capture folder that becomes read-only",
            "no chattr +i here (root, e2fsprogs, a file system that knows it)",
        );
    }
    assert!(works(&["chattr", "-i", &path]));
    each_of_ends("frozen folder", |python, findings| {
        let case = Case {
            may_stop: true,
            ..Case::new("limits", "frozen_capture")
        };
        check_case(python, &case, findings);
    });
}

#[test]
fn a_limit_from_outside_is_hit_as_it_is_without_deadweight() {
    each_of_ends("ulimit", |python, findings| {
        // Address space for one interpreter and what `fill` needs; core files and files as small as they get.
        let wrapper = ["sh", "-c", "ulimit -v 600000 -n 64; exec \"$@\"", "sh"];
        let may_stop = true;
        for name in ["full_disk", "small_stacks", "mappings"] {
            check_case(
                python,
                &Case {
                    wrapper: &wrapper,
                    may_stop,
                    ..Case::new("limits", name)
                },
                findings,
            );
        }
    });
}

/// Runs the program without these standard streams; it writes what it saw into a file.
fn without_streams(python: &Python, closed: &str, mode: Option<Mode>) -> Result<(String, String), String> {
    let here = folder();
    let inner = match mode {
        Some(mode) => around(python, mode, here.path()),
        None => plain(python, here.path()),
    };
    let mut outer = command("sh", here.path());
    outer
        .args(["-c", &format!("exec \"$@\" {closed}"), "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    outer.arg(own_program("limits")).args(["closed_streams", "seen.txt"]);
    let ended = run(&mut outer)?;
    let seen = fs::read_to_string(here.path().join("seen.txt"));
    Ok((ended.how(), seen.map_err(|error| format!("{error}; {ended:?}"))?))
}

#[test]
fn closed_standard_streams_stay_closed() {
    each_of_ends("closed streams", |python, findings| {
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">&- 2>&-"] {
            let Some(bare) = findings.take(closed, without_streams(python, closed, None)) else {
                continue;
            };
            for mode in [Mode::Exact, Mode::Sampled(1)] {
                let seen = without_streams(python, closed, Some(mode));
                let Some(seen) = findings.take(closed, seen) else {
                    continue;
                };
                findings.check(seen == bare, || format!("{closed}: {seen:?}, plain {bare:?}"));
            }
        }
    });
}

#[test]
fn each_way_to_end_is_the_programs_own() {
    const WAYS: [&str; 13] = [
        "ok",
        "exit:3",
        "os_exit:77",
        "exception",
        "memoryerror",
        "memoryerror_caught",
        "sigint_handled",
        "signal:SIGTERM",
        "signal:SIGKILL",
        "signal:SIGSEGV",
        "signal:SIGABRT",
        "signal:SIGUSR1",
        "signal:SIGPIPE",
    ];
    each_of_ends("ends", |python, findings| {
        for way in WAYS {
            let program = crate::started::shared_program("exit_codes");
            let here = folder();
            let bare = run(plain(python, here.path()).arg(&program).arg(way));
            let Some(bare) = findings.take(way, bare) else { continue };
            let recorded = Recording::with(python, Mode::Exact, |command| {
                command.arg(&program).arg(way);
            });
            let Some(recording) = findings.take(way, recorded) else {
                continue;
            };
            compare(&bare, &recording.ended, false, way, findings);
            findings.check(recording.analysis.warnings.is_empty(), || {
                format!("{way}: {:?}", recording.analysis.warnings)
            });
            let stated = recording
                .facts
                .one("exit")
                .map(|fact| crate::stated::number(fact, "bytes"));
            let Some(stated) = findings.take(way, stated) else {
                continue;
            };
            let heap = recording.analysis.peak.heap.bytes;
            findings.check((stated..stated + (10 << 20)).contains(&heap), || {
                format!("{way}: the peak is {heap}")
            });
        }
    });
}
