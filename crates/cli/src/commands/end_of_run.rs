//! What `run` says at the end. Whatever fails here costs the diagnosis only, never the program's exit status.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::Result;
use deadweight_analysis::{Analysis, Peak, analyse};
use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::Capture;
use deadweight_capture::timeline::Timeline;
use deadweight_report::{BuildOptions, build, text};

use crate::load::snapshots;
use crate::ui::quote::quoted;
use crate::ui::terminal;

/// Prints the diagnosis to standard error.
pub fn print(manifest: &Manifest, folder: &Path) {
    let stderr = io::stderr();
    let next = format!("deadweight report {}", quoted(&shortest(folder)));
    let diagnosis = catch_unwind(AssertUnwindSafe(|| {
        render(manifest, folder, &next, &terminal::style(&stderr))
    }));
    let text = match diagnosis {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("deadweight: no diagnosis: {error:#}\n").into_bytes(),
        Err(_) => format!("deadweight: no diagnosis, because of an error in deadweight. Try: {next}\n").into_bytes(),
    };
    // The program's standard error may be closed: then nobody wants to know.
    let _ = stderr.lock().write_all(&text);
}

fn render(manifest: &Manifest, folder: &Path, next: &str, style: &text::Style) -> Result<Vec<u8>> {
    // Without the recording there is still what was seen from outside.
    let capture = Capture::open(folder).map_err(|error| error.to_string());
    let heaps = capture.as_ref().ok().map(snapshots::analyse_all).unwrap_or_default();
    let analysis = capture
        .and_then(|capture| analyse(&capture).map_err(|error| error.to_string()))
        .unwrap_or_else(|error| Analysis {
            exact: manifest.exact,
            interval_bytes: manifest.sampling_interval_bytes,
            peak: Peak::default(),
            moments: Vec::new(),
            processes: Vec::new(),
            warnings: vec![format!("the recording cannot be read: {error}")],
        });
    let mut report = build(Some(manifest), &analysis, &heaps.answers, &BuildOptions::with_disk());
    report.warnings.extend(heaps.warnings);
    if let Ok(Some(timeline)) = Timeline::read(folder) {
        report.add_timeline(&timeline);
    }
    report.next_step = Some(next.to_string());
    let mut out = Vec::new();
    text::diagnosis(&report, style, &mut out)?;
    Ok(out)
}

/// The folder as seen from the current one.
fn shortest(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = folder.strip_prefix(here).unwrap_or(folder);
    path.to_string_lossy().into_owned()
}
