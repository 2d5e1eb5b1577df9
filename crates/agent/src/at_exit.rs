//! Registering an exit function in the user's Python. It is registered early, so that it runs last, but while modules and their
//! memory are still there. Also: whether an uncaught MemoryError has ended the program.

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::python::{ExitFunctions, MethodDefinition};

type Pointer = *mut c_void;

static NONE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static TAKE_REFERENCE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// `None`, with a reference for the caller.
///
/// # Safety
/// The calling thread has the GIL, and [`register`] has run.
pub unsafe fn none() -> Pointer {
    let none = NONE.load(Ordering::Relaxed);
    let take = TAKE_REFERENCE.load(Ordering::Relaxed);
    // SAFETY: `register` has stored the address of `Py_IncRef`.
    let take = unsafe { core::mem::transmute::<Pointer, unsafe extern "C" fn(Pointer)>(take) };
    // SAFETY: the GIL is held; `None` is always there.
    unsafe { take(none) };
    none
}

/// Whether the exception that Python printed last, as the end of the program, is a MemoryError.
///
/// # Safety
/// The calling thread holds the GIL.
pub unsafe fn is_memory_error(functions: &ExitFunctions) -> bool {
    // SAFETY: the caller holds the GIL; the reference is borrowed, and nothing else runs meanwhile.
    let last = unsafe { (functions.system_value)(c"last_type".as_ptr()) };
    // SAFETY: `memory_error` is the address of `PyExc_MemoryError`, which is set while Python is initialised.
    let memory_error = unsafe { functions.memory_error.cast::<Pointer>().read() };
    // SAFETY: both are types, and the GIL is held.
    !last.is_null() && unsafe { (functions.matches)(last, memory_error) } != 0
}

/// A reference that is dropped with this value.
struct Reference<'a> {
    object: Pointer,
    functions: &'a ExitFunctions,
}

impl Drop for Reference<'_> {
    fn drop(&mut self) {
        // SAFETY: this value owns the reference (`Calls::owned`), and the GIL is held (`Calls::new`).
        unsafe { (self.functions.drop_reference)(self.object) };
    }
}

/// Calls of Python's functions in a thread that holds the GIL.
#[derive(Clone, Copy)]
struct Calls<'a> {
    functions: &'a ExitFunctions,
    /// 9 for Python 3.9.
    minor: u8,
}

impl<'a> Calls<'a> {
    /// # Safety
    /// The calling thread holds the GIL as long as this and its references exist.
    unsafe fn new(functions: &'a ExitFunctions, minor: u8) -> Calls<'a> {
        Calls { functions, minor }
    }

    /// The result of a function that returns a new reference; `None` if it has failed.
    fn owned(self, object: Pointer) -> Option<Reference<'a>> {
        let functions = self.functions;
        (!object.is_null()).then_some(Reference { object, functions })
    }

