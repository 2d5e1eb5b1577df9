//! The interpreter in this process: its functions, its version, and the frames of the running thread.
//!
//! The agent links nothing of Python's: it looks up every function by name, so that it can be loaded into any program.

pub mod allocators;
mod symbols;

use deadweight_cpython::frame::{RawFrame, Walk};
use deadweight_cpython::heap::lists::{self, LongLived};
use deadweight_cpython::heap::{Interpreters, Known};
use deadweight_cpython::runtime::Runtime;
use deadweight_cpython::type_object::{self, KnownType};
use deadweight_cpython::{Layout, Memory, Version, frame, is_plausible, layout_for};

pub use self::symbols::{Allocator, ArenaAllocator, ExitFunctions, Functions, MethodDefinition};

use self::symbols::Symbols;
use crate::thread::Thread;

/// The interpreter's memory in this process, read by plain loads. It is only used for what is certainly there: data that the
/// interpreter exports by name, the running thread's state, and what these lead to by layouts that [`Python::check`] has compared
/// with the interpreter. Where an address may be wrong, the agent reads by other types: `ProgramMemory` in the snapshot child,
/// and `ProbedMemory` for regions.
#[derive(Clone, Copy)]
pub struct OwnMemory;

impl Memory for OwnMemory {
    #[inline(always)]
    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        // SAFETY: the callers read only at the addresses described above. They run in the thread whose frames these are, or hold
        // the GIL, so that no other thread frees them. Any bytes are a valid value.
        Some(unsafe { (address as *const [u8; N]).read() })
    }

    fn read_into(&self, address: u64, out: &mut [u8]) -> bool {
        // SAFETY: as in `read`; `out` is the agent's own memory, which does not overlap with the interpreter's.
        unsafe { core::ptr::copy_nonoverlapping(address as *const u8, out.as_mut_ptr(), out.len()) };
        true
    }
}

/// Why there are no Python stacks: a sentence for the report.
pub type Reason = &'static str;

/// What is known of the interpreter's own data once its layout is checked.
#[derive(Clone, Copy)]
pub struct InterpreterState {
    /// The offsets of its structures' fields.
    pub layout: &'static Layout,
    runtime: Runtime,
    code_type: u64,
    /// Addresses of its types.
    pub known: Known,
    /// Where its interpreters' states are.
    pub interpreters: Interpreters,
}

/// The interpreter in this process.
#[derive(Clone, Copy)]
pub struct Python {
    /// Its functions.
    pub functions: Functions,
    /// Its functions for the last snapshot, if it has all of them.
    pub exit: Option<ExitFunctions>,
    /// Its version.
    pub version: Version,
    is_free_threaded: bool,
    symbols: Symbols,
}

impl Python {
    /// Finds an interpreter among the loaded libraries; it need not be initialised.
    pub fn find() -> Option<Python> {
        let found = symbols::find()?;
        Some(Python {
            functions: found.functions,
            exit: found.exit,
            version: found.version,
            is_free_threaded: found.is_free_threaded,
            symbols: found.symbols,
        })
    }

    /// The version as `Py_Version` has it: 0x030b07f0 is 3.11.7 (the release level is taken as final).
    pub fn version_number(&self) -> u32 {
        u32::from(self.version.major) << 24
            | u32::from(self.version.minor) << 16
            | u32::from(self.version.micro) << 8
            | 0xf0
    }

