//! The files of one heap snapshot: parts of growing size, written by the child.

use deadweight_capture::wire::{HEADER_BYTES, HEADER_STATE, State};
use deadweight_capture::write::{Full, SegmentInfo, SegmentWriter};

use crate::os;
use crate::path::Path;
use crate::segment::Segment;

const FIRST_PART_BYTES: usize = 1 << 20;
/// Small, because the pages of the open part are the child's to carry.
const PART_BYTES: usize = 2 << 20;

/// Automatic snapshots that are kept of a process; older ones are removed.
const KEPT: u32 = 4;

/// Where a snapshot goes.
pub struct Parts {
    /// The capture's folder and `/PID.INCARNATION.NUMBER.`
    stem: Path,
    info: SegmentInfo,
    open: Option<Segment>,
}

/// The snapshot cannot be written on: the disk is full, or the folder is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

impl Parts {
    /// Begins the first part. `info` is that of the process's own segments; its index counts the parts.
    pub fn begin(stem: Path, info: SegmentInfo) -> Result<Parts, Stopped> {
        let mut parts = Parts {
            stem,
            info: SegmentInfo { index: 0, ..info },
            open: None,
        };
        parts.open(FIRST_PART_BYTES)?;
        Ok(parts)
    }

    fn path(&self, index: u32) -> Path {
        part(self.stem, index)
    }

    fn open(&mut self, bytes: usize) -> Result<(), Stopped> {
        let path = self.path(self.info.index);
        self.open = Some(Segment::create(path.with_nul(), bytes, &self.info).map_err(|_| Stopped)?);
        Ok(())
    }

    fn close(&mut self, state: State) {
        if let Some(segment) = self.open.take() {
            let used = segment.close(state);
            os::truncate_file(self.path(self.info.index).with_nul(), used);
        }
    }

    /// Writes an event; `write` is called again with a fresh part if it does not fit into this one.
    #[inline]
    pub fn put(
        &mut self,
        mut write: impl FnMut(&mut SegmentWriter<'static>) -> Result<(), Full>,
    ) -> Result<(), Stopped> {
        if let Some(Segment { writer, .. }) = &mut self.open
            && write(writer).is_ok()
        {
            return Ok(());
        }
        self.close(State::Full);
        self.info.index += 1;
        self.open(PART_BYTES)?;
        let Segment { writer, .. } = self.open.as_mut().ok_or(Stopped)?;
        write(writer).map_err(|Full| Stopped)
    }

    /// Ends the snapshot in good order.
    pub fn finish(mut self) {
        self.close(State::Ended);
    }
}

fn part(mut stem: Path, index: u32) -> Path {
    stem.push_number(index, 6);
    stem.push(b".dwh");
    stem
}

/// Whether there is a snapshot of that stem that was written to its end.
pub fn are_complete(stem: Path) -> bool {
    let mut last = None;
    for index in 0.. {
        let path = part(stem, index);
        if !os::file_exists(path.with_nul()) {
            break;
        }
        last = Some(path);
    }
    let mut header = [0; HEADER_BYTES];
    last.is_some_and(|path| {
        os::read_file(path.with_nul(), &mut header) == HEADER_BYTES
            && header.get(HEADER_STATE) == Some(&(State::Ended as u8))
    })
}

/// Removes all parts of a snapshot.
pub fn remove(stem: Path) {
    for index in 0.. {
        if !os::remove_file(part(stem, index).with_nul()) {
            break;
        }
    }
}

/// Removes snapshots before `number`, so that the last [`KEPT`] ones are left. Some numbers have no snapshot: their
/// children gave up. Those that somebody wanted stay, and do not count.
pub fn remove_older(stem: Path, number: u32, wanted: &[u32]) {
    let mut kept = 1;
    for old in (0..number).rev().filter(|old| wanted.binary_search(old).is_err()) {
        let stem = numbered(stem, old);
        if kept >= KEPT {
            remove(stem);
        } else if are_complete(stem) {
            kept += 1;
        }
    }
}

/// The stem of a snapshot, of its process's one.
pub fn numbered(mut stem: Path, number: u32) -> Path {
    stem.push_number(number, 0);
    stem.push(b".");
    stem
}
