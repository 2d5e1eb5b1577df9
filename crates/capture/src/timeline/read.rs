//! Reads a timeline, whatever its state.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{FILE, Record, Timeline, VERSION};
use crate::Error;

/// Longest line that is read, in bytes; those that are written are shorter.
const LONGEST_LINE: u64 = 1 << 20;

impl Timeline {
    /// Reads a capture's timeline; `None` if it has none. Damaged lines are counted and left out. An incomplete last
    /// line is not damage: its writer was killed, or is still writing it.
    ///
    /// # Errors
    /// If the file cannot be read or belongs to a newer version.
    pub fn read(folder: &Path) -> Result<Option<Timeline>, Error> {
        let path = folder.join(FILE);
        let io = |source| Error::Io {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => BufReader::new(opened.map_err(io)?),
        };
        let mut timeline = Timeline::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
            if read.map_err(io)? == 0 {
                break;
            }
            let is_whole = line.last() == Some(&b'\n');
            match serde_json::from_slice(&line) {
                Ok(Record::Timeline { version }) if version > VERSION => {
                    return Err(Error::NewerVersion {
                        found: version,
                        newest: VERSION,
                    });
                }
                Ok(record) => timeline.add(record),
                Err(_) if is_whole => timeline.damaged_lines += 1,
                Err(_) => {}
            }
        }
        // Damaged or foreign times must not confuse the code that draws it.
        timeline.points.sort_by_key(|point| point.ms);
        timeline.marks.sort_by_key(|mark| mark.ms);
        timeline.limits.sort_by_key(|limit| limit.ms);
        Ok(Some(timeline))
    }

    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Timeline { .. } => {}
            Record::Process(process) => {
                self.processes.insert(process.number, process);
            }
            Record::Limit(limit) => self.limits.push(limit),
            Record::Mark(mark) => self.marks.push(mark),
            Record::Point(point) => {
                // A running process has no record of its peak yet.
                for &(number, bytes) in &point.rss {
                    if let Some(process) = self.processes.get_mut(&number)
                        && bytes > process.peak
                    {
                        (process.peak, process.peak_ms) = (bytes, point.ms);
                    }
                }
                self.points.push(point);
            }
        }
    }
}
