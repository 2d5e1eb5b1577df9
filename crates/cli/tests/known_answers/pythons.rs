//! The interpreters, and a test's loop over them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock};

use crate::skips::{absent, say};

/// One interpreter.
#[derive(Clone, Debug)]
pub struct Python {
    pub path: String,
    /// Minor version: 12 of 3.12.
    pub minor: u32,
    /// `3.12.1`, for messages.
    pub name: String,
    /// Modules that it was built without, of those that our programs ask for.
    missing: Vec<String>,
}

impl Python {
    pub fn has(&self, module: &str) -> bool {
        !self.missing.iter().any(|missing| missing == module)
    }
}

const QUESTION: &str = "import importlib.util, sys\n\
    find = importlib.util.find_spec\n\
    print(*sys.version_info[:2], sys.version.split()[0].rstrip('+'))\n\
    print(*[name for name in ('_ctypes', '_multiprocessing') if find(name) is None])";

fn ask(path: &str) -> Option<Python> {
    let answer = Command::new(path).args(["-c", QUESTION]).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (first, missing) = text.split_once('\n')?;
    let words: Vec<&str> = first.split(' ').collect();
    let [_, minor, name] = words[..] else { return None };
    Some(Python {
        path: path.to_string(),
        minor: minor.parse().ok()?,
        name: name.to_string(),
        missing: missing.split_whitespace().map(str::to_string).collect(),
    })
}

fn on_path() -> Vec<String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join("python3"));
    let first = found.find(|path: &PathBuf| path.exists());
    first.map(|path| path.display().to_string()).into_iter().collect()
}

/// All of them. What is named and does not run is said once.
pub fn all() -> &'static [Python] {
    static ALL: OnceLock<Vec<Python>> = OnceLock::new();
    ALL.get_or_init(|| {
        let named = std::env::var("DEADWEIGHT_PYTHONS").unwrap_or_default();
        let mut paths: Vec<String> = named
            .split(':')
            .filter(|path| !path.is_empty())
            .map(String::from)
            .collect();
        if paths.is_empty() {
            paths = on_path();
        }
        let mut pythons = Vec::new();
        for path in paths {
            match ask(&path) {
                Some(python) => pythons.push(python),
                None => absent(&path, "does not run as a Python"),
            }
        }
        for minor in 9..=15 {
            if !pythons.iter().any(|python| python.minor == minor) {
                absent(&format!("Python 3.{minor}"), "not among the Pythons of this run");
            }
        }
        assert!(!pythons.is_empty(), "there is no Python here: set DEADWEIGHT_PYTHONS");
        pythons
    })
}

/// What a test found with one Python.
#[derive(Default)]
pub struct Findings {
    failures: Vec<String>,
    compared: usize,
    /// What else was counted, for the line that the test prints.
    pub detail: String,
}

impl Findings {
    /// Notes a comparison, and a failure if it does not hold.
    pub fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds {
            self.failures.push(otherwise());
        }
    }

    /// Unwraps, or notes the error as a failure.
    pub fn take<T>(&mut self, what: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|error| self.failures.push(format!("{what}: {error}")))
            .ok()
    }
}

/// Whether a test needs the machine for itself: tests share it, those that depend on time do not.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test's body with every Python, and fails afterwards if it found something wrong with any.
pub fn each(test: &str, body: impl Fn(&Python, &mut Findings)) {
    each_in_turn(test, |_| true, shared(body));
}

/// As [`each`], while no other test runs: what the body sees depends on how fast programs, snapshots and the supervisor's
/// samples are, and two busy cores make a third program wait.
pub fn each_alone(test: &str, body: impl Fn(&Python, &mut Findings)) {
    each_in_turn(test, |_| true, alone(body));
}

/// As [`each`], with the oldest and the newest Python here: for what the kernel and the supervisor do, which is the same
/// whatever the interpreter. With `DEADWEIGHT_LONG=1`, as `cargo xtask test --long` sets it, with every one.
pub fn each_of_ends(test: &str, body: impl Fn(&Python, &mut Findings)) {
    each_in_turn(test, is_end, shared(body));
}

/// As [`each_of_ends`] and [`each_alone`].
pub fn each_of_ends_alone(test: &str, body: impl Fn(&Python, &mut Findings)) {
    each_in_turn(test, is_end, alone(body));
}

fn is_end(python: &Python) -> bool {
    let is_long = std::env::var("DEADWEIGHT_LONG").is_ok_and(|value| value == "1");
    let ends = [all().first(), all().last()];
    is_long || ends.into_iter().flatten().any(|end| end.path == python.path)
}

fn shared(body: impl Fn(&Python, &mut Findings)) -> impl Fn(&Python, &mut Findings) {
    move |python, findings| {
        let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        body(python, findings);
    }
}

fn alone(body: impl Fn(&Python, &mut Findings)) -> impl Fn(&Python, &mut Findings) {
    move |python, findings| {
        let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        body(python, findings);
    }
}

fn each_in_turn(test: &str, is_wanted: impl Fn(&Python) -> bool, body: impl Fn(&Python, &mut Findings)) {
    let mut failures = Vec::new();
    for python in all().iter().filter(|python| is_wanted(python)) {
        let mut findings = Findings::default();
        let panicked = catch_unwind(AssertUnwindSafe(|| body(python, &mut findings))).is_err();
        if panicked {
            findings
                .failures
                .push("the test itself panicked, see above".to_string());
        }
        let (count, failed) = (findings.compared, findings.failures.len());
        say(&format!(
            "{test}: {}: {count} comparisons, {failed} failures{}",
            python.name, findings.detail
        ));
        // A hundred times the same thing helps nobody.
        let more = failed.saturating_sub(12);
        failures.extend(
            findings
                .failures
                .into_iter()
                .take(12)
                .map(|what| format!("Python {}: {what}", python.name)),
        );
        if more > 0 {
            failures.push(format!("Python {}: and {more} more", python.name));
        }
    }
    assert!(failures.is_empty(), "{test}:\n{}", failures.join("\n"));
}
