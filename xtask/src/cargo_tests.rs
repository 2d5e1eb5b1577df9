//! The steps that are Cargo's tests, on this machine and in the chroot.

use std::path::PathBuf;

use serde_json::Value;

use crate::sid::{self, Chroot};
use crate::{Fallible, checkout, programs, pythons, shell};

/// The package of the program, whose integration tests are the end-to-end tests.
const PROGRAM: &str = "deadweight";

/// Tests of the default members, except the program's integration tests.
pub fn of_members() -> Fallible<()> {
    let metadata = checkout::metadata()?;
    let mut others = cargo_test(&[]);
    for member in checkout::default_members(&metadata)
        .iter()
        .filter(|member| *member != PROGRAM)
    {
        others.args(["-p", member]);
    }
    shell::run(others)?;
    let mut program = cargo_test(&["-p", PROGRAM, "--bins"]);
    if targets(&metadata, PROGRAM).any(|target| target["kind"][0] == "lib") {
        program.arg("--lib");
    }
    shell::run(program)
}

/// Tests of the agent, which share no feature resolution with the other crates.
pub fn of_agent() -> Fallible<()> {
    shell::run(cargo_test(&["-p", "deadweight-agent"]))
}

/// The known-answer programs, with every Python here.
pub fn of_programs() -> Fallible<()> {
    for python in some_pythons()? {
        println!("{python}");
        programs::run(|words| {
            let mut command = shell::command(&python.path);
            command.args(words);
            command
        })?;
    }
    Ok(())
}

/// What has tests ask every Python where they would be content with the oldest and the newest.
const LONG: &str = "DEADWEIGHT_LONG";

/// The known answers that depend on how the interpreter runs code: those that its JIT could change.
const OF_FRAMES: &[&str] = &[
    "allocators::",
    "behaviour::the_interpreter",
    "code_objects::",
    "exact::",
    "graphs::",
    "regions::",
    "sampled::",
    "stacks::",
];

/// The end-to-end tests with every Python here.
pub fn end_to_end(long: bool) -> Fallible<()> {
    some_pythons()?;
    if !targets(&checkout::metadata()?, PROGRAM).any(|target| target["kind"][0] == "test") {
        return Err("crates/cli has no integration tests".into());
    }
    let mut tests = cargo_test(&["--release", "-p", PROGRAM, "--test", "*"]);
    tests.env(LONG, if long { "1" } else { "0" });
    shell::run(tests)
}

/// The tests that run interpreters, in the chroot: built here, run there.
pub fn in_chroot(chroot: &Chroot, long: bool) -> Fallible<()> {
    for python in sid::PYTHONS {
        println!("{python}");
        programs::run(|words| {
            let words: Vec<&str> = std::iter::once(*python)
                .chain(words.iter().map(String::as_str))
                .collect();
            chroot.command(&checkout::root(), &words, &[])
        })?;
    }
    let readers = build(&["-p", "deadweight-cpython", "--tests"])?;
    // The tests of the supervision ask nothing of a Python's version.
    let answers = build(&["-p", PROGRAM, "--test", "known_answers"])?;
    let pythons = sid::PYTHONS.join(":");
    // What needs a file system or a namespace that the chroot lacks has run outside: it is printed, not counted.
    // The experimental JIT is compiled into these interpreters and off by default.
    for jit in ["0", "1"] {
        let variables = [
            (pythons::VARIABLE, &*pythons),
            ("PYTHON_JIT", jit),
            ("RUST_BACKTRACE", "1"),
        ];
        let filter = if jit == "1" && !long { OF_FRAMES } else { &[] };
        let tests = readers.iter().map(|test| (test, &[][..]));
        for ((executable, folder), filter) in tests.chain(answers.iter().map(|test| (test, filter))) {
            let name = executable.to_string_lossy();
            let words: Vec<&str> = std::iter::once(&*name).chain(filter.iter().copied()).collect();
            shell::run(chroot.command(folder, &words, &variables))?;
        }
    }
    Ok(())
}

/// The environment variable that names the file where a test notes what it left out: lines `what: reason`.
const SKIPS: &str = "DEADWEIGHT_SKIPS";

/// The file that [`SKIPS`] names.
pub fn skips_file() -> PathBuf {
    checkout::target().join("skipped-tests.txt")
}

/// Builds tests and returns each executable with the folder that it runs in.
fn build(selection: &[&str]) -> Fallible<Vec<(PathBuf, PathBuf)>> {
    shell::run(shell::cargo(&[&["test", "--release", "--no-run"], selection].concat()))?;
    let messages = shell::cargo(
        &[
            &["test", "--release", "--no-run", "--message-format", "json"],
            selection,
        ]
        .concat(),
    );
    let messages = shell::output(messages)?;
    let tests = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let executable = message["profile"]["test"]
                .as_bool()?
                .then(|| message["executable"].as_str())??;
            let manifest = PathBuf::from(message["manifest_path"].as_str()?);
            Some((PathBuf::from(executable), manifest.parent()?.to_path_buf()))
        });
    let tests: Vec<_> = tests.collect();
    if tests.is_empty() {
        Err(format!("no tests: {}", selection.join(" ")).into())
    } else {
        Ok(tests)
    }
}

/// `cargo test`, told about the Pythons here.
fn cargo_test(arguments: &[&str]) -> std::process::Command {
    let mut command = shell::cargo(&[&["test"], arguments].concat());
    command
        .env(pythons::VARIABLE, pythons::joined(&pythons::find()))
        .env(SKIPS, skips_file());
    command
}

/// The Pythons here, of which there must be one.
fn some_pythons() -> Fallible<Vec<pythons::Python>> {
    let pythons = pythons::find();
    if pythons.is_empty() {
        Err("no supported Python on this machine".into())
    } else {
        Ok(pythons)
    }
}

fn targets<'a>(metadata: &'a Value, package: &str) -> impl Iterator<Item = &'a Value> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let named = packages.filter(move |candidate| candidate["name"] == *package);
    named
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .collect::<Vec<_>>()
        .into_iter()
}
