//! The known-answer programs, run plainly: what they state must hold before a profiler can be measured by it.

use std::path::PathBuf;
use std::process::Command;

use crate::{Fallible, checkout, shell};

/// Runs every program with one interpreter; `start` makes a command out of the interpreter's arguments.
pub fn run(start: impl Fn(&[String]) -> Command) -> Fallible<()> {
    let programs = find();
    for program in &programs {
        let mut words = vec!["-W".to_owned(), "error".to_owned(), program.display().to_string()];
        match program.file_stem().unwrap_or_default().to_str() {
            Some("exit_codes") => words.push("ok".to_owned()),
            Some("frames") => words.push("--witness".to_owned()),
            _ => {}
        }
        shell::quiet(start(&words))?;
    }
    println!("{} programs ran and found their own statements true", programs.len());
    Ok(())
}

/// The files of `tests/programs` that are programs, not what programs share, and end by themselves (not `kill_me.py`).
fn find() -> Vec<PathBuf> {
    let files = checkout::files(&checkout::root().join("tests/programs")).into_iter();
    let is_program =
        |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("__name__ == \"__main__\""));
    files
        .filter(|path| is_program(path) && !path.ends_with("kill_me.py"))
        .collect()
}
