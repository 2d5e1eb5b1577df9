//! `deadweight snapshot`: asks a recorded process for a heap snapshot.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use deadweight_capture::Event;
use deadweight_capture::read::{HeapFiles, ProcessId, segments};

use crate::args::SnapshotArgs;
use crate::snapshot::find_process::{self, AttachedProcess};
use crate::snapshot::request::{PATIENCE, Request, say};
use crate::snapshot::wait::{self, Written};

/// Asks for a snapshot, waits until it is written, and says what it is.
///
/// # Errors
/// A sentence that says why there is no snapshot.
pub fn snapshot(args: &SnapshotArgs) -> Result<()> {
    let recorded = find_process::find(args.pid)?;
    let mut request = Request::new(recorded)?;
    let number = request.wait(args.timeout)?;
    let AttachedProcess { segment, process, .. } = &request.recorded;
    let (start, mut said) = (Instant::now(), false);
    let written = wait::wait_for(segment, *process, number, || {
        if start.elapsed() > PATIENCE && !said {
            said = true;
            say("the snapshot is taken and the program goes on; it is being written");
        }
    });
    match written {
        Written::Whole(files) => show(&request.recorded, &files),
        Written::GivenUp => bail!(
            "snapshot {number} of process {} was begun and not completed: there was too little memory or space on the disk for \
             it, or something killed its writer",
            request.recorded.pid
        ),
        Written::Unfinished => bail!(
            "snapshot {number} of process {} is taken, but still being written after more than two minutes",
            request.recorded.pid
        ),
    }
}

/// What the snapshot's last event says.
struct End {
    objects: u64,
    pause: Duration,
}

fn end(files: &HeapFiles) -> Result<End> {
    let last = files.segments.last().context("the snapshot has no files")?;
    let bytes = std::fs::read(&last.path).with_context(|| format!("cannot read {}", last.path.display()))?;
    let mut end = None;
    for segment in segments(&bytes) {
        for event in segment?.events() {
            if let Event::HeapEnd {
                objects, pause_nanos, ..
            } = event
            {
                end = Some(End {
                    objects,
                    pause: Duration::from_nanos(pause_nanos),
                });
            }
        }
    }
    end.context("the snapshot has no end")
}

fn show(recorded: &AttachedProcess, files: &HeapFiles) -> Result<()> {
    let end = end(files)?;
    let bytes: u64 = files.segments.iter().map(|part| part.len).sum();
    let ProcessId { pid, .. } = recorded.process;
    let mut out = std::io::stdout().lock();
    // Nobody may be reading any more.
    let _ = writeln!(
        out,
        "Snapshot {} of process {pid}: {} objects, the program paused for {:.1} ms, {:.1} MiB written.\n\n  deadweight heap {} \
         --at {}",
        files.number,
        thousands(end.objects),
        end.pause.as_secs_f64() * 1e3,
        bytes as f64 / f64::from(1 << 20),
        shown(&recorded.folder),
        files.number
    );
    Ok(())
}

/// The folder as it can be typed here.
fn shown(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = folder.strip_prefix(&here).unwrap_or(folder).to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !short.is_empty() && short.chars().all(plain) {
        true => short.into_owned(),
        false => format!("'{}'", short.replace('\'', "'\\''")),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
