//! Functions for the program to call: the Python package (`deadweight.snapshot`, `deadweight.region`) looks them up by name.

use core::ffi::{c_int, c_uint, c_void};

use deadweight_capture::Cause;

use crate::recorder::{self, SnapshotOutcome};

/// Longest label, and name of a region, in bytes.
const LABEL_BYTES: usize = 512;

/// Takes a heap snapshot now, with a label, which may be empty (`length` 0). Returns 1 if it was taken, 2 if the caller may try
/// again because the last one is still being written, and 0 if there can be no snapshot.
///
/// # Safety
/// The calling thread holds the GIL, as it does under `ctypes.PyDLL`. `label` is null or has `length` readable bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_snapshot(label: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller vouches for `label` and `length`.
    let label = unsafe { text(label, length) };
    match recorder::snapshot_now(Cause::Called, label) {
        SnapshotOutcome::Taken => 1,
        SnapshotOutcome::Later => 2,
        SnapshotOutcome::Never => 0,
    }
}

/// Prepares for regions: `value` is the present value of the context variable `variable` in the calling thread. Returns 1 if tasks
/// can be told apart, and 0 if only threads can.
///
/// # Safety
/// The calling thread holds the GIL; both are addresses of objects that stay alive, and `value` is a tuple whose first item is a
/// small integer.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_regions(variable: *const c_void, value: *const c_void) -> c_int {
    c_int::from(recorder::begin_regions(variable as u64, value as u64))
}

/// The calling thread enters region `number` within region `outer` (0: within none).
///
/// # Safety
/// As for [`deadweight_snapshot`], with `name` in place of `label`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_region_enter(number: c_uint, outer: c_uint, name: *const c_void, length: c_uint) {
    // SAFETY: the caller vouches for `name` and `length`.
    recorder::enter_region(number, outer, unsafe { text(name, length as usize) });
}

/// The calling thread leaves region `number`, and is in region `outer` again (0: in none).
///
/// # Safety
/// The calling thread holds the GIL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_region_leave(number: c_uint, outer: c_uint) {
    recorder::leave_region(number, outer);
}

/// # Safety
/// `start` is null or has `length` readable bytes, as long as the text is used.
unsafe fn text<'a>(start: *const c_void, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for `start` and `length`.
    unsafe { core::slice::from_raw_parts(start.cast::<u8>(), length.min(LABEL_BYTES)) }
}
