//! The events of all recorded processes of a capture, merged by time into one replay.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

use deadweight_capture::read::{Capture, ProcessFiles, ProcessId, SegmentHeader, Tail, segments};
use deadweight_capture::{Error, Event};

use crate::read::stream::{Reading, Stop, Stream, beginning};
use crate::replay::weight::Recording;
use crate::replay::{FunctionName, Replay};

/// Later than every process.
const NOBODY: ProcessId = ProcessId {
    pid: u32::MAX,
    incarnation: u32::MAX,
};

/// A capture being read.
#[derive(Debug)]
pub(crate) struct Recordings {
    pub replay: Replay,
    pub streams: Vec<Stream>,
    /// Warnings that belong to no process.
    pub warnings: Vec<String>,
    /// Why a process could not be read at all: the first such error.
    pub failure: Option<Error>,
    index: BTreeMap<ProcessId, usize>,
    reading: Reading,
    folded: bool,
}

impl Recordings {
    pub fn new(reading: Reading, functions: Vec<FunctionName>) -> Recordings {
        Recordings {
            replay: Replay::new(functions),
            streams: Vec::new(),
            warnings: Vec::new(),
            failure: None,
            index: BTreeMap::new(),
            reading,
            folded: false,
        }
    }

    /// Whether the beginning of the run was read from a fold.
    pub fn is_folded(&self) -> bool {
        self.folded
    }

    fn stream(&mut self, id: ProcessId, header: &SegmentHeader) -> Option<&mut Stream> {
        let (replay, streams, reading) = (&mut self.replay, &mut self.streams, self.reading);
        let at = *self.index.entry(id).or_insert_with(|| {
            let recording = Recording {
                exact: header.exact,
                interval_bytes: header.interval_bytes,
                always_bytes: header.always_bytes,
            };
            let process = replay.add(id, recording);
            streams.push(Stream::new(id, process, reading));
            streams.len() - 1
        });
        self.streams.get_mut(at)
    }

    /// Takes over the state that a fold holds.
    pub fn load_fold(&mut self, path: &Path) -> Result<(), Error> {
        self.folded = true;
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let damaged =
            |what: String| format!("the folded beginning of the run is damaged ({what}): figures are too low");
        for segment in segments(&bytes) {
            let segment = match segment {
                Ok(segment) => segment,
                Err(newer @ Error::NewerVersion { .. }) => return Err(newer),
                Err(error) => {
                    self.warnings.push(damaged(error.to_string()));
                    break;
                }
            };
            let header = *segment.header();
            let id = ProcessId {
                pid: header.pid,
                incarnation: header.incarnation,
            };
            let Some(stream) = self.stream(id, &header) else {
                continue;
            };
            let process = stream.process;
            stream.state = header.state;
            let mut events = segment.events();
            for event in events.by_ref() {
                self.replay.restore(process, &event);
                let Some(stream) = self.stream(id, &header) else {
                    continue;
                };
                match event {
                    Event::Process { parent, .. } => stream.parent = parent,
                    Event::Folded {
                        last_nanos, tail_open, ..
                    } => {
                        stream.nanos = last_nanos;
                        stream.tail = if tail_open { Tail::Open } else { Tail::Complete };
                    }
                    Event::Position {
                        segment,
                        chunk,
                        consumed,
                    } => stream.set_position(segment, chunk, consumed),
                    _ => {}
                }
            }
            if let Tail::CutOff { why, .. } = events.tail() {
                self.warnings.push(damaged(format!("pid {}: {why}", id.pid)));
            }
        }
        Ok(())
    }

    /// Takes note of the processes and files in the folder's listing.
    pub fn add(&mut self, capture: &Capture) -> Result<(), Error> {
        for files in capture.processes() {
            if !self.index.contains_key(&files.process) && !self.begin(files)? {
                continue;
            }
            if let Some(stream) = self.index.get(&files.process).and_then(|&at| self.streams.get_mut(at)) {
                stream.add_files(&files.segments);
            }
        }
        Ok(())
    }

    /// Begins a process with the first of its files that can be read; `false` if there is none.
    fn begin(&mut self, files: &ProcessFiles) -> Result<bool, Error> {
        let mut failure = None;
        for file in &files.segments {
            match beginning(&file.path) {
                Ok(Some(found)) => {
                    if let Some(stream) = self.stream(files.process, &found.header) {
                        stream.parent = found.parent;
                        stream.nanos = found.header.start_nanos;
                    }
                    return Ok(true);
                }
                Ok(None) => {}
                Err(newer @ Error::NewerVersion { .. }) => return Err(newer),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failure.filter(|_| self.reading == Reading::Finished) {
            self.warnings.push(format!(
                "pid {}: nothing of its recording can be read ({error})",
                files.process.pid
            ));
            self.failure.get_or_insert(error);
        }
        Ok(false)
    }

    /// Replays all events up to `until` in the order of time, ties by process id. `drained` is called for each stream
    /// without further events.
    pub fn run(&mut self, until: u64, mut drained: impl FnMut(&mut Replay, &[Stream], usize)) -> Result<(), Error> {
        let streams = self.streams.iter().enumerate();
        let mut heap: BinaryHeap<_> = streams
            .map(|(at, stream)| Reverse((stream.nanos, stream.id, at)))
            .collect();
        while let Some(Reverse((nanos, _, at))) = heap.pop() {
            if nanos > until {
                break;
            }
            let next = heap
                .peek()
                .map_or((u64::MAX, NOBODY), |Reverse((nanos, id, _))| (*nanos, *id));
            let Some(stream) = self.streams.get_mut(at) else {
                continue;
            };
            match stream.run(&mut self.replay, next.min((until, NOBODY)))? {
                Stop::Until(nanos) => heap.push(Reverse((nanos, stream.id, at))),
                Stop::Drained => drained(&mut self.replay, &self.streams, at),
            }
        }
        Ok(())
    }
}
