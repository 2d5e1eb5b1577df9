//! The interpreter's functions, their types, and the addresses of its data, looked up by name.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;

use deadweight_cpython::Version;
use deadweight_cpython::heap::Known;

type Pointer = *mut c_void;

fn symbol(name: &CStr) -> Option<Pointer> {
    // SAFETY: the name is NUL-terminated.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

macro_rules! functions {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $($symbol:literal)|+;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            /// Looks all of them up; `None` if one is missing.
            ///
            /// # Safety
            /// The interpreter is CPython 3.9 or newer.
            unsafe fn find() -> Option<$name> {
                Some($name {
                    $(
                        // SAFETY: in CPython's C API, what has this name is of this type from 3.9 to 3.15, and PEP 387 promises
                        // the same for later versions; the caller vouches for 3.9 or newer.
                        $field: unsafe { transmute::<Pointer, $type>(None$(.or_else(|| symbol($symbol)))+?) },
                    )*
                })
            }
        }
    };
}

functions! {
    /// Functions without which nothing is recorded.
    Functions {
        /// Whether `Py_Initialize` is done.
        is_initialized: unsafe extern "C" fn() -> c_int = c"Py_IsInitialized";
        /// The calling thread's own state, with or without the GIL.
        this_thread_state: unsafe extern "C" fn() -> Pointer = c"PyGILState_GetThisThreadState";
        /// Before 3.12 the state of the thread that holds the GIL; from 3.12 on that of the calling thread if it holds it.
        current_thread_state: unsafe extern "C" fn() -> Pointer = c"PyThreadState_GetUnchecked" | c"_PyThreadState_UncheckedGet";
        /// Reads an allocator.
        get_allocator: unsafe extern "C" fn(c_int, *mut Allocator) = c"PyMem_GetAllocator";
        /// Sets an allocator.
        set_allocator: unsafe extern "C" fn(c_int, *mut Allocator) = c"PyMem_SetAllocator";
        /// Reads the allocator of pymalloc's arenas.
        get_arena_allocator: unsafe extern "C" fn(*mut ArenaAllocator) = c"PyObject_GetArenaAllocator";
        /// Sets the allocator of pymalloc's arenas.
        set_arena_allocator: unsafe extern "C" fn(*mut ArenaAllocator) = c"PyObject_SetArenaAllocator";
        /// Queues a function for the main thread to call at a safe point.
        add_pending_call: unsafe extern "C" fn(unsafe extern "C" fn(Pointer) -> c_int, Pointer) -> c_int = c"Py_AddPendingCall";
        /// The running frame; borrowed.
        eval_frame: unsafe extern "C" fn() -> Pointer = c"PyEval_GetFrame";
        /// A frame's caller; a new reference.
        frame_back: unsafe extern "C" fn(Pointer) -> Pointer = c"PyFrame_GetBack";
        /// A frame's code object; a new reference.
        frame_code: unsafe extern "C" fn(Pointer) -> Pointer = c"PyFrame_GetCode";
        /// A frame's line.
        frame_line: unsafe extern "C" fn(Pointer) -> c_int = c"PyFrame_GetLineNumber";
        /// The line of a byte offset in a code object.
        code_line: unsafe extern "C" fn(Pointer, c_int) -> c_int = c"PyCode_Addr2Line";
        /// Drops a reference.
        drop_reference: unsafe extern "C" fn(Pointer) = c"Py_DecRef";
    }
}

functions! {
    /// Functions for the last snapshot of the heap.
    ExitFunctions {
        /// Takes a reference.
        take_reference: unsafe extern "C" fn(Pointer) = c"Py_IncRef";
        /// `sys.modules`; borrowed.
        modules: unsafe extern "C" fn() -> Pointer = c"PyImport_GetModuleDict";
        /// A dict's value under a string, or null; borrowed.
        dict_item: unsafe extern "C" fn(Pointer, *const c_char) -> Pointer = c"PyDict_GetItemString";
        /// An attribute; a new reference.
        attribute: unsafe extern "C" fn(Pointer, *const c_char) -> Pointer = c"PyObject_GetAttrString";
        /// Sets an attribute; 0 if it could.
        set_attribute: unsafe extern "C" fn(Pointer, *const c_char, Pointer) -> c_int = c"PyObject_SetAttrString";
        /// A string; a new reference.
        string: unsafe extern "C" fn(*const c_char) -> Pointer = c"PyUnicode_FromString";
        /// Makes a Python function from a C function; a new reference.
        new_function: unsafe extern "C" fn(*const MethodDefinition, Pointer, Pointer) -> Pointer = c"PyCFunction_NewEx";
        /// Calls an object with the arguments up to NULL; a new reference. Variadic in C.
        call: unsafe extern "C" fn(Pointer, Pointer, ...) -> Pointer = c"PyObject_CallFunctionObjArgs";
        /// Fetches and clears the current exception, if any.
        fetch_exception: unsafe extern "C" fn(*mut Pointer, *mut Pointer, *mut Pointer) = c"PyErr_Fetch";
        /// Sets the current exception, or none.
        restore_exception: unsafe extern "C" fn(Pointer, Pointer, Pointer) = c"PyErr_Restore";
        /// A value of `sys`, or null; borrowed.
        system_value: unsafe extern "C" fn(*const c_char) -> Pointer = c"PySys_GetObject";
        /// Whether an exception's type is the given one, or derives from it.
        matches: unsafe extern "C" fn(Pointer, Pointer) -> c_int = c"PyErr_GivenExceptionMatches";
        /// The address of the pointer to the type `MemoryError`: not a function.
        memory_error: *mut u8 = c"PyExc_MemoryError";
        /// The address of `None`: not a function.
        none: *mut u8 = c"_Py_NoneStruct";
        /// Drops a reference.
        drop_reference: unsafe extern "C" fn(Pointer) = c"Py_DecRef";
    }
}

