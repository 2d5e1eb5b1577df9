//! Keeps the capture of a long run small.
//!
//! The supervisor calls [`Folder::poll`] while the program runs. When the capture has grown, the folder replays the
//! events that were written since the last time, saves the state of the replay in `fold.dws`, and then removes the
//! segments that it fully covers. `fold.dws` is replaced atomically and states for each process where reading
//! continues, so fold and segments together hold every event exactly once, whenever the supervisor is killed.
//!
//! Processes go on writing while the folder reads, so it stops [`MARGIN_NANOS`] before the present: until then the
//! events of all processes are in their files, and their order among processes is right.

mod section;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use deadweight_capture::read::{Capture, FOLD_FILE, ProcessId, SegmentHeader};
use deadweight_capture::wire::State;

use crate::Error;
use crate::read::Reading;
use crate::read::Recordings;
use crate::replay::functions;

/// How long before the present a fold stops, in nanoseconds.
const MARGIN_NANOS: u64 = 50_000_000;

/// What one fold did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Folded {
    /// Bytes of the segment files that were removed.
    pub removed_bytes: u64,
    /// Bytes of the new fold.
    pub fold_bytes: u64,
    /// What the report should say, one sentence each.
    pub warnings: Vec<String>,
}

/// Folds the finished segments of a capture while the program runs.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
    max_size_bytes: u64,
    /// The replay so far; created by the first fold.
    recordings: Option<Recordings>,
    /// Processes that were seen running.
    seen: HashSet<u32>,
    /// Processes that no longer run and left no event of their end.
    dead: HashSet<ProcessId>,
    is_running: fn(u32) -> bool,
}

impl Folder {
    /// Prepares to keep the capture in `folder` below `max_size_bytes`.
    pub fn new(folder: &Path, max_size_bytes: u64) -> Folder {
        Folder {
            folder: folder.to_path_buf(),
            max_size_bytes,
            recordings: None,
            seen: HashSet::new(),
            dead: HashSet::new(),
            is_running,
        }
    }

    /// Folds if the capture has grown beyond half of its limit and a fold would make it smaller; `None` if nothing was
    /// to be done. Call it about once a second.
    ///
    /// # Errors
    /// If the capture cannot be read or the fold cannot be written; calling again later is fine.
    pub fn poll(&mut self) -> Result<Option<Folded>, Error> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let nanos = u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0));
        if !self.is_due()? {
            return Ok(None);
        }
        self.fold(nanos.saturating_sub(MARGIN_NANOS)).map(Some)
    }

    fn open(&self) -> Result<Capture, Error> {
        Ok(Capture::open(&self.folder)?)
    }

    /// Whether the capture is large, and enough of it could be removed.
    fn is_due(&self) -> Result<bool, Error> {
        let capture = match self.open() {
            Ok(capture) => capture,
            // Nothing has been written yet.
            Err(Error::Capture(deadweight_capture::Error::NotACapture { .. })) => return Ok(false),
            Err(error) => return Err(error),
        };
        let len = capture.len_bytes();
        // Each running process writes to its newest segment.
        let mut removable = 0u64;
        for files in capture.processes() {
            if let Some((newest, older)) = files.segments.split_last() {
                removable += older.iter().map(|file| file.len).sum::<u64>();
                if is_closed(&newest.path) {
                    removable += newest.len;
                }
            }
        }
        // A fold writes everything that is live, so it is not worth it for each small segment.
        let urgent = len > self.max_size_bytes / 8 * 7;
        let worth = if urgent { 1 } else { self.max_size_bytes / 16 };
        Ok(len > self.max_size_bytes / 2 && removable >= worth.max(1))
    }

    /// Folds everything up to `until`.
    fn fold(&mut self, until: u64) -> Result<Folded, Error> {
        // First find out which processes are dead, then read: of a dead process that is everything it wrote.
        self.look_for_the_dead();
        let capture = self.open()?;
        let mut recordings = match self.recordings.take() {
            Some(recordings) => recordings,
            None => {
                let mut recordings = Recordings::new(Reading::Growing, functions(&capture, &[]));
                if let Some(fold) = capture.fold() {
                    recordings.load_fold(fold)?;
                }
                recordings
            }
        };
        let read = replay(&mut recordings, &capture, until, &self.dead);
        let recordings = self.recordings.insert(recordings);
        read?;
        let fold_bytes = write(&self.folder, recordings)?;
        let mut folded = Folded {
            fold_bytes,
            ..Folded::default()
        };
        folded.warnings.append(&mut recordings.warnings);
        if fold_bytes > self.max_size_bytes {
            folded.warnings.push(format!(
                "what is live needs more room in the capture than its limit of {} bytes",
                self.max_size_bytes
            ));
        }
        folded.removed_bytes = remove(&capture, recordings, &self.dead)?;
        Ok(folded)
    }

    /// Finds processes that were killed: they leave no event of their end.
    fn look_for_the_dead(&mut self) {
        let Some(recordings) = &self.recordings else { return };
        for stream in &recordings.streams {
            let silent = stream.state == State::Recording || stream.state == State::Full;
            if !silent {
                continue;
            }
            let replaced = recordings.streams.iter().any(|other| {
                // `exec` started another program, or the process id was reused.
                other.id.pid == stream.id.pid && other.id.incarnation > stream.id.incarnation
            });
            if replaced {
                self.dead.insert(stream.id);
            } else if (self.is_running)(stream.id.pid) {
                self.seen.insert(stream.id.pid);
            } else if self.seen.contains(&stream.id.pid) {
                self.dead.insert(stream.id);
            }
        }
    }
}

