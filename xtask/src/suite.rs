//! `cargo xtask test` and `cargo xtask check`: their steps in order, to the end whatever fails, and a table of how each went.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::sid::{self, Problem};
use crate::{Fallible, architecture, cargo_tests, checkout, pythons, shell, wheel};

/// One step: its name, what it checks, and how.
struct Step {
    name: &'static str,
    checks: &'static str,
    run: fn(&mut Run) -> Outcome,
}

/// How a step went.
enum Outcome {
    Passed,
    Failed(String),
    Skipped,
}

/// What the steps of one run share.
struct Run {
    /// Whether slow tests run as well.
    long: bool,
    skips: Vec<Skip>,
}

/// Something that was left out.
struct Skip {
    what: String,
    reason: String,
    /// Whether this machine could have run it: then a run on CI fails.
    possible: bool,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        checks: "rustfmt would change nothing",
        run: |_| cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "architecture",
        checks: "crate dependencies, file names, paths in documents",
        run: |_| architecture::check().into(),
    },
    Step {
        name: "clippy",
        checks: "no lint in the default members",
        run: |_| cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "clippy-agent",
        checks: "no lint in the agent, which is built apart",
        run: |_| cargo(&["clippy", "-p", "deadweight-agent", "--", "-D", "warnings"]),
    },
    Step {
        name: "docs",
        checks: "the documentation builds without a warning",
        run: |_| documentation().into(),
    },
    Step {
        name: "dependencies",
        checks: "licences, advisories and sources of the libraries (deny.toml)",
        run: dependencies,
    },
    Step {
        name: "tests",
        checks: "tests of the default members",
        run: |_| cargo_tests::of_members().into(),
    },
    Step {
        name: "agent",
        checks: "tests of the agent, with every interleaving of its lock and filter (loom)",
        run: |_| cargo_tests::of_agent().into(),
    },
    Step {
        name: "build",
        checks: "the release binary builds and starts",
        run: |_| build().into(),
    },
    Step {
        name: "programs",
        checks: "the known-answer programs, plain, on every Python",
        run: programs,
    },
    Step {
        name: "end-to-end",
        checks: "deadweight itself, on every Python",
        run: |run| cargo_tests::end_to_end(run.long).into(),
    },
    Step {
        name: "healthy",
        checks: "no false alarm on healthy programs (those that do not take long)",
        run: healthy,
    },
    Step {
        name: "cases",
        checks: "known bugs are found, and not where they are fixed (those that need no packages)",
        run: cases,
    },
    Step {
        name: "sid",
        checks: "the same on Python 3.14 and 3.15, in a Debian sid chroot, JIT off and on",
        run: in_chroot,
    },
    Step {
        name: "wheel",
        checks: "wheel and sdist, installed for every Python",
        run: |_| wheel::check().into(),
    },
];

/// The steps of `cargo xtask check`: what every commit should pass, in less than two minutes once things are built.
const QUICK: [&str; 6] = ["format", "architecture", "clippy", "clippy-agent", "tests", "agent"];

impl From<Fallible<()>> for Outcome {
    fn from(result: Fallible<()>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// Prints the steps' names.
pub fn list() {
    for step in STEPS {
        println!("{:14} {}", step.name, step.checks);
    }
}

/// Runs the quick steps.
pub fn check() -> Fallible<ExitCode> {
    run(&QUICK.map(str::to_owned), false)
}

/// Runs the steps named in `only`, or all if it is empty; `long` includes slow tests.
pub fn run(only: &[String], long: bool) -> Fallible<ExitCode> {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("no step is called {unknown}; `cargo xtask test --list` lists them").into());
    }
    let steps: Vec<&Step> = STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
        .collect();
    let _ = std::fs::remove_file(cargo_tests::skips_file());
    for python in pythons::find() {
        println!("{python}");
    }
    let mut run = Run {
        long,
        skips: Vec::new(),
    };
    let mut results = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}: {}", index + 1, steps.len(), step.name, step.checks);
        let begun = Instant::now();
        let outcome = (step.run)(&mut run);
        if let Outcome::Failed(error) = &outcome {
            println!("FAILED: {error}");
        }
        results.push((step.name, outcome, begun.elapsed()));
    }
    for line in std::fs::read_to_string(cargo_tests::skips_file())
        .unwrap_or_default()
        .lines()
    {
        let (what, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        run.skips.push(Skip {
            what: what.to_owned(),
            reason: reason.to_owned(),
            possible: true,
        });
    }
    Ok(conclude(&results, &run.skips))
}

