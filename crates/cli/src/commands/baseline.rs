//! `deadweight baseline`: what a run needed, as a file to keep in git.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use deadweight_report::baseline::Baseline;

use crate::args::BaselineArgs;
use crate::load::capture::RunData;
use crate::ui::output_file::write_out;

/// A baseline has some kilobytes; what is larger is another file.
const LARGEST: u64 = 16 << 20;

/// Writes the baseline of a capture.
///
/// # Errors
/// If there is no capture, it cannot be a baseline, or the file cannot be written.
pub fn baseline(args: &BaselineArgs) -> Result<()> {
    let baseline = of_capture(&args.capture)?;
    write_out(args.output.as_deref(), args.force, |_, out| baseline.render(out))
}

fn of_capture(folder: &Path) -> Result<Baseline> {
    let report = RunData::open(folder)?.report;
    let name = folder.display().to_string();
    Baseline::of(&name, &report).map_err(|error| anyhow!("{name} can be no baseline: {error}"))
}

/// Reads a baseline: a file, or a capture.
///
/// # Errors
/// If it is neither.
pub fn read(path: &Path) -> Result<Baseline> {
    let name = path.display();
    let Ok(about) = fs::metadata(path) else {
        bail!("there is no baseline {name}: `deadweight baseline CAPTURE -o {name}` makes one");
    };
    if about.is_dir() {
        return of_capture(path);
    }
    if !about.is_file() || about.len() > LARGEST {
        bail!("{name} is no baseline: `deadweight baseline CAPTURE -o FILE` makes one");
    }
    let mut text = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    file.take(LARGEST)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {name}"))?;
    Baseline::read(&text).map_err(|error| anyhow!("{name} {error}"))
}