// SAFETY: its pointers are addresses of the interpreter's functions and static data, which are valid in every thread.
unsafe impl Send for ExitFunctions {}

/// Addresses of the interpreter's data. They are looked up before the program has threads, and never under the agent's lock,
/// which so is never taken before the dynamic linker's.
#[derive(Clone, Copy)]
pub struct Symbols {
    /// `PyCode_Type`, `PyUnicode_Type` and `PyBytes_Type`; 0 for one that is not exported.
    pub checked_types: [u64; 3],
    /// `_PyRuntime`; 0 if it is not exported.
    pub runtime: u64,
    /// The types that a snapshot recognises.
    pub known: Known,
}

/// What was found of the interpreter.
#[derive(Clone, Copy)]
pub struct Found {
    /// The interpreter's version.
    pub version: Version,
    /// Whether it is a build without a GIL.
    pub is_free_threaded: bool,
    /// Functions without which nothing is recorded.
    pub functions: Functions,
    /// Functions for the last snapshot.
    pub exit: Option<ExitFunctions>,
    /// Addresses of data.
    pub symbols: Symbols,
}

/// The version as text, if there is a Python here.
fn version_text() -> Option<&'static [u8]> {
    let function = symbol(c"Py_GetVersion")?;
    // SAFETY: every version of Python declares it as `const char *Py_GetVersion(void)`.
    let get_version = unsafe { transmute::<Pointer, unsafe extern "C" fn() -> *const c_char>(function) };
    // SAFETY: it may be called before the interpreter is initialised.
    let text = unsafe { get_version() };
    // SAFETY: its answer is a static string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Looks everything up; `None` if there is no Python in this process, or one older than 3.9.
pub fn find() -> Option<Found> {
    let text = version_text()?;
    let version = Version::parse(text).filter(|version| (version.major, version.minor) >= (3, 9))?;
    // SAFETY: the version was checked above.
    let functions = unsafe { Functions::find() }?;
    let address = |name: &'static CStr| symbol(name).map(|address| address as u64);
    Some(Found {
        version,
        is_free_threaded: Version::is_free_threaded(text),
        functions,
        // SAFETY: the version was checked above.
        exit: unsafe { ExitFunctions::find() },
        symbols: Symbols {
            checked_types: [c"PyCode_Type", c"PyUnicode_Type", c"PyBytes_Type"].map(|name| address(name).unwrap_or(0)),
            runtime: address(c"_PyRuntime").unwrap_or(0),
            known: Known::resolve(address),
        },
    })
}

/// `PyMemAllocatorEx` of `Include/cpython/pymem.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Allocator {
    pub ctx: Pointer,
    pub malloc: unsafe extern "C" fn(Pointer, usize) -> Pointer,
    pub calloc: unsafe extern "C" fn(Pointer, usize, usize) -> Pointer,
    pub realloc: unsafe extern "C" fn(Pointer, Pointer, usize) -> Pointer,
    pub free: unsafe extern "C" fn(Pointer, Pointer),
}

/// `PyObjectArenaAllocator` of `Include/cpython/objimpl.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ArenaAllocator {
    pub ctx: Pointer,
    pub alloc: unsafe extern "C" fn(Pointer, usize) -> Pointer,
    pub free: unsafe extern "C" fn(Pointer, Pointer, usize),
}

/// `PyMethodDef` of `Include/methodobject.h`.
#[repr(C)]
pub struct MethodDefinition {
    /// The function's name.
    pub name: *const c_char,
    /// The C function.
    pub function: unsafe extern "C" fn(Pointer, Pointer) -> Pointer,
    /// How it is called; 4 is `METH_NOARGS`.
    pub flags: c_int,
    /// Its documentation.
    pub documentation: *const c_char,
}

// SAFETY: its pointers are addresses of constants and of a function, which are valid in every thread.
unsafe impl Sync for MethodDefinition {}
