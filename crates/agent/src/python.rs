//! The interpreter in this process: its functions, its version, and where the running thread's frames begin.
//!
//! Nothing is linked: every function is looked up by name, so the agent loads into any program.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;

use deadweight_cpython::frame::{RawFrame, Walk};
use deadweight_cpython::heap::{Interpreters, Known};
use deadweight_cpython::runtime::Runtime;
use deadweight_cpython::type_object::{self, KnownType};
use deadweight_cpython::{Layout, Memory, Version, frame, is_plausible, layout_for};

use crate::thread::Thread;

type Pointer = *mut c_void;

/// This process's own memory. `deadweight-cpython` asks only for addresses that passed its plausibility test.
#[derive(Clone, Copy)]
pub struct OwnMemory;

impl Memory for OwnMemory {
    #[inline(always)]
    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        // SAFETY: addresses come from live interpreter structures of the running thread whose layout was checked
        // against the interpreter before the first read (see `Python::check`), or from fields of these.
        Some(unsafe { (address as *const [u8; N]).read_unaligned() })
    }

    fn read_into(&self, address: u64, out: &mut [u8]) -> bool {
        // SAFETY: as in `read`; `out` is the caller's and does not overlap with interpreter memory.
        unsafe { core::ptr::copy_nonoverlapping(address as *const u8, out.as_mut_ptr(), out.len()) };
        true
    }
}

fn symbol(name: &CStr) -> Option<Pointer> {
    // SAFETY: the name is NUL-terminated.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $($name:literal)|+;)*) => {
        /// Functions of the interpreter, found by name.
        #[derive(Clone, Copy)]
        pub struct Functions {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Functions {
            /// Looks all of them up; `None` if one is missing, so that there is no (known) Python here.
            fn find() -> Option<Functions> {
                Some(Functions {
                    $(
                        // SAFETY: CPython's function of this name has this type in 3.9 to 3.15.
                        $field: unsafe { transmute::<Pointer, $type>(None$(.or_else(|| symbol($name)))+?) },
                    )*
                })
            }
        }
    };
}

