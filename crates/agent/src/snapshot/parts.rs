//! The files of one heap snapshot, in parts, written by the child.

use deadweight_capture::wire::{HEADER_BYTES, HEADER_STATE, State};
use deadweight_capture::write::{Full, SegmentInfo, SegmentWriter};

use crate::os;
use crate::path::Path;
use crate::segment::Segment;

const FIRST_PART_BYTES: usize = 1 << 20;
/// Small, because the pages of the open part count against the child's budget.
const PART_BYTES: usize = 2 << 20;

/// Number of automatic snapshots that are kept of a process; older ones are removed.
const KEPT: u32 = 4;

/// The files of a snapshot that is being written.
pub struct Parts {
    /// Path prefix: the capture's folder and `/PID.INCARNATION.NUMBER.`
    stem: Path,
    info: SegmentInfo,
    open: Option<Segment>,
}

/// Writing the snapshot cannot go on: the disk is full, the folder is gone, memory is short, or the budget is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

impl Parts {
    /// Begins the first part. `info` is that of the process's own segments; here its index counts the parts.
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

    /// Writes an event; if it does not fit into this part, `write` is called again with a new one.
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

    /// Completes the snapshot.
    pub fn finish(mut self) {
        self.close(State::Ended);
    }
}

fn part(mut stem: Path, index: u32) -> Path {
    stem.push_number(index, 6);
    stem.push(b".dwh");
    stem
}

/// Whether there is a complete snapshot with this path prefix.
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

/// Removes snapshots before `number`, so that the last [`KEPT`] are left. Some numbers have no snapshot: their children have
/// given up. Those that the user requested (`wanted`) are kept and not counted.
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

/// The path prefix of a snapshot; `stem` is that of its process.
pub fn numbered(mut stem: Path, number: u32) -> Path {
    stem.push_number(number, 0);
    stem.push(b".");
    stem
}
