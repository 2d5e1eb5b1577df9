//! Where events go: the segment being written, and the next one when it is full.

use deadweight_capture::wire::State;
use deadweight_capture::write::{Full, Requests, SegmentInfo, SegmentWriter};

use crate::arch;
use crate::config::Config;
use crate::os::{self, Errno};
use crate::path::Path;
use crate::segment::Segment;

/// The first segment of a process is small: many processes live only for a moment.
const FIRST_SEGMENT_BYTES: usize = 256 << 10;
const SAMPLED_SEGMENT_BYTES: usize = 1 << 20;
const EXACT_SEGMENT_BYTES: usize = 4 << 20;
/// Longest text for which a new segment is begun, bytes.
const LARGEST_TEXT: usize = 128 << 10;
/// Highest number of programs with the same process id.
const MAX_INCARNATION: u32 = 4096;

/// The open segment of this process.
pub struct Output {
    segment: Option<Segment>,
    config: Config,
    pid: u32,
    incarnation: u32,
    index: u32,
    /// The oldest of this process's segments that the supervisor has not folded.
    oldest: u32,
    /// Events that could not be written and are not reported in the capture yet.
    lost: u64,
    always: u64,
    requests: Requests,
    snapshot_writer: u32,
    last_ticks: u64,
}

/// Where a snapshot of this process goes.
#[derive(Clone, Copy)]
pub struct Destination {
    /// The folder.
    pub folder: Path,
    /// The folder and `/PID.INCARNATION.`
    pub stem: Path,
    /// As in the process's own segments.
    pub info: SegmentInfo,
}

impl Output {
    /// No output.
    pub const fn new() -> Output {
        Output {
            segment: None,
            config: Config::NONE,
            pid: 0,
            incarnation: 0,
            index: 0,
            // The folder keeps segment 0 as an empty file: it marks the process id as taken.
            oldest: 1,
            lost: 0,
            always: 0,
            requests: Requests::NONE,
            snapshot_writer: 0,
            last_ticks: 0,
        }
    }

    /// Begins the recording of this process with its first segment. A forked child drops its parent's output as it is: it does
    /// not have the parent's mapping.
    pub fn begin(&mut self, config: &Config, pid: u32, always: u64) -> Result<(), State> {
        *self = Output {
            config: *config,
            pid,
            always,
            ..Output::new()
        };
        loop {
            match self.open_segment() {
                // An earlier program with this process id has been recorded here: this one was started by `exec`.
                Err(Errno(libc::EEXIST)) if self.incarnation < MAX_INCARNATION => self.incarnation += 1,
                Err(other) => return Err(state_of(other)),
                Ok(segment) => {
                    self.segment = Some(segment);
                    return Ok(());
                }
            }
        }
    }

    /// The folder and `/PID.INCARNATION.`
    fn stem(&self) -> Path {
        let mut path = self.config.folder;
        path.push(b"/");
        path.push_number(self.pid, 0);
        path.push(b".");
        path.push_number(self.incarnation, 0);
        path.push(b".");
        path
    }

    fn path(&self, index: u32) -> Path {
        let mut path = self.stem();
        path.push_number(index, 6);
        path.push(b".dws");
        path
    }

    fn info(&self) -> SegmentInfo {
        SegmentInfo {
            pid: self.pid,
            incarnation: self.incarnation,
            index: self.index,
            exact: self.config.exact,
            interval_bytes: if self.config.exact { 0 } else { self.config.interval },
            always_bytes: if self.config.exact { 0 } else { self.always },
            start_nanos: os::now_nanos(),
            requests: self.requests,
            snapshot_writer: self.snapshot_writer,
        }
    }

    /// Where a heap snapshot of this process goes; `None` if nothing is recorded.
    pub fn snapshot_destination(&self) -> Option<Destination> {
        self.is_open().then(|| Destination {
            folder: self.config.folder,
            stem: self.stem(),
            info: self.info(),
        })
    }

    fn open_segment(&self) -> Result<Segment, Errno> {
        let bytes = match (self.index, self.config.exact) {
            (0, _) => FIRST_SEGMENT_BYTES,
            (_, false) => SAMPLED_SEGMENT_BYTES,
            (_, true) => EXACT_SEGMENT_BYTES,
        };
        let segment = Segment::create(self.path(self.index).with_nul(), bytes, &self.info())?;
        segment.keep_from_children();
        Ok(segment)
    }

    /// Ends the open segment; returns how many bytes of it are in use.
    fn close(&mut self, state: State) -> Option<usize> {
        self.segment.take().map(|segment| segment.close(state))
    }

