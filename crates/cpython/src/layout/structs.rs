//! The fields of CPython's structures that a walk of the frames reads. Those that only a snapshot of the heap reads are in
//! `heap`.

use super::heap::HeapLayout;

/// All that is known about one minor version. Offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The minor version: 9 for CPython 3.9.
    pub minor: u8,
    /// Header of every object.
    pub object: ObjectLayout,
    /// Type objects.
    pub type_object: TypeLayout,
    /// Thread states.
    pub thread: ThreadLayout,
    /// How a thread state leads to its frames.
    pub frames: FrameChain,
    /// Code objects.
    pub code: CodeLayout,
    /// Strings.
    pub unicode: UnicodeLayout,
    /// Byte strings.
    pub bytes: BytesLayout,
    /// The runtime and its interpreters.
    pub runtime: RuntimeLayout,
    /// What a snapshot of the heap reads.
    pub heap: HeapLayout,
}

/// `PyObject` and `PyVarObject` (Include/object.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLayout {
    /// `ob_type`.
    pub ob_type: u16,
    /// `ob_size` of objects with a variable size.
    pub var_size: u16,
}

/// `PyTypeObject` (Include/cpython/object.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeLayout {
    /// `tp_name`, a C string.
    pub name: u16,
    /// `tp_basicsize`.
    pub basic_size: u16,
    /// `tp_flags`.
    pub flags: u16,
}

/// `PyThreadState` (Include/cpython/pystate.h), apart from its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadLayout {
    /// `thread_id`: what `pthread_self` returned in that thread.
    pub id: u16,
}

/// The way from a thread state to its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameChain {
    /// 3.9, 3.10: frames are Python objects.
    Objects(FrameObjects),
    /// 3.11, 3.12: the thread state points at a `_PyCFrame`, which points at the current frame.
    CFrame {
        /// `PyThreadState.cframe`.
        cframe: u16,
        /// `_PyCFrame.current_frame`.
        current_frame: u16,
        /// The frames.
        frames: InterpreterFrames,
    },
    /// From 3.13: the thread state points at the current frame.
    Direct {
        /// `PyThreadState.current_frame`.
        current_frame: u16,
        /// The frames.
        frames: InterpreterFrames,
    },
}

/// `PyFrameObject` of 3.9 and 3.10 (Include/cpython/frameobject.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameObjects {
    /// `PyThreadState.frame`.
    pub current_frame: u16,
    /// `f_back`.
    pub back: u16,
    /// `f_code`.
    pub code: u16,
    /// `f_lasti`.
    pub last_instruction: u16,
    /// Bytes in one unit of `f_lasti`: 1 in 3.9, 2 in 3.10.
    pub instruction_unit: u8,
}

/// `_PyInterpreterFrame` of 3.11 and later (Include/internal/pycore_frame.h, pycore_interpframe_structs.h), with the
/// two fields of `PyCodeObject` that give its instruction pointer a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterpreterFrames {
    /// `previous`.
    pub previous: u16,
    /// `f_code`, or `f_executable` from 3.13.
    pub code: u16,
    /// Bits of the code pointer that are a tag (3.14 on).
    pub code_tag: u64,
    /// `prev_instr` (the last instruction begun), or `instr_ptr` (the one that runs) from 3.13.
    pub instruction: u16,
    /// `owner`, one byte.
    pub owner: u16,
    /// Frames with this owner or a higher one belong to the interpreter, not to Python code.
    pub hidden_owners_from: u8,
    /// `PyCodeObject.co_code_adaptive`: the bytecode.
    pub bytecode: u16,
    /// `PyCodeObject._co_firsttraceable`, counted in instructions of 2 bytes.
    pub first_traceable: u16,
}

/// `PyCodeObject` (Include/cpython/code.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLayout {
    /// `tp_basicsize` of the type `code`. From 3.11 on it ends where the bytecode begins.
    pub basic_size: u16,
    /// `co_firstlineno`, 32 bits.
    pub first_line: u16,
    /// `co_filename`.
    pub filename: u16,
    /// `co_name`.
    pub name: u16,
    /// `co_qualname` (3.11 on).
    pub qualname: Option<u16>,
    /// `co_lnotab` (3.9) or `co_linetable` (3.10 on).
    pub line_table: u16,
}

/// `PyASCIIObject`, `PyCompactUnicodeObject`, `PyUnicodeObject` (Include/cpython/unicodeobject.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnicodeLayout {
    /// `tp_basicsize` of the type `str`.
    pub basic_size: u16,
    /// `length`, in code points.
    pub length: u16,
    /// `state`: from the lowest bit interned (2), kind (3), compact (1), ascii (1).
    pub state: u16,
    /// Characters of a compact ASCII string.
    pub ascii_data: u16,
    /// Characters of any other compact string.
    pub compact_data: u16,
    /// Pointer to the characters of a string that is not compact.
    pub data_pointer: u16,
}

/// `PyBytesObject` (Include/cpython/bytesobject.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesLayout {
    /// `tp_basicsize` of the type `bytes`.
    pub basic_size: u16,
    /// `ob_sval`.
    pub data: u16,
}

/// `_PyRuntimeState` and `PyInterpreterState` (Include/internal/pycore_runtime.h, pycore_interp.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeLayout {
    /// 3.9 to 3.12: fixed offsets.
    Fixed {
        /// `_PyRuntimeState._finalizing`.
        finalizing: u16,
        /// `_PyRuntimeState.interpreters.head`.
        interpreters_head: u16,
        /// `PyInterpreterState.next`.
        interpreter_next: u16,
        /// `_PyRuntimeState.gilstate.tstate_current` (up to 3.11).
        current_thread: Option<u16>,
    },
    /// From 3.13 these offsets change between micro releases, and `_Py_DebugOffsets` has them. This is where that table
    /// keeps each entry.
    DebugOffsets(Fields<u16>),
}

/// The entries of `_Py_DebugOffsets`: one value for each entry that is used: its position inside the table (`u16`), or
/// what it holds (`u64`). Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are named for what they hold; a sentence each would repeat the names.
pub struct Fields<T> {
    pub finalizing: T,
    pub interpreters_head: T,
    pub interpreter_next: T,
    pub thread_current_frame: T,
    pub thread_id: T,
    pub frame_previous: T,
    pub frame_executable: T,
    pub frame_instruction: T,
    pub frame_owner: T,
    pub code_filename: T,
    pub code_name: T,
    pub code_qualname: T,
    pub code_line_table: T,
    pub code_first_line: T,
    pub code_bytecode: T,
    pub object_type: T,
    pub type_name: T,
    pub type_flags: T,
    pub bytes_size: T,
    pub bytes_data: T,
    pub unicode_state: T,
    pub unicode_length: T,
    pub unicode_ascii_size: T,
}
