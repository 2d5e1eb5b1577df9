//! What could not be tested here, said aloud and noted for the end of `cargo xtask test`.

use std::fs::OpenOptions;
use std::io::Write;

/// Prints a line past the test harness, which keeps the output of tests that pass.
pub fn say(line: &str) {
    // Nobody may be listening, which is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what was left out and why.
pub fn absent(what: &str, reason: &str) {
    say(&format!("skipped: {what}: {reason}"));
}

/// Says what was left out and why, and notes it where CI collects what it could have run.
pub fn skip(what: &str, reason: &str) {
    absent(what, reason);
    let Some(path) = std::env::var_os("DEADWEIGHT_SKIPS").filter(|path| !path.is_empty()) else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| writeln!(file, "known_answers: {what}: {reason}"));
    if let Err(error) = written {
        say(&format!("{}: {error}", path.display()));
    }
}