    /// The writer, with room for a small event and `bytes` bytes of text; a new segment is begun if need be.
    /// `None` if there is none: the event is counted as lost.
    #[inline(always)]
    pub fn writer(&mut self, bytes: usize) -> Option<&mut SegmentWriter<'static>> {
        if !self.has_room_for(bytes) {
            self.next_segment(bytes);
        }
        match &mut self.segment {
            Some(segment) => Some(&mut segment.writer),
            None => {
                self.lost += 1;
                None
            }
        }
    }

    #[inline(always)]
    fn has_room_for(&self, bytes: usize) -> bool {
        self.segment
            .as_ref()
            .is_some_and(|segment| segment.writer.has_room_for(bytes))
    }

    #[cold]
    #[inline(never)]
    fn next_segment(&mut self, bytes: usize) {
        if bytes > LARGEST_TEXT || self.segment.is_none() {
            return;
        }
        self.requests.asked = self.asked();
        self.index += 1;
        let opened = if self.is_over_limit() {
            Err(None)
        } else {
            self.open_segment().map_err(Some)
        };
        match opened {
            Ok(segment) => {
                self.close(State::Full);
                self.segment = Some(segment);
                self.tell_lost();
            }
            Err(Some(Errno(libc::EMFILE | libc::ENFILE | libc::EINTR))) => {
                // No descriptor is free at the moment: keep the full segment, and try again at the next event.
                self.index -= 1;
                if !self.has_room_for(bytes) {
                    self.lost += 1;
                }
            }
            Err(why) => {
                self.close(why.map_or(State::SizeLimit, state_of));
            }
        }
    }

    fn tell_lost(&mut self) {
        let lost = core::mem::take(&mut self.lost);
        if let Some(segment) = self.segment.as_mut().filter(|_| lost > 0) {
            let _ = segment.writer.lost(lost);
        }
    }

    /// Whether the capture is too large and there is no supervisor that could fold it.
    fn is_over_limit(&mut self) -> bool {
        while self.oldest < self.index && !os::file_exists(self.path(self.oldest).with_nul()) {
            self.oldest += 1;
        }
        let segment = if self.config.exact {
            EXACT_SEGMENT_BYTES
        } else {
            SAMPLED_SEGMENT_BYTES
        };
        let bytes = u64::from(self.index - self.oldest) * segment as u64;
        bytes > self.config.max_size && !(self.config.supervisor != 0 && os::process_exists(self.config.supervisor))
    }

    /// How many snapshots other processes have requested.
    #[inline(always)]
    fn asked(&self) -> u32 {
        self.segment.as_ref().map_or(self.requests.asked, Segment::asked)
    }

    /// Whether another process has requested a snapshot and has no answer yet.
    #[inline(always)]
    pub fn is_asked(&self) -> bool {
        self.asked().wrapping_sub(self.requests.answered) as i32 > 0
    }

    /// Notes in the capture that the requests so far were seen.
    pub fn notice(&mut self) {
        self.requests.noticed = self.asked();
        self.tell_requests();
    }

    /// Answers all requests so far.
    pub fn answer(&mut self, answer: u32) {
        let asked = self.asked();
        self.requests = Requests {
            asked,
            answered: asked,
            answer,
            noticed: asked,
        };
        self.tell_requests();
    }

    /// Notes in the capture which process writes the last snapshot, so that a reader can wait for it.
    pub fn set_snapshot_writer(&mut self, pid: u32) {
        self.snapshot_writer = pid;
        if let Some(Segment { writer, .. }) = &mut self.segment {
            writer.set_snapshot_writer(pid);
        }
    }

    fn tell_requests(&mut self) {
        if let Some(Segment { writer, .. }) = &mut self.segment {
            writer.set_requests(&self.requests);
        }
    }

    /// Whether events can be written at all.
    pub fn is_open(&self) -> bool {
        self.segment.is_some()
    }

    /// The process that this output belongs to.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes the time if enough has passed since it was last written.
    #[inline]
    pub fn clock(&mut self) {
        let ticks = arch::ticks();
        if ticks.wrapping_sub(self.last_ticks) >= arch::CLOCK_TICKS {
            self.last_ticks = ticks;
            self.clock_now();
        }
    }

    /// Writes the time.
    #[cold]
    pub fn clock_now(&mut self) {
        let now = os::now_nanos();
        if let Some(writer) = self.writer(0) {
            writer.clock(now);
        }
    }

    /// Writes a definition with a text of `bytes` bytes.
    pub fn define(
        &mut self,
        bytes: usize,
        write: impl FnOnce(&mut SegmentWriter<'static>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.writer(bytes).map_or(Err(Full), write)
    }

    /// Ends the recording properly, and gives back disk space that was reserved and not used.
    pub fn finish(&mut self) {
        self.clock_now();
        let max_rss = os::max_rss_bytes();
        if let Some(writer) = self.writer(0) {
            let _ = writer.end(max_rss);
        }
        if let Some(used) = self.close(State::Ended) {
            os::truncate_file(self.path(self.index).with_nul(), used);
        }
    }

    /// Stops recording while the program goes on.
    pub fn stop(&mut self, state: State) {
        self.close(state);
    }
}

fn state_of(error: Errno) -> State {
    match error.0 {
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => State::DiskFull,
        libc::EACCES | libc::EPERM | libc::EROFS | libc::ENOENT | libc::ENOTDIR => State::NotWritable,
        libc::ENOMEM => State::NoMemory,
        _ => State::Failed,
    }
}