    /// Checks the layout of the interpreter's own data as far as that can be done without running it.
    pub fn check(&self) -> Result<InterpreterState, Reason> {
        if self.is_free_threaded {
            return Err("this is a free-threaded build of Python, which deadweight does not know yet");
        }
        let layout =
            layout_for(self.version).ok_or("this version of Python is not one that deadweight knows (3.9 to 3.15)")?;
        let [code_type, ..] = self.symbols.checked_types;
        let types = [KnownType::Code, KnownType::Unicode, KnownType::Bytes];
        for (known, address) in types.into_iter().zip(self.symbols.checked_types) {
            if address == 0 {
                return Err("this build of Python does not export its types");
            }
            if type_object::check(&OwnMemory, layout, known, address).is_err() {
                return Err("this build of Python has other layouts than its version says (a debug build, perhaps)");
            }
        }
        let runtime = self.symbols.runtime;
        if runtime == 0 {
            return Err("this build of Python does not export _PyRuntime");
        }
        let other = "this build of Python has another runtime layout than its version says";
        let interpreters = Interpreters::locate(&OwnMemory, layout, runtime).map_err(|_| other)?;
        let runtime = Runtime::locate(&OwnMemory, layout, runtime).map_err(|_| other)?;
        Ok(InterpreterState {
            known: self.symbols.known,
            interpreters,
            layout,
            runtime,
            code_type,
        })
    }

    /// The calling thread's state, whether it holds the GIL or not; 0 if it has none.
    #[inline]
    pub fn thread_state(&self) -> u64 {
        // From 3.12 on the current state is thread-local, and right in subinterpreters too, while this thread is attached.
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

    /// Whether the calling thread holds the GIL.
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

/// The calling thread as the interpreter sees it.
pub enum ThreadView {
    /// No Python state: a native thread.
    Native,
    /// Python state, but no frames that can be walked now.
    NoFrame,
    /// Frames were walked into the buffer.
    Frames(Walk),
}

impl InterpreterState {
    /// The counts of the main interpreter's collector, if they can be read. The calling thread must hold the GIL, so that no
    /// interpreter is removed meanwhile.
    pub fn long_lived(&self) -> Option<LongLived> {
        let main = self.interpreters.main(&OwnMemory)?;
        lists::long_lived(&OwnMemory, self.layout, self.interpreters.gc(main))
    }

    /// Whether `Py_FinalizeEx` is running, or has run.
    #[inline]
    pub fn is_finalizing(&self) -> bool {
        self.runtime.is_finalizing(&OwnMemory)
    }

    /// The calling thread's state, if it has one that can be read now.
    pub fn own_state(&self, python: &Python, thread: &Thread) -> Option<u64> {
        let state = python.thread_state();
        // During finalisation the state of a daemon thread may be freed at any moment.
        let is_safe = thread.is_main.get() || !self.is_finalizing();
        (is_plausible(state) && is_safe).then_some(state)
    }

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
        if !thread.is_main.get() && self.is_finalizing() {
            // The state of a daemon thread may be freed at any moment.
            return ThreadView::NoFrame;
        }
        // Up to 3.11 the state found may be that of another subinterpreter.
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

    /// Compares a walk with what the public API says about the same frames: code objects and lines. `None` if there is no frame to
    /// compare yet.
    ///
    /// # Safety
    /// The calling thread holds the GIL, at a point where Python code may run.
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
        // From 3.11 on the public API omits frames that have not begun to run.
        let is_public = |raw: &&RawFrame| !raw.incomplete || python.version.minor < 11;
        for raw in walked.iter().filter(is_public) {
            if public.is_null() {
                break;
            }
            // SAFETY: `public` is a frame that is borrowed or owned here, and the GIL is held.
            let code = unsafe { (functions.frame_code)(public) };
            // SAFETY: as above.
            let line = unsafe { (functions.frame_line)(public) };
            let is_same_code = code as u64 == raw.code;
            // SAFETY: `code` is a code object, of which a reference is owned here.
            let walked_line = unsafe { (functions.code_line)(code, raw.offset) };
            // SAFETY: the reference is owned here, and is not used again.
            unsafe { (functions.drop_reference)(code) };
            // SAFETY: as above.
            let back = unsafe { (functions.frame_back)(public) };
            if owned {
                // SAFETY: the reference is owned here, and is not used again.
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
            // SAFETY: the reference is owned here, and is not used again.
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