functions! {
    /// Whether `Py_Initialize` is done.
    is_initialized: unsafe extern "C" fn() -> c_int = c"Py_IsInitialized";
    /// The version as text; static memory.
    get_version: unsafe extern "C" fn() -> *const c_char = c"Py_GetVersion";
    /// The thread's own state, with or without the GIL.
    this_thread_state: unsafe extern "C" fn() -> Pointer = c"PyGILState_GetThisThreadState";
    /// The state of the thread that has the GIL (before 3.12), or of this thread if it has it.
    current_thread_state: unsafe extern "C" fn() -> Pointer = c"PyThreadState_GetUnchecked" | c"_PyThreadState_UncheckedGet";
    /// Reads an allocator.
    get_allocator: unsafe extern "C" fn(c_int, *mut Allocator) = c"PyMem_GetAllocator";
    /// Sets an allocator.
    set_allocator: unsafe extern "C" fn(c_int, *mut Allocator) = c"PyMem_SetAllocator";
    /// Reads where pymalloc gets its arenas.
    get_arena_allocator: unsafe extern "C" fn(*mut ArenaAllocator) = c"PyObject_GetArenaAllocator";
    /// Sets where pymalloc gets its arenas.
    set_arena_allocator: unsafe extern "C" fn(*mut ArenaAllocator) = c"PyObject_SetArenaAllocator";
    /// Has a function run by the main thread at a safe point.
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
    /// Takes a reference.
    take_reference: unsafe extern "C" fn(Pointer) = c"Py_IncRef";
    /// `sys.modules`; borrowed.
    modules: unsafe extern "C" fn() -> Pointer = c"PyImport_GetModuleDict";
    /// A dict's value under a string, or null; borrowed.
    dict_item: unsafe extern "C" fn(Pointer, *const c_char) -> Pointer = c"PyDict_GetItemString";
    /// An attribute; a new reference.
    attribute: unsafe extern "C" fn(Pointer, *const c_char) -> Pointer = c"PyObject_GetAttrString";
    /// Makes a Python function of a C function; a new reference.
    new_function: unsafe extern "C" fn(*const MethodDefinition, Pointer, Pointer) -> Pointer = c"PyCFunction_NewEx";
    /// Calls an object with the arguments up to NULL; a new reference. Variadic in C.
    call: unsafe extern "C" fn(Pointer, Pointer, ...) -> Pointer = c"PyObject_CallFunctionObjArgs";
    /// Takes the exception that is set, if any.
    fetch_exception: unsafe extern "C" fn(*mut Pointer, *mut Pointer, *mut Pointer) = c"PyErr_Fetch";
    /// Sets an exception, or none.
    restore_exception: unsafe extern "C" fn(Pointer, Pointer, Pointer) = c"PyErr_Restore";
    /// `None`: no function, its address is what counts.
    none: *mut u8 = c"_Py_NoneStruct";
    /// Drops a reference.
    drop_reference: unsafe extern "C" fn(Pointer) = c"Py_DecRef";
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

// SAFETY: constants only.
unsafe impl Sync for MethodDefinition {}

/// Why there are no Python stacks, as a sentence for the report.
pub type Reason = &'static str;

/// What is known of an interpreter's insides once they are checked.
#[derive(Clone, Copy)]
pub struct Insides {
    /// Offsets.
    pub layout: &'static Layout,
    runtime: Runtime,
    code_type: u64,
    /// Addresses of its types.
    pub known: Known,
    /// Where its interpreters are.
    pub interpreters: Interpreters,
}

/// The interpreter in this process.
#[derive(Clone, Copy)]
pub struct Python {
    /// Its functions.
    pub functions: Functions,
    /// Its version.
    pub version: Version,
}

impl Python {
    /// Finds an interpreter among the loaded libraries; it need not be initialised.
    pub fn find() -> Option<Python> {
        let functions = Functions::find()?;
        let version = Version::parse(version_text(&functions))?;
        Some(Python { functions, version })
    }

    /// The version as `Py_Version` has it: 0x030b07f0 is 3.11.7 (the release level is taken as final).
    pub fn version_number(&self) -> u32 {
        u32::from(self.version.major) << 24
            | u32::from(self.version.minor) << 16
            | u32::from(self.version.micro) << 8
            | 0xf0
    }

    /// Checks the interpreter's insides as far as that can be done without running it.
    pub fn check(&self) -> Result<Insides, Reason> {
        if Version::is_free_threaded(version_text(&self.functions)) {
            return Err("this is a free-threaded build of Python, which deadweight does not know yet");
        }
        let layout =
            layout_for(self.version).ok_or("this version of Python is not one that deadweight knows (3.9 to 3.15)")?;
        let types = [
            (KnownType::Code, c"PyCode_Type"),
            (KnownType::Unicode, c"PyUnicode_Type"),
            (KnownType::Bytes, c"PyBytes_Type"),
        ];
        let mut code_type = 0;
        for (known, name) in types {
            let address = symbol(name).ok_or("this build of Python does not export its types")? as u64;
            if type_object::check(&OwnMemory, layout, known, address).is_err() {
                return Err("this build of Python has other layouts than its version says (a debug build, perhaps)");
            }
            if known == KnownType::Code {
                code_type = address;
            }
        }
        let runtime = symbol(c"_PyRuntime").ok_or("this build of Python does not export _PyRuntime")? as u64;
        let other = "this build of Python has another runtime layout than its version says";
        let interpreters = Interpreters::locate(&OwnMemory, layout, runtime).map_err(|_| other)?;
        let runtime = Runtime::locate(&OwnMemory, layout, runtime).map_err(|_| other)?;
        let known = Known::resolve(|name| symbol(name).map(|address| address as u64));
        Ok(Insides {
            known,
            interpreters,
            layout,
            runtime,
            code_type,
        })
    }

    /// The state of the calling thread, whether it has the GIL or not; 0 if it has none.
    #[inline]
    pub fn thread_state(&self) -> u64 {
        // From 3.12 on "current" is thread-local: exact where this thread is attached, also in subinterpreters.
        if self.version.minor >= 12 {
            // SAFETY: the function may be called at any time.
            let attached = unsafe { (self.functions.current_thread_state)() };
            if !attached.is_null() {
                return attached as u64;
            }
        }
        // SAFETY: the function may be called at any time, also before initialisation.
        unsafe { (self.functions.this_thread_state)() as u64 }
    }

    /// Whether the calling thread has the GIL.
    pub fn has_gil(&self) -> bool {
        // SAFETY: may be called at any time.
        let current = unsafe { (self.functions.current_thread_state)() };
        // SAFETY: may be called at any time.
        let own = unsafe { (self.functions.this_thread_state)() };
        !current.is_null() && (self.version.minor >= 12 || current == own)
    }

    /// Whether `Py_Initialize` is done.
    pub fn is_initialized(&self) -> bool {
        // SAFETY: the function may be called at any time.
        unsafe { (self.functions.is_initialized)() != 0 }
    }
}

fn version_text(functions: &Functions) -> &'static [u8] {
    // SAFETY: Py_GetVersion may be called before initialisation.
    let text = unsafe { (functions.get_version)() };
    // SAFETY: its answer is a static string.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// The calling thread as the interpreter sees it.
pub enum ThreadView {
    /// No Python state: a native thread.
    Native,
    /// Python state, but no frame that can be walked now.
    NoFrame,
    /// So many frames were walked into the buffer.
    Frames(Walk),
}

impl Insides {
    /// Walks the calling thread's own frames, innermost first.
    #[inline]
    pub fn walk(&self, python: &Python, thread: &Thread, frames: &mut [RawFrame]) -> ThreadView {
        let specific = python.thread_state();
        if !is_plausible(specific) {
            return if thread.is_main.get() {
                ThreadView::NoFrame
            } else {
                ThreadView::Native
            };
        }
        if !thread.is_main.get() && self.runtime.is_finalizing(&OwnMemory) {
            // The state may be freed under the feet of a daemon thread.
            return ThreadView::NoFrame;
        }
        // Only 3.9 to 3.11 can be led astray by subinterpreters.
        let state = if python.version.minor < 12 {
            // SAFETY: always callable.
            let own = unsafe { libc::pthread_self() } as u64;
            self.runtime.thread_state(&OwnMemory, self.layout, specific, own)
        } else {
            specific
        };
        let walk = frame::walk(&OwnMemory, self.layout, self.code_type, state, frames);
        if walk.len == 0 {
            ThreadView::NoFrame
        } else {
            ThreadView::Frames(walk)
        }
    }

    /// Compares a walk with what the public API says of the same frames: code objects and lines. `None` if there
    /// is no frame to compare yet. Must be called with the GIL at a safe point.
    ///
    /// # Safety
    /// The calling thread holds the GIL and runs as a pending call.
    pub unsafe fn self_test(
        &self,
        python: &Python,
        thread: &Thread,
        frames: &mut [RawFrame],
    ) -> Option<Result<usize, Reason>> {
        let ThreadView::Frames(walk) = self.walk(python, thread, frames) else {
            // SAFETY: the GIL is held.
            let frame = unsafe { (python.functions.eval_frame)() };
            return (!frame.is_null()).then_some(Err("the walk of Python's frames finds none where there are some"));
        };
        let functions = &python.functions;
        let walked = frames.get(..walk.len).unwrap_or_default();
        // SAFETY: the GIL is held; the reference is borrowed.
        let mut public = unsafe { (functions.eval_frame)() };
        let mut owned = false;
        let mut same = 0;
        // From 3.11 on the public API leaves frames out that have not begun.
        let is_public = |raw: &&RawFrame| !raw.incomplete || python.version.minor < 11;
        for raw in walked.iter().filter(is_public) {
            if public.is_null() {
                break;
            }
            // SAFETY: `public` is a frame that we borrow or own, the GIL is held.
            let code = unsafe { (functions.frame_code)(public) };
            // SAFETY: as above.
            let line = unsafe { (functions.frame_line)(public) };
            let is_same_code = code as u64 == raw.code;
            // SAFETY: `code` is a code object that we own a reference to.
            let walked_line = unsafe { (functions.code_line)(code, raw.offset) };
            // SAFETY: the references are ours.
            unsafe { (functions.drop_reference)(code) };
            // SAFETY: as above.
            let back = unsafe { (functions.frame_back)(public) };
            if owned {
                // SAFETY: the reference is ours.
                unsafe { (functions.drop_reference)(public) };
            }
            (public, owned) = (back, true);
            if !is_same_code || line != walked_line {
                break;
            }
            same += 1;
        }
        let is_whole = public.is_null();
        if owned && !public.is_null() {
            // SAFETY: the reference is ours.
            unsafe { (functions.drop_reference)(public) };
        }
        if same == 0 && is_whole {
            return None;
        }
        let complete = walked.iter().filter(is_public).count();
        if same == complete && (is_whole || walk.truncated) {
            Some(Ok(same))
        } else {
            Some(Err(
                "the walk of Python's frames differs from what Python itself says of them",
            ))
        }
    }
}