/// Prints the table and the closing line.
fn conclude(results: &[(&str, Outcome, Duration)], skips: &[Skip]) -> ExitCode {
    println!("\n=== results");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (index, (name, outcome, time)) in results.iter().enumerate() {
        let (counter, word) = match outcome {
            Outcome::Passed => (&mut passed, "passed"),
            Outcome::Failed(_) => (&mut failed, "FAILED"),
            Outcome::Skipped => (&mut skipped, "skipped"),
        };
        *counter += 1;
        println!("{:3}. {name:14} {word:8} {:7.1} s", index + 1, time.as_secs_f64());
        if let Outcome::Failed(error) = outcome {
            println!("     {}", error.lines().next().unwrap_or_default());
        }
    }
    for skip in skips {
        let word = if skip.possible { "left out" } else { "impossible here" };
        println!("{word}: {}: {}", skip.what, skip.reason);
    }
    let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let owed = on_ci && skips.iter().any(|skip| skip.possible);
    if owed {
        println!("this is CI, and something was left out that it could have run");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || owed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn cargo(arguments: &[&str]) -> Outcome {
    shell::run(shell::cargo(arguments)).into()
}

/// Asks cargo-deny, where it is installed: to build it takes longer than all that is asked of it.
fn dependencies(run: &mut Run) -> Outcome {
    if shell::quiet(shell::cargo(&["deny", "--version"])).is_err() {
        run.skips.push(Skip {
            what: "the check of deny.toml".to_owned(),
            reason: "cargo-deny is not installed (cargo install --locked cargo-deny)".to_owned(),
            possible: false,
        });
        return Outcome::Skipped;
    }
    cargo(&["deny", "--all-features", "check"])
}

fn documentation() -> Fallible<()> {
    let mut command = shell::cargo(&["doc", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    shell::run(command)
}

fn build() -> Fallible<()> {
    shell::run(shell::cargo(&["build", "--release", "-p", "deadweight"]))?;
    let mut version = shell::command(checkout::release_binary());
    version.arg("--version");
    shell::run(version)
}

/// Runs the programs, and notes the Pythons that this machine lacks.
fn programs(run: &mut Run) -> Outcome {
    let found = pythons::find();
    for minor in pythons::SUPPORTED.filter(|minor| found.iter().all(|python| python.version.1 != *minor)) {
        let in_chroot = sid::PYTHONS
            .iter()
            .any(|path| path.ends_with(&format!("python3.{minor}")));
        if !in_chroot {
            let what = format!("Python 3.{minor}");
            run.skips.push(Skip {
                what,
                reason: "not installed on this machine".to_owned(),
                possible: false,
            });
        }
    }
    cargo_tests::of_programs().into()
}

/// Runs the release binary on the healthy programs; those that need packages are left out where there is no PyPI.
fn healthy(run: &mut Run) -> Outcome {
    // The newest that packages have wheels for.
    let pythons = pythons::find();
    let Some(python) = pythons
        .iter()
        .filter(|python| python.version.1 <= 13)
        .max_by_key(|python| python.version)
    else {
        return Outcome::Failed("there is no Python to run them with".to_owned());
    };
    of_script(python, "tests/healthy/run.py", "healthy program", run)
}

/// Runs the release binary on the known bugs that need no packages.
fn cases(run: &mut Run) -> Outcome {
    match pythons::find().iter().max_by_key(|python| python.version) {
        Some(python) => of_script(python, "tests/cases/run.py", "case", run),
        None => Outcome::Failed("there is no Python to run them with".to_owned()),
    }
}

/// Runs the fast part of a script that says what it left out.
fn of_script(python: &pythons::Python, script: &str, what: &str, run: &mut Run) -> Outcome {
    let left_out = checkout::target().join("left-out.txt");
    let _ = std::fs::remove_file(&left_out);
    let mut start = shell::command(&python.path);
    start
        .args([script, "--fast", "--deadweight"])
        .arg(checkout::release_binary())
        .arg("--skips")
        .arg(&left_out);
    let outcome = build().and_then(|()| shell::run(start));
    for line in std::fs::read_to_string(&left_out).unwrap_or_default().lines() {
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        run.skips.push(Skip {
            what: format!("{what} {name}"),
            reason: reason.to_owned(),
            possible: false,
        });
    }
    outcome.into()
}

fn in_chroot(run: &mut Run) -> Outcome {
    match sid::prepare() {
        Ok(chroot) => cargo_tests::in_chroot(&chroot, run.long).into(),
        Err(Problem::Failed(error)) => Outcome::Failed(error),
        Err(Problem::Impossible(reason)) => {
            run.skips.push(Skip {
                what: "Python 3.14 and 3.15 in a chroot".to_owned(),
                reason,
                possible: false,
            });
            Outcome::Skipped
        }
    }
}
