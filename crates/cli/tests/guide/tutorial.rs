//! docs/guide/tutorial.md, from its first command to its last.

use std::process::{Command, Stdio};

use crate::blocks::{Block, blocks, in_one_line};
use crate::group::Group;
use crate::places;
use crate::skips::{absent, skip};

/// Stands between the outputs of two blocks, with the status of the one before.
const MARK: &str = "\u{1}ended\u{1}";

/// Whether there can be what the blocks need; says what cannot.
fn available(need: &str) -> bool {
    match need {
        "cgroup" => match Group::with_limit(64 << 20) {
            Ok(_) => true,
            Err(reason) => {
                skip("tutorial: a limit of memory", &reason);
                false
            }
        },
        "woodwork" => {
            let Some(python) = places::python39() else {
                absent("tutorial: woodwork", "there is no Python 3.9");
                return false;
            };
            let asked = Command::new(python)
                .args([
                    "-m",
                    "pip",
                    "download",
                    "-q",
                    "--disable-pip-version-check",
                    "--retries",
                    "1",
                ])
                .args(["--no-deps", "--only-binary", ":all:", "woodwork==0.3.1", "-d"])
                .arg(std::env::temp_dir().join("deadweight-tutorial"))
                .output();
            let is_reached = asked.is_ok_and(|output| output.status.success());
            if !is_reached {
                skip("tutorial: woodwork", "PyPI cannot be reached");
            }
            is_reached
        }
        other => panic!("the tutorial needs {other}, which nobody knows"),
    }
}

/// One shell for all blocks, so that folders and variables stay; what each says goes to standard output.
fn script(blocks: &[&Block]) -> String {
    let mut script = String::from("exec 2>&1\n");
    for block in blocks {
        script.push_str(&block.commands);
        script.push_str(&format!("printf '{MARK}%s\\n' \"$?\"\n"));
    }
    script
}

#[test]
fn the_tutorial_runs_as_it_is_written() {
    let all = blocks(&places::guide("tutorial.md"));
    assert!(all.len() > 15, "{} blocks", all.len());
    let mut needs: Vec<&String> = all.iter().flat_map(|block| &block.needs).collect();
    needs.sort();
    needs.dedup();
    let lacking: Vec<&String> = needs.into_iter().filter(|need| !available(need)).collect();
    // The first block builds the `deadweight` that is being tested. A build of its own takes minutes where the tests are not
    // optimized.
    let is_built = cfg!(not(debug_assertions));
    if !is_built {
        absent("tutorial: the build", "these tests are not optimized");
    }
    let possible = |block: &&Block| {
        let is_build = block.commands.starts_with("cargo build");
        (!is_build || is_built) && block.needs.iter().all(|need| !lacking.contains(&need))
    };
    let run: Vec<&Block> = all.iter().filter(possible).collect();

    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", &script(&run)])
        .current_dir(places::checkout())
        .env("PATH", places::search_path(folder.path()))
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .env("TMPDIR", folder.path())
        .env_remove("VIRTUAL_ENV")
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rest = said.as_str();
    let mut trouble = Vec::new();
    for block in run {
        let Some((text, after)) = rest.split_once(MARK) else {
            panic!("the shell ended in the block at line {}: {rest}", block.line);
        };
        let (status, after) = after.split_once('\n').unwrap_or((after, ""));
        rest = after;
        let mut wrong: Vec<String> = Vec::new();
        if status != block.status.to_string() {
            wrong.push(format!("ended with {status}, not {}", block.status));
        }
        let line = in_one_line(text);
        let missing = block.says.iter().filter(|words| !line.contains(words.as_str()));
        wrong.extend(missing.map(|words| format!("does not say {words:?}")));
        let unwanted = block.not.iter().filter(|words| line.contains(words.as_str()));
        wrong.extend(unwanted.map(|words| format!("says {words:?}")));
        if !wrong.is_empty() {
            trouble.push(format!("line {}: {}\n{text}", block.line, wrong.join("; ")));
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}
