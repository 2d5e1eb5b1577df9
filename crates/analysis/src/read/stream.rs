//! The segment files of one process, read one after the other.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;

use deadweight_capture::read::{Paused, ProcessId, Segment, SegmentFile, SegmentHeader, Tail};
use deadweight_capture::wire::{self, State};
use deadweight_capture::{Error, Event};

use crate::replay::Replay;

/// Whether more may be written to the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// The capture is taken as it is: what cannot be read is skipped with a warning.
    Finished,
    /// Processes are writing to it: what cannot be read yet is left for later.
    Growing,
}

/// Why a stream stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Its next events are of this time.
    Until(u64),
    /// There are no further events, or not yet.
    Drained,
}

/// One process's events.
#[derive(Debug)]
pub(crate) struct Stream {
    pub id: ProcessId,
    /// Its index in the replay.
    pub process: usize,
    pub parent: u32,
    /// Time of its next events.
    pub nanos: u64,
    pub state: State,
    pub tail: Tail,
    pub warnings: Vec<String>,
    /// No event was left when it was last read.
    pub drained: bool,
    /// A file was removed after the folder was listed and before the file was read.
    pub vanished: bool,
    reading: Reading,
    /// Files that are not yet read to their end.
    files: VecDeque<SegmentFile>,
    /// Number of the segment that is being read.
    segment: u32,
    /// Offset of the chunk in it, and bytes of the chunk's payload that were consumed.
    position: (u64, u32),
    open: Option<Open>,
    /// The file at the front was read a second time because it seemed damaged.
    read_again: bool,
}

/// A file in memory.
#[derive(Debug)]
struct Open {
    bytes: Vec<u8>,
    paused: Paused,
}

/// What is known from the beginning of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub header: SegmentHeader,
    /// The process's parent, if the segment is its first one.
    pub parent: u32,
}

