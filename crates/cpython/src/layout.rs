//! Where the fields are, as data: one file for each minor version.
//!
//! All offsets and sizes are in bytes. They were compiled from each version's own headers and compared with running
//! interpreters: docs/cpython.md says how.

mod heap;
mod py310;
mod py311;
mod py312;
mod py313;
mod py314;
mod py315;
mod py39;

pub use heap::{
    AttributesLayout, ExceptionLayout, FunctionLayout, GcLayout, GeneratorFrame, GeneratorLayout, HeapLayout,
    HeapTypeLayout, InterpreterFields, InterpreterLayout, KeysLayout, RefcountLayout, StackTop, VariablesLayout,
};

use crate::debug_offsets::Fields;
use crate::version::Version;

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
    /// From 3.13 these offsets move between micro releases: `_Py_DebugOffsets` tells them. This is where that table
    /// keeps each entry.
    DebugOffsets(Fields<u16>),
}

/// The layout of a version, or `None` if this crate does not know it.
///
/// Only builds with a GIL and without `Py_TRACE_REFS` have these layouts; the version alone does not say so.
#[must_use]
pub fn layout_for(version: Version) -> Option<&'static Layout> {
    match (version.major, version.minor) {
        (3, 9) => Some(&py39::LAYOUT),
        (3, 10) => Some(&py310::LAYOUT),
        (3, 11) => Some(&py311::LAYOUT),
        (3, 12) => Some(&py312::LAYOUT),
        (3, 13) => Some(&py313::LAYOUT),
        (3, 14) => Some(&py314::LAYOUT),
        (3, 15) => Some(&py315::LAYOUT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minor_from_9_to_15_has_its_own_layout() {
        for minor in 0..=255 {
            let found = layout_for(Version {
                major: 3,
                minor,
                micro: 0,
            });
            assert_eq!(
                found.map(|layout| layout.minor),
                (9..=15).contains(&minor).then_some(minor)
            );
        }
        assert_eq!(
            layout_for(Version {
                major: 2,
                minor: 10,
                micro: 0
            }),
            None
        );
    }

    #[test]
    fn from_3_11_on_the_bytecode_follows_the_basic_size() {
        for minor in 11..=15 {
            let layout = layout_for(Version {
                major: 3,
                minor,
                micro: 0,
            })
            .unwrap();
            let (FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. }) = layout.frames else {
                panic!("3.{minor} has frame objects");
            };
            assert_eq!(frames.bytecode, layout.code.basic_size);
        }
    }
}
