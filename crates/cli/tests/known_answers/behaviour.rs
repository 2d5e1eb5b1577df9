//! The program behaves as it does without deadweight: output, errors, exit status.

use std::process::Command;

use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, around, folder};
use crate::skips::absent;
use crate::started::{Ended, own_program, plain, run};

/// One way to run one of our programs.
pub struct Case<'a> {
    pub file: &'a str,
    pub name: &'a str,
    pub variables: &'a [(&'a str, &'a str)],
    /// Put in front of the whole command, deadweight included.
    pub wrapper: &'a [&'a str],
    /// Whether recording has to stop in this case, which the agent may say on standard error.
    pub may_stop: bool,
    /// How to record.
    pub modes: &'a [Mode],
}

impl<'a> Case<'a> {
    pub fn new(file: &'a str, name: &'a str) -> Case<'a> {
        Case {
            file,
            name,
            variables: &[],
            wrapper: &[],
            may_stop: false,
            modes: &[Mode::Exact, Mode::Sampled(1)],
        }
    }
}

/// Addresses and process ids differ from run to run.
fn repeatable(text: &str) -> String {
    let without = |text: &str, mark: &str| {
        let mut parts = text.split(mark);
        let mut clean = parts.next().unwrap_or_default().to_string();
        for part in parts {
            clean += mark;
            clean += part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit());
        }
        clean
    };
    without(&without(text, "0x"), "pid=")
}

/// `sh -c` in front of a command, or nothing.
pub fn wrapped(inner: Command, wrapper: &[&str]) -> Command {
    let Some((first, rest)) = wrapper.split_first() else {
        return inner;
    };
    let mut outer = Command::new(first);
    outer
        .args(rest)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    outer.current_dir(inner.get_current_dir().expect("it runs in a folder"));
    outer.stdin(std::process::Stdio::null());
    outer
}

/// Runs a case plainly, exactly and sampled, and compares.
pub fn check_case(python: &Python, case: &Case<'_>, findings: &mut Findings) {
    let (program, what) = (own_program(case.file), case.name);
    let finish = |mut command: Command| {
        command
            .arg(&program)
            .arg(case.name)
            .envs(case.variables.iter().copied());
        run(&mut wrapped(command, case.wrapper))
    };
    let here = folder();
    let Some(bare) = findings.take(what, finish(plain(python, here.path()))) else {
        return;
    };
    for &mode in case.modes {
        let here = folder();
        let what = format!("{what}, {mode:?}");
        let Some(ended) = findings.take(&what, finish(around(python, mode, here.path()))) else {
            continue;
        };
        compare(&bare, &ended, case.may_stop, &what, findings);
    }
}

/// Holds a recorded end against the plain one.
pub fn compare(bare: &Ended, ended: &Ended, may_stop: bool, what: &str, findings: &mut Findings) {
    let how = (bare.how(), ended.how());
    findings.check(how.0 == how.1, || {
        format!("{what}: ends with {}, plain {}; {}", how.1, how.0, ended.err)
    });
    let out = (repeatable(&bare.out), repeatable(&ended.out));
    findings.check(out.0 == out.1, || {
        format!("{what}: prints {:?}, plain {:?}", out.1, out.0)
    });
    let ours = |line: &&str| line.starts_with("deadweight: ");
    let clean: String = match may_stop {
        true => ended.err.split_inclusive('\n').filter(|line| !ours(line)).collect(),
        false => ended.err.clone(),
    };
    let err = (repeatable(&bare.err), repeatable(&clean));
    findings.check(err.0 == err.1, || {
        format!("{what}: errors {:?}, plain {:?}", err.1, err.0)
    });
    // One line for each process that stopped, and one of the supervisor's.
    let lines = ended.err.lines().filter(ours).count();
    findings.check(lines <= 4, || format!("{what}: says too much: {:?}", ended.err));
}

#[test]
fn processes_behave_as_they_do_without_deadweight() {
    const NAMES: [&str; 13] = [
        "fork_and_wait_for_any",
        "sigchld_count",
        "os_exit",
        "descriptors",
        "close_range",
        "no_preload_for_children",
        "empty_environment",
        "many_subprocesses",
        "exec_itself",
        "daemon",
        "fork_in_a_thread",
        "os_spawn_and_system",
        "fill",
    ];
    each("behaviour of processes", |python, findings| {
        for name in NAMES {
            check_case(python, &Case::new("processes", name), findings);
        }
    });
}

#[test]
fn the_interpreter_behaves_as_it_does_without_deadweight() {
    const NAMES: [&str; 20] = [
        "threads",
        "signals",
        "signal_settings",
        "attributes",
        "random_state",
        "recursion_error",
        "deep_recursion_unhandled",
        "memory_error",
        "memory_error_unhandled",
        "abort",
        "segmentation_fault",
        "traceback_after_fault",
        "uncaught",
        "subinterpreters",
        "subinterpreters_in_threads",
        "warnings_and_atexit",
        "daemon_threads_at_exit",
        "object_addresses_and_sizes",
        "native_calls_in_threads",
        "errno_is_kept",
    ];
    each("behaviour of the interpreter", |python, findings| {
        for name in NAMES {
            if ["native_calls_in_threads", "errno_is_kept"].contains(&name) && !python.has("_ctypes") {
                absent(&format!("{name} with Python {}", python.name), "built without ctypes");
                continue;
            }
            if name == "daemon_threads_at_exit" && python.minor == 10 {
                // take_gil reads an interpreter that is freed already, the more often the longer exit takes.
                absent(
                    &format!("{name} with Python {}", python.name),
                    "this Python itself crashes in it at times",
                );
                continue;
            }
            check_case(python, &Case::new("interpreter", name), findings);
        }
        for name in ["abort", "segmentation_fault", "deep_recursion_unhandled"] {
            let variables = &[("PYTHONFAULTHANDLER", "1")];
            check_case(
                python,
                &Case {
                    variables,
                    ..Case::new("interpreter", name)
                },
                findings,
            );
        }
    });
}
