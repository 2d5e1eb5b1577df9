//! A segment's file, mapped for its writer; and the number in its header to which other processes write.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use deadweight_capture::wire::{HEADER_ASKED, HEADER_BYTES, State};
use deadweight_capture::write::{HEADER_BEHIND, HeaderParts, SegmentInfo, SegmentWriter};

use crate::os::{self, Errno};

/// A new file of this process's, and the writer in it.
pub struct Segment {
    /// What writes into it.
    pub writer: SegmentWriter<'static>,
    place: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone, whichever thread has it.
unsafe impl Send for Segment {}

impl Segment {
    /// Makes the file, of `bytes` bytes, and begins to write it. `path` ends with a NUL byte.
    pub fn create(path: &[u8], bytes: usize, info: &SegmentInfo) -> Result<Segment, Errno> {
        let too_small = Errno(libc::EINVAL);
        let rest = bytes.checked_sub(HEADER_BYTES).ok_or(too_small)?;
        let place = os::map_new_file(path, bytes)?;
        // SAFETY: the mapping has `bytes` bytes, at least those of a header.
        let behind = unsafe { place.add(HEADER_BEHIND) };
        // SAFETY: as above.
        let chunks = unsafe { place.add(HEADER_BYTES) };
        // SAFETY: as above; the mapping is zeroed (a new file), readable and writable, and stays until `close`, which drops the
        // writer first. These bytes are in no other slice, and no other process writes to them.
        let before = unsafe { core::slice::from_raw_parts_mut(place.as_ptr(), HEADER_ASKED) };
        // SAFETY: as above.
        let behind = unsafe { core::slice::from_raw_parts_mut(behind.as_ptr(), HEADER_BYTES - HEADER_BEHIND) };
        // SAFETY: as above.
        let chunks = unsafe { core::slice::from_raw_parts_mut(chunks.as_ptr(), rest) };
        // SAFETY: the mapping was just made, and no slice covers the number.
        unsafe { asked(place) }.store(info.requests.asked, Ordering::Relaxed);
        match SegmentWriter::begin_apart(HeaderParts { before, behind }, chunks, info) {
            Some(writer) => Ok(Segment { writer, place, bytes }),
            None => {
                // SAFETY: the mapping was just made, and the slices are gone with the writer that was not made.
                unsafe { os::unmap(place, bytes) };
                Err(too_small)
            }
        }
    }

    /// Keeps the mapping out of forked children, which must not write into it.
    pub fn keep_from_children(&self) {
        // SAFETY: the mapping is this value's, and nothing of it is discarded.
        unsafe { os::advise(self.place, self.bytes, libc::MADV_DONTFORK) };
    }

    /// How many snapshots were asked for from outside.
    #[inline(always)]
    pub fn asked(&self) -> u32 {
        // SAFETY: the mapping is there until `close`, and no slice of `create` covers the number.
        unsafe { asked(self.place) }.load(Ordering::Relaxed)
    }

    /// Seals what was written, notes what became of the segment, and unmaps it. Returns how many bytes of it hold
    /// something.
    ///
    /// A segment that is dropped instead stays mapped: a forked child does so, to which the mapping did not come along.
    pub fn close(mut self, state: State) -> usize {
        self.writer.seal();
        self.writer.set_state(state);
        let used = self.writer.used_bytes();
        let Segment { place, bytes, .. } = self;
        // SAFETY: `create` has mapped it, and the writer, which alone had references to it, went with `self`.
        unsafe { os::unmap(place, bytes) };
        used
    }
}

/// The number that other processes write, each time all four bytes.
///
/// # Safety
/// A segment's mapping begins there, and goes on as long as the number is used. No slice covers it.
#[inline(always)]
unsafe fn asked<'a>(segment: NonNull<u8>) -> &'a AtomicU32 {
    const { assert!(HEADER_ASKED.is_multiple_of(align_of::<AtomicU32>())) };
    // SAFETY: by the caller's promise; a segment is longer than its header.
    let place = unsafe { segment.add(HEADER_ASKED) };
    // SAFETY: by the caller's promise; mappings are aligned to pages.
    unsafe { AtomicU32::from_ptr(place.cast().as_ptr()) }
}
