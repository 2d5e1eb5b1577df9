//! `deadweight diff` of programs that differ in a known way, each recorded with another seed of the sample.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::pythons::{Python, each};
use crate::recording::folder;
use crate::started::{DEADWEIGHT, command, run};

/// Buffers, rows, and an index of small strings that has so many entries; `lines` lines above the index.
fn program(entries: u64, lines: usize) -> String {
    format!(
        "def buffers():\n    return [bytearray(1 << 20) for _ in range(60)]\n\n\
         def rows():\n    return [bytes(2000 + at % 2000) for at in range(10_000)]\n\n\
         {}def index():\n    found = []\n    for at in range({entries}):\n        found.append('%0450d' % at)\n    return found\n\n\
         kept = buffers(), rows(), index()\n",
        "# moved\n".repeat(lines)
    )
}

/// Without these lines, `found.append` is on line 10.
const LINE: u64 = 10;

fn record(python: &Python, seed: u64, source: &str, folder: &Path, name: &str) -> Result<(), String> {
    fs::write(folder.join("job.py"), source).map_err(|error| error.to_string())?;
    let mut command = command(DEADWEIGHT, folder);
    command
        .args(["run", "-q", "-o", name, "--"])
        .arg(&python.path)
        .arg("job.py");
    let ended = run(command.env("DEADWEIGHT_SEED", seed.to_string()))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {}", ended.how(), ended.err)),
    }
}

/// The comparison of two versions of the program.
fn diff(python: &Python, seed: u64, before: &str, after: &str) -> Result<Value, String> {
    let folder = folder();
    record(python, seed, before, folder.path(), "before.dw")?;
    record(python, seed + 1, after, folder.path(), "after.dw")?;
    let mut command = command(DEADWEIGHT, folder.path());
    let ended = run(command.args(["diff", "before.dw", "after.dw", "--format", "json"]))?;
    serde_json::from_str(&ended.out).map_err(|error| format!("{error}: {}", ended.err))
}

fn has_changed(row: &Value) -> bool {
    row["trend"] == "rose" || row["trend"] == "fell"
}

fn changed<'d>(diff: &'d Value, list: &str) -> Vec<&'d Value> {
    diff[list]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| has_changed(row))
        .collect()
}

#[test]
fn a_planted_regression_is_found_at_its_line() {
    each("planted", |python, findings| {
        // Small blocks of a small program: their sample is off by some percent.
        let found = diff(python, 1, &program(60_000, 0), &program(120_000, 0));
        let Some(diff) = findings.take("diff", found) else {
            return;
        };
        findings.check(diff["totals"]["peak_heap"]["trend"] == "rose", || {
            diff["totals"].to_string()
        });
        let rows = changed(&diff, "user_sites");
        let lines: Vec<&Value> = rows.iter().map(|row| &row["after"]["line"]).collect();
        findings.check(lines == [&Value::from(LINE)], || format!("{rows:?}"));
        let grown = rows.first().and_then(|row| row["change_bytes"].as_f64()).unwrap_or(0.0);
        let planted = 60_000.0 * 499.0;
        findings.check((grown / planted - 1.0).abs() < 0.35, || {
            format!("{grown} instead of {planted}")
        });
    });
}

#[test]
fn the_same_program_with_moved_lines_has_no_change() {
    each("moved", |python, findings| {
        for seed in [10, 20, 30] {
            let found = diff(python, seed, &program(60_000, 0), &program(60_000, 40));
            let Some(diff) = findings.take("diff", found) else {
                return;
            };
            for list in ["user_sites", "sites", "paths", "types", "findings"] {
                let rows = changed(&diff, list);
                findings.check(rows.is_empty(), || format!("seed {seed}: {list}: {rows:?}"));
            }
            let totals = diff["totals"].as_object().into_iter().flatten();
            let rose: Vec<_> = totals.filter(|(_, figure)| has_changed(figure)).collect();
            findings.check(rose.is_empty(), || format!("seed {seed}: {rose:?}"));
            let rows = diff["user_sites"].as_array().into_iter().flatten();
            let moved: Vec<(u64, u64)> = rows
                .filter(|row| row["after"]["function"] == "index")
                .filter_map(|row| Some((row["before"]["line"].as_u64()?, row["after"]["line"].as_u64()?)))
                .collect();
            findings.check(moved.contains(&(LINE, LINE + 40)), || format!("{moved:?}"));
        }
    });
}