/// Reads the beginning of a segment's file; `None` if the writer has not begun it.
pub(crate) fn beginning(path: &Path) -> Result<Option<Beginning>, Error> {
    // Nearly always enough for the first chunk.
    const ENOUGH: u64 = 2 * wire::CHUNK_PAYLOAD_BYTES as u64;
    let io = |source| Error::Io {
        path: path.to_path_buf(),
        source,
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(ENOUGH).read_to_end(&mut bytes).map_err(io)?;
    if not_begun(&bytes) {
        return Ok(None);
    }
    let segment = Segment::parse(&bytes)?;
    let parent = segment.events().take(64).find_map(|event| match event {
        Event::Process { parent, .. } => Some(parent),
        _ => None,
    });
    Ok(Some(Beginning {
        header: *segment.header(),
        parent: parent.unwrap_or(0),
    }))
}

/// A writer that was killed before it wrote the header leaves zeros.
fn not_begun(bytes: &[u8]) -> bool {
    bytes.iter().take(wire::HEADER_BYTES).all(|&byte| byte == 0)
}

impl Stream {
    pub fn new(id: ProcessId, process: usize, reading: Reading) -> Stream {
        Stream {
            id,
            process,
            parent: 0,
            nanos: 0,
            state: State::Recording,
            tail: Tail::Complete,
            warnings: Vec::new(),
            drained: false,
            vanished: false,
            reading,
            files: VecDeque::new(),
            segment: 0,
            position: (0, 0),
            open: None,
            read_again: false,
        }
    }

    /// Adds files; those that are known or fully covered by a fold are skipped.
    pub fn add_files(&mut self, files: &[SegmentFile]) {
        let next = self
            .files
            .back()
            .map_or(self.segment, |file| file.index.saturating_add(1));
        self.files
            .extend(files.iter().filter(|file| file.index >= next).cloned());
    }

    /// Continues at a position from a fold.
    pub fn set_position(&mut self, segment: u32, chunk: u64, consumed: u32) {
        self.segment = segment;
        self.position = (chunk, consumed);
    }

    /// Segment, chunk and byte at which reading continues.
    pub fn position(&self) -> (u32, u64, u32) {
        (self.segment, self.position.0, self.position.1)
    }

    /// Whether everything has been read and nothing will follow. `dead` if the process no longer runs.
    pub fn is_finished(&self, dead: bool) -> bool {
        let closed = dead || !matches!(self.state, State::Recording | State::Full);
        closed && self.drained && self.files.len() <= 1 && !matches!(self.tail, Tail::CutOff { .. })
    }

    /// Drops the file in memory; reading continues from the position.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Replays events up to and including the time of `bound`.
    pub fn run(&mut self, replay: &mut Replay, bound: (u64, ProcessId)) -> Result<Stop, Error> {
        self.drained = false;
        loop {
            let open = match self.open.take() {
                Some(open) => open,
                None => match self.load()? {
                    Some(open) => open,
                    None => break,
                },
            };
            let Open { bytes, paused } = open;
            let segment = Segment::parse(&bytes)?;
            let mut events = segment.resume(paused);
            let more = replay.run(self.process, &mut events, bound);
            self.nanos = replay.process(self.process).map_or(0, |process| process.nanos());
            self.tail = events.tail();
            self.position = events.position();
            if more {
                let paused = events.pause();
                self.open = Some(Open { bytes, paused });
                return Ok(Stop::Until(self.nanos));
            }
            if !self.next_file() {
                break;
            }
        }
        self.drained = true;
        Ok(Stop::Drained)
    }

    /// Reads the file at the front; `None` if there is nothing to read.
    fn load(&mut self) -> Result<Option<Open>, Error> {
        loop {
            let Some(file) = self.files.front() else {
                return Ok(None);
            };
            let bytes = match std::fs::read(&file.path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.vanished |= error.kind() == std::io::ErrorKind::NotFound;
                    let why = format!("{} cannot be read ({error})", file_name(file));
                    if self.give_up(&why) {
                        continue;
                    }
                    return Ok(None);
                }
            };
            // Folded away, or just created.
            if bytes.is_empty() {
                self.files.pop_front();
                continue;
            }
            if not_begun(&bytes) {
                self.state = State::Recording;
                return Ok(None);
            }
            let segment = match Segment::parse(&bytes) {
                Ok(segment) => segment,
                Err(newer @ Error::NewerVersion { .. }) => return Err(newer),
                Err(error) => {
                    let why = format!("{} cannot be read ({error})", file_name(file));
                    if self.give_up(&why) {
                        continue;
                    }
                    return Ok(None);
                }
            };
            if file.index > self.segment {
                let (from, to) = (self.segment, file.index - 1);
                let which = if from == to {
                    format!("segment {from} is")
                } else {
                    format!("segments {from} to {to} are")
                };
                let pid = self.id.pid;
                self.warnings.push(format!(
                    "pid {pid}: {which} missing: what was recorded there is not in this report"
                ));
                self.position = (0, 0);
            }
            self.segment = file.index;
            self.state = segment.header().state;
            let paused = segment.events_from(self.position.0, self.position.1).pause();
            return Ok(Some(Open { bytes, paused }));
        }
    }

    /// Handles a file at the front that cannot be read; true if reading continues with the next one.
    fn give_up(&mut self, why: &str) -> bool {
        if self.reading == Reading::Growing {
            return false;
        }
        let pid = self.id.pid;
        self.warnings
            .push(format!("pid {pid}: {why}: it is not in this report"));
        if let Some(file) = self.files.pop_front() {
            self.segment = file.index.saturating_add(1);
        }
        self.position = (0, 0);
        true
    }

    /// Drops the file at the front, if there is another one and the writer has moved on too.
    fn next_file(&mut self) -> bool {
        if let (Tail::CutOff { at, why }, Some(file)) = (self.tail, self.files.front()) {
            if self.reading == Reading::Finished {
                // A file that is written at this moment can look damaged: the reader may have seen an older state of
                // one page and a newer state of the next.
                if self.state == State::Recording && !self.read_again {
                    self.read_again = true;
                    return true;
                }
                let (pid, name) = (self.id.pid, file_name(file));
                self.warnings.push(format!(
                    "pid {pid}: the recording is damaged at byte {at} of {name} ({why}): what follows is not in this \
                     report"
                ));
            }
            return false;
        }
        let left = self.reading == Reading::Finished || self.state != State::Recording;
        if !left || self.files.len() < 2 {
            return false;
        }
        if let Some(file) = self.files.pop_front() {
            self.segment = file.index.saturating_add(1);
        }
        self.position = (0, 0);
        true
    }
}

fn file_name(file: &SegmentFile) -> String {
    let name = file.path.file_name().unwrap_or(file.path.as_os_str());
    name.to_string_lossy().into_owned()
}
