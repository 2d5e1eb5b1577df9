//! A segment's file, mapped into memory for its writer, and the number in its header that other processes write.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use deadweight_capture::wire::{HEADER_ASKED, HEADER_BYTES, State};
use deadweight_capture::write::{HEADER_BEHIND, HeaderParts, SegmentInfo, SegmentWriter};

use crate::os::{self, Errno};

/// A new segment file of this process, and its writer.
pub struct Segment {
    /// Writes into the file.
    pub writer: SegmentWriter<'static>,
    place: NonNull<u8>,
    bytes: usize,
}

// SAFETY: this value owns the mapping, whichever thread has it.
unsafe impl Send for Segment {}

impl Segment {
    /// Creates the file with `bytes` bytes and writes its header. `path` ends with a NUL byte.
    pub fn create(path: &[u8], bytes: usize, info: &SegmentInfo) -> Result<Segment, Errno> {
        let too_small = Errno(libc::EINVAL);
        let rest = bytes.checked_sub(HEADER_BYTES).ok_or(too_small)?;
        let place = os::map_new_file(path, bytes)?;
        // SAFETY: the mapping has `bytes` bytes, at least as many as a header (`rest`).
        let behind = unsafe { place.add(HEADER_BEHIND) };
        // SAFETY: as above.
        let chunks = unsafe { place.add(HEADER_BYTES) };
        // SAFETY: `map_new_file` has made a mapping of that size, readable and writable, zeroed because the file is new. It stays
        // until `close`, which consumes the writer. The three slices do not overlap, and no other process writes to them.
        let before = unsafe { core::slice::from_raw_parts_mut(place.as_ptr(), HEADER_ASKED) };
        // SAFETY: as above.
        let behind = unsafe { core::slice::from_raw_parts_mut(behind.as_ptr(), HEADER_BYTES - HEADER_BEHIND) };
        // SAFETY: as above.
        let chunks = unsafe { core::slice::from_raw_parts_mut(chunks.as_ptr(), rest) };
        // SAFETY: the mapping is there, and none of the slices covers the number.
        unsafe { asked(place) }.store(info.requests.asked, Ordering::Relaxed);
        match SegmentWriter::begin_apart(HeaderParts { before, behind }, chunks, info) {
            Some(writer) => Ok(Segment { writer, place, bytes }),
            None => {
                // SAFETY: `map_new_file` has made it, and the slices were dropped with the writer that could not begin.
                unsafe { os::unmap(place, bytes) };
                Err(too_small)
            }
        }
    }

    /// Keeps the mapping out of forked children, which must not write to it.
    pub fn keep_from_children(&self) {
        // SAFETY: this value owns the mapping, and the advice discards nothing of it.
        unsafe { os::advise(self.place, self.bytes, libc::MADV_DONTFORK) };
    }

    /// How many snapshots other processes have requested.
    #[inline(always)]
    pub fn asked(&self) -> u32 {
        // SAFETY: the mapping is there until `close`, and none of the writer's slices covers the number.
        unsafe { asked(self.place) }.load(Ordering::Relaxed)
    }

    /// Seals the last chunk, stores the state in the header, and unmaps the file. Returns how many bytes of it are in use.
    ///
    /// Dropping a segment does not unmap it: a forked child drops its parent's, whose mapping it does not have.
    pub fn close(mut self, state: State) -> usize {
        self.writer.seal();
        self.writer.set_state(state);
        let used = self.writer.used_bytes();
        let Segment { place, bytes, .. } = self;
        // SAFETY: `create` has mapped it, and the writer, which has the only references to it, is not used again.
        unsafe { os::unmap(place, bytes) };
        used
    }
}

/// The number that other processes write, always all four bytes at once.
///
/// # Safety
/// `segment` is the beginning of a segment's mapping, which stays as long as the number is used, and no slice covers the
/// number.
#[inline(always)]
unsafe fn asked<'a>(segment: NonNull<u8>) -> &'a AtomicU32 {
    const { assert!(HEADER_ASKED.is_multiple_of(align_of::<AtomicU32>())) };
    // SAFETY: by the caller's promise; a segment is longer than its header.
    let place = unsafe { segment.add(HEADER_ASKED) };
    // SAFETY: by the caller's promise; mappings are aligned to pages.
    unsafe { AtomicU32::from_ptr(place.cast().as_ptr()) }
}