fn replay(recordings: &mut Recordings, capture: &Capture, until: u64, dead: &HashSet<ProcessId>) -> Result<(), Error> {
    recordings.add(capture)?;
    recordings.run(until, |replay, streams, at| {
        if let Some(stream) = streams.get(at).filter(|stream| dead.contains(&stream.id)) {
            replay.leave(stream.process);
        }
    })?;
    for stream in &mut recordings.streams {
        stream.close();
        let process = recordings.replay.process_mut(stream.process);
        if let Some(process) = process {
            process.metadata.warnings.append(&mut stream.warnings);
        }
    }
    Ok(())
}

/// Writes the fold beside the old one and puts it in its place.
fn write(folder: &Path, recordings: &Recordings) -> Result<u64, Error> {
    let path = folder.join(FOLD_FILE);
    let temporary = folder.join("fold.dws.part");
    let result = (|| {
        let mut file = std::fs::File::create(&temporary)?;
        let mut bytes = 0u64;
        let mut sections = section::Sections::new(&recordings.replay);
        for stream in &recordings.streams {
            sections.write(stream, &mut |part: &[u8]| {
                bytes += part.len() as u64;
                file.write_all(part)
            })?;
        }
        file.sync_data()?;
        std::fs::rename(&temporary, &path)?;
        Ok(bytes)
    })();
    result.map_err(|source: io::Error| {
        // Half a fold is of no use, and takes space on a disk that may be full.
        let _ = std::fs::remove_file(&temporary);
        Error::Write { path, source }
    })
}

/// Removes the segments that the fold fully covers. The newest one of a process that may still write stays.
///
/// The first one is emptied instead: a program that `exec` starts in the same process, or a later process with the same id,
/// must not take its name.
fn remove(capture: &Capture, recordings: &Recordings, dead: &HashSet<ProcessId>) -> Result<u64, Error> {
    let mut removed = 0;
    for files in capture.processes() {
        let Some(stream) = recordings.streams.iter().find(|stream| stream.id == files.process) else {
            continue;
        };
        let finished = stream.is_finished(dead.contains(&stream.id));
        let (reading, ..) = stream.position();
        let newest = files.segments.last().map(|file| file.index);
        for file in &files.segments {
            let is_newest = Some(file.index) == newest;
            let done = file.index < reading && !is_newest;
            if file.len == 0 || !(done || finished) {
                continue;
            }
            let result = if file.index > 0 {
                std::fs::remove_file(&file.path)
            } else if is_newest && stream.state == State::Recording {
                // Should the process be alive after all, its mapping must not lose the pages.
                continue;
            } else {
                std::fs::File::create(&file.path).map(drop)
            };
            result.map_err(|source| Error::Write {
                path: file.path.clone(),
                source,
            })?;
            removed += file.len;
        }
    }
    Ok(removed)
}

/// Whether the writer of this segment has ended its recording.
fn is_closed(path: &Path) -> bool {
    let header = SegmentHeader::read(path);
    header.is_ok_and(|header| !matches!(header.state, State::Recording | State::Full))
}

/// Whether a process with this id is running; true if that cannot be told.
fn is_running(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the name, which is in parentheses and may hold anything.
        Ok(stat) => !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => !Path::new("/proc/self/stat").exists(),
    }
}

#[cfg(test)]
mod tests;
