//! The last snapshot: an exit function in the user's Python, registered early so that it runs last, when modules and
//! their memory are still there.

use core::ffi::c_void;
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

/// Registers the exit function, once. Nothing happens if the program has not imported `atexit`: importing it here could
/// meet the import system in the midst of its own locking. (Nearly every larger program has it, through `weakref`.)
///
/// # Safety
/// The calling thread holds the GIL at a safe point.
pub unsafe fn register(functions: &Functions) {
    if NONE.load(Ordering::Relaxed) == functions.none.cast() {
        return;
    }
    NONE.store(functions.none.cast(), Ordering::Relaxed);
    TAKE_REFERENCE.store(functions.take_reference as Pointer, Ordering::Relaxed);
    // A pending call may run while the interpreter reports an exception, a SystemExit perhaps: it stays as it is.
    let (mut kind, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
    // SAFETY: by the caller's promise.
    unsafe { (functions.fetch_exception)(&mut kind, &mut value, &mut traceback) };
    // SAFETY: by the caller's promise.
    let modules = unsafe { (functions.modules)() };
    // SAFETY: `sys.modules` is a dict, and the reference is borrowed while nothing else runs.
    let module = unsafe { (functions.dict_item)(modules, c"atexit".as_ptr()) };
    let object = if module.is_null() {
        // Look again at the next snapshot.
        NONE.store(null_mut(), Ordering::Relaxed);
        null_mut()
    } else {
        // SAFETY: the module is alive, the name is NUL-terminated.
        unsafe { (functions.attribute)(module, c"register".as_ptr()) }
    };
    let register = Reference { object, functions };
    // SAFETY: the definition is static.
    let object = unsafe { (functions.new_function)(&DEFINITION, null_mut(), null_mut()) };
    let function = Reference { object, functions };
    if !register.object.is_null() && !function.object.is_null() {
        // SAFETY: both are objects, and the arguments end with NULL.
        let object = unsafe { (functions.call)(register.object, function.object, null_mut::<c_void>()) };
        drop(Reference { object, functions });
    }
    // SAFETY: the references go back where they came from; an exception of ours is dropped.
    unsafe { (functions.restore_exception)(kind, value, traceback) };
}
