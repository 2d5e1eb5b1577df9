//! The folder of a new capture.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use deadweight_capture::read::Capture;
use deadweight_capture::{manifest, rss_samples, timeline};

/// The agent has 1024 bytes for the name of a file in the folder.
const LONGEST_PATH: usize = 960;

/// Makes the folder and returns its absolute path. Without a name it gets the first free one of `bench.dw`,
/// `bench-2.dw`, `bench-3.dw`, ... in the current folder.
///
/// # Errors
/// If the folder exists or cannot be made.
pub fn create(asked_for: Option<&Path>, force: bool, stem: &str) -> Result<PathBuf> {
    let folder = match asked_for {
        Some(folder) => named(folder, force),
        None => unnamed(stem),
    }?;
    if folder.as_os_str().len() > LONGEST_PATH {
        remove_unused(&folder);
        bail!("the path of the capture is longer than {LONGEST_PATH} bytes: name a folder elsewhere with -o");
    }
    Ok(folder)
}

fn named(folder: &Path, force: bool) -> Result<PathBuf> {
    let (shown, whole) = (folder.display(), std::path::absolute(folder)?);
    match DirBuilder::new().create(&whole) {
        Ok(()) => return Ok(whole),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("cannot make the folder {shown}: the folder it should be in does not exist")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make the folder {shown}")),
    }
    if !force {
        let capture = Capture::open(&whole).is_ok();
        let or = if capture {
            ", or replace this capture with --force"
        } else {
            ""
        };
        bail!("{shown} exists already: choose another name with -o{or}");
    }
    empty(&whole).with_context(|| format!("--force does not replace {shown}"))?;
    Ok(whole)
}

/// Removes a capture's files. Whatever else lies in the folder keeps it from being replaced.
fn empty(folder: &Path) -> Result<()> {
    Capture::open(folder)?;
    let mut ours = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let known = [
            manifest::FILE,
            "run.json.part",
            timeline::FILE,
            "timeline.jsonl.part",
            rss_samples::FILE,
        ]
        .contains(&&*name)
            || name.ends_with(".dws")
            || name.ends_with(".dwh");
        if !known || !entry.file_type()?.is_file() {
            bail!("it holds {name}, which is no part of a capture");
        }
        ours.push(entry.path());
    }
    for file in ours {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

fn unnamed(stem: &str) -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder cannot be found: name a folder with -o")?;
    let stem: String = stem
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .take(80)
        .collect();
    for number in 1.. {
        let name = if number == 1 {
            format!("{stem}.dw")
        } else {
            format!("{stem}-{number}.dw")
        };
        match DirBuilder::new().create(here.join(&name)) {
            Ok(()) => return Ok(here.join(name)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot make the folder {name} for the capture here: name one elsewhere with -o")
                });
            }
        }
    }
    unreachable!("one of all numbers is free")
}

/// Takes a new capture's folder away again when the program could not be started.
pub fn remove_unused(folder: &Path) {
    // Failure leaves a folder with a manifest that says that nothing was started.
    let _ = fs::remove_file(folder.join(manifest::FILE));
    let _ = fs::remove_file(folder.join(timeline::FILE));
    let _ = fs::remove_file(folder.join(rss_samples::FILE));
    let _ = fs::remove_dir(folder);
}