    /// The result of a function that returns a borrowed reference; `None` if it has failed.
    fn lent(self, object: Pointer) -> Option<Reference<'a>> {
        if !object.is_null() {
            // SAFETY: the GIL is held, and the object is alive while nothing else runs.
            unsafe { (self.functions.take_reference)(object) };
        }
        self.owned(object)
    }

    fn imported(self, name: &CStr) -> Option<Reference<'a>> {
        // SAFETY: the GIL is held.
        let modules = unsafe { (self.functions.modules)() };
        // SAFETY: `sys.modules` is a dict; the name ends with NUL.
        self.lent(unsafe { (self.functions.dict_item)(modules, name.as_ptr()) })
    }

    fn of_system(self, name: &CStr) -> Option<Reference<'a>> {
        // SAFETY: the GIL is held; the name ends with NUL.
        self.lent(unsafe { (self.functions.system_value)(name.as_ptr()) })
    }

    fn attribute(self, of: &Reference<'_>, name: &CStr) -> Option<Reference<'a>> {
        // SAFETY: the object is alive by its reference; the name ends with NUL.
        self.owned(unsafe { (self.functions.attribute)(of.object, name.as_ptr()) })
    }

    fn set_attribute(self, of: &Reference<'_>, name: &CStr, value: &Reference<'_>) -> Option<()> {
        // SAFETY: both objects are alive by their references; the name ends with NUL.
        let failed = unsafe { (self.functions.set_attribute)(of.object, name.as_ptr(), value.object) };
        (failed == 0).then_some(())
    }

    fn string(self, text: &CStr) -> Option<Reference<'a>> {
        // SAFETY: the GIL is held; the text ends with NUL.
        self.owned(unsafe { (self.functions.string)(text.as_ptr()) })
    }

    fn call(self, callable: &Reference<'_>, argument: Option<&Reference<'_>>) -> Option<Reference<'a>> {
        let argument = argument.map_or(null_mut(), |argument| argument.object);
        // SAFETY: both objects are alive by their references; the arguments end with NULL, and nothing is read after the first.
        self.owned(unsafe { (self.functions.call)(callable.object, argument, null_mut::<c_void>()) })
    }

    /// A C function as a Python object.
    fn function(self, definition: &'static MethodDefinition) -> Option<Reference<'a>> {
        // SAFETY: the definition is static, and the GIL is held.
        self.owned(unsafe { (self.functions.new_function)(definition, null_mut(), null_mut()) })
    }
}

/// Registers an exit function, once. `minor` is 9 for Python 3.9.
///
/// # Safety
/// The calling thread holds the GIL at a safe point.
pub unsafe fn register(functions: &ExitFunctions, minor: u8, function: &'static MethodDefinition) {
    if NONE.load(Ordering::Relaxed) == functions.none.cast() {
        return;
    }
    NONE.store(functions.none.cast(), Ordering::Relaxed);
    TAKE_REFERENCE.store(functions.take_reference as Pointer, Ordering::Relaxed);
    // A pending call may run while the interpreter is handling an exception, such as SystemExit: it must stay as it is.
    let (mut kind, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
    // SAFETY: the caller holds the GIL; the places are local variables.
    unsafe { (functions.fetch_exception)(&mut kind, &mut value, &mut traceback) };
    // SAFETY: the caller holds the GIL until this function returns.
    let calls = unsafe { Calls::new(functions, minor) };
    if register_with(calls, function).is_none() {
        // Try again at the next snapshot.
        NONE.store(null_mut(), Ordering::Relaxed);
    }
    // SAFETY: the GIL is held; the references came from `fetch_exception`. An exception raised meanwhile is dropped.
    unsafe { (functions.restore_exception)(kind, value, traceback) };
}

fn register_with(calls: Calls<'_>, function: &'static MethodDefinition) -> Option<()> {
    let register = calls.attribute(&module(calls)?, c"register")?;
    calls.call(&register, Some(&calls.function(function)?)).map(drop)
}

/// The module `atexit`: the program's, or one of our own. From 3.10 on all instances of the module register functions with the
/// interpreter. Before, each instance has its own functions, and only those of the last instance are called, so only the
/// program's own will do.
///
/// An import could deadlock on the import system's locks, and run import hooks of the program's. So the module is made as the
/// import system makes it, by `_imp.create_builtin` and `_imp.exec_builtin` (`Python/import.c`), which run no Python code. It is
/// not entered in `sys.modules`.
fn module(calls: Calls<'_>) -> Option<Reference<'_>> {
    if let Some(module) = calls.imported(c"atexit") {
        return Some(module);
    }
    if calls.minor < 10 {
        return None;
    }
    let loader = calls.imported(c"_imp")?;
    // Any object that can have attributes serves as the specification; it needs a name.
    let kind = calls.attribute(&calls.of_system(c"implementation")?, c"__class__")?;
    let specification = calls.call(&kind, None)?;
    calls.set_attribute(&specification, c"name", &calls.string(c"atexit")?)?;
    let module = calls.call(&calls.attribute(&loader, c"create_builtin")?, Some(&specification))?;
    calls.call(&calls.attribute(&loader, c"exec_builtin")?, Some(&module))?;
    Some(module)
}
