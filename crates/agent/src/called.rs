//! What a program may call itself: the Python package (`deadweight.snapshot`, `deadweight.region`) finds it by its name.

use core::ffi::{c_int, c_uint, c_void};

use deadweight_capture::Cause;

use crate::recorder::{self, SnapshotOutcome};

/// Longest label, and name of a region, in bytes.
const LABEL_BYTES: usize = 512;

/// Takes a heap snapshot now and gives it a label, which may be empty (`length` 0). Returns 1 if it was taken, 2 if the
/// last one is still being written and this one may be had later, 0 if there is none to be had.
///
/// # Safety
/// The calling thread has the GIL, as `ctypes.PyDLL` sees to it. `label` has `length` readable bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_snapshot(label: *const c_void, length: usize) -> c_int {
    // SAFETY: by the caller's promise.
    let label = unsafe { text(label, length) };
    match recorder::snapshot_now(Cause::Called, label) {
        SnapshotOutcome::Taken => 1,
        SnapshotOutcome::Later => 2,
        SnapshotOutcome::Never => 0,
    }
}

/// Prepares for regions: `value` is what the context variable `variable` holds now in the calling thread. Returns 1 if tasks
/// can be told apart, 0 if only threads can.
///
/// # Safety
/// The calling thread has the GIL; both are addresses of objects that live on, and `value` is a tuple that begins with a
/// small number.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_regions(variable: *const c_void, value: *const c_void) -> c_int {
    c_int::from(recorder::begin_regions(variable as u64, value as u64))
}

/// The calling thread enters region `number` inside of region `outer` (0: of none).
///
/// # Safety
/// As of [`deadweight_snapshot`], with `name` for its label.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_region_enter(number: c_uint, outer: c_uint, name: *const c_void, length: c_uint) {
    // SAFETY: by the caller's promise.
    recorder::enter_region(number, outer, unsafe { text(name, length as usize) });
}

/// The calling thread leaves region `number` and is in `outer` (0: in none) again.
///
/// # Safety
/// The calling thread has the GIL.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn deadweight_region_leave(number: c_uint, outer: c_uint) {
    recorder::leave_region(number, outer);
}

/// # Safety
/// `start` has `length` readable bytes for as long as the text is used.
unsafe fn text<'a>(start: *const c_void, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { core::slice::from_raw_parts(start.cast::<u8>(), length.min(LABEL_BYTES)) }
}
