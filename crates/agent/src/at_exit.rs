//! The last snapshot: an exit function in the user's Python, registered early so that it runs last, when modules and
//! their memory are still there.

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::python::{Functions, MethodDefinition};
use crate::recorder;

type Pointer = *mut c_void;

static NONE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static TAKE_REFERENCE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

static DEFINITION: MethodDefinition = MethodDefinition {
    name: c"deadweight_snapshot".as_ptr(),
    function: snapshot,
    flags: 4,
    documentation: c"Takes deadweight's last snapshot of the heap.".as_ptr(),
};

unsafe extern "C" fn snapshot(_: Pointer, _: Pointer) -> Pointer {
    recorder::snapshot_now(true);
    let none = NONE.load(Ordering::Relaxed);
    let take = TAKE_REFERENCE.load(Ordering::Relaxed);
    // SAFETY: `register` stored the address of `Py_IncRef` before Python could call this.
    let take = unsafe { core::mem::transmute::<Pointer, unsafe extern "C" fn(Pointer)>(take) };
    // SAFETY: an exit function is called with the GIL; `None` is always there.
    unsafe { take(none) };
    none
}

/// A reference that is dropped with this value; null if a call failed.
struct Reference<'a> {
    object: Pointer,
    functions: &'a Functions,
}

impl Drop for Reference<'_> {
    fn drop(&mut self) {
        if !self.object.is_null() {
            // SAFETY: the reference is ours, and the GIL is held (`register`).
            unsafe { (self.functions.drop_reference)(self.object) };
        }
    }
}

fn attribute<'a>(functions: &'a Functions, of: &Reference<'_>, name: &CStr) -> Reference<'a> {
    if of.object.is_null() {
        return Reference {
            object: null_mut(),
            functions,
        };
    }
    // SAFETY: the object is alive, the name is NUL-terminated, the GIL is held (`register`).
    let object = unsafe { (functions.attribute)(of.object, name.as_ptr()) };
    Reference { object, functions }
}

/// Registers the exit function. Nothing happens if Python cannot do it.
///
/// # Safety
/// The calling thread holds the GIL at a safe point, with no exception set.
pub unsafe fn register(functions: &Functions) {
    NONE.store(functions.none.cast(), Ordering::Relaxed);
    TAKE_REFERENCE.store(functions.take_reference as Pointer, Ordering::Relaxed);
    // SAFETY: by the caller's promise.
    let object = unsafe { (functions.import)(c"atexit".as_ptr()) };
    let module = Reference { object, functions };
    let register = attribute(functions, &module, c"register");
    // SAFETY: the definition is static.
    let object = unsafe { (functions.new_function)(&DEFINITION, null_mut(), null_mut()) };
    let function = Reference { object, functions };
    if !register.object.is_null() && !function.object.is_null() {
        // SAFETY: both are objects, and the arguments end with NULL.
        let object = unsafe { (functions.call)(register.object, function.object, null_mut::<c_void>()) };
        drop(Reference { object, functions });
    }
    // SAFETY: by the caller's promise; an exception can only be ours.
    unsafe { (functions.clear_exception)() };
}
