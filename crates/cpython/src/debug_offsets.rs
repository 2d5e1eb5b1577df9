//! `_Py_DebugOffsets`: the table at the start of `_PyRuntime` in which CPython 3.13 and later describe themselves
//! (Include/internal/pycore_runtime.h in 3.13, pycore_debug_offsets.h from 3.14).
//!
//! The shape of the table differs by minor version; a [`Layout`] has the place of each entry.
//!
//! ```text
//!  offset  content
//!  0       "xdebugpy"
//!  8       version, as in PY_VERSION_HEX (64 bits)
//!  16      1 in a free-threaded build, else 0 (64 bits)
//!  24      sub-tables of 64-bit entries
//! ```

pub use crate::layout::Fields;
use crate::layout::{FrameChain, Layout, RuntimeLayout};
use crate::memory::{Memory, is_plausible};
use crate::mismatch::Mismatch;
use crate::version::Version;

const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");

/// What the running interpreter states about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugOffsets {
    /// As in `PY_VERSION_HEX`: compare it with `Py_Version`.
    pub version: u32,
    /// Whether this is a free-threaded build.
    pub free_threaded: bool,
    /// Offsets in bytes.
    pub fields: Fields<u64>,
}

impl DebugOffsets {
    /// Reads the table of the `_PyRuntime` at `runtime`.
    ///
    /// Fails without a table (before 3.13, or the cookie is not there) and for a table of another minor version.
    pub fn read<M: Memory>(mem: &M, layout: &Layout, runtime: u64) -> Result<Self, Mismatch> {
        let at = |offset: u16| {
            is_plausible(runtime)
                .then(|| mem.u64(runtime.wrapping_add(u64::from(offset))))
                .flatten()
        };
        let RuntimeLayout::DebugOffsets(position) = layout.runtime else {
            return Err(Mismatch {
                field: "debug_offsets.cookie",
                expected: COOKIE,
                found: None,
            });
        };
        Mismatch::compare("debug_offsets.cookie", COOKIE, at(0))?;
        let entry = |field: &'static str, offset: u16| {
            at(offset).ok_or(Mismatch {
                field,
                expected: u64::from(offset),
                found: None,
            })
        };
        let version = entry("debug_offsets.version", 8)? as u32;
        let Version { major, minor, .. } = Version::from_hex(version);
        Mismatch::compare("debug_offsets.version.major", 3, Some(u64::from(major)))?;
        Mismatch::compare(
            "debug_offsets.version.minor",
            u64::from(layout.minor),
            Some(u64::from(minor)),
        )?;
        Ok(Self {
            version,
            free_threaded: entry("debug_offsets.free_threaded", 16)? != 0,
            fields: Fields {
                finalizing: entry("runtime_state.finalizing", position.finalizing)?,
                interpreters_head: entry("runtime_state.interpreters_head", position.interpreters_head)?,
                interpreter_next: entry("interpreter_state.next", position.interpreter_next)?,
                thread_current_frame: entry("thread_state.current_frame", position.thread_current_frame)?,
                thread_id: entry("thread_state.thread_id", position.thread_id)?,
                frame_previous: entry("interpreter_frame.previous", position.frame_previous)?,
                frame_executable: entry("interpreter_frame.executable", position.frame_executable)?,
                frame_instruction: entry("interpreter_frame.instr_ptr", position.frame_instruction)?,
                frame_owner: entry("interpreter_frame.owner", position.frame_owner)?,
                code_filename: entry("code_object.filename", position.code_filename)?,
                code_name: entry("code_object.name", position.code_name)?,
                code_qualname: entry("code_object.qualname", position.code_qualname)?,
                code_line_table: entry("code_object.linetable", position.code_line_table)?,
                code_first_line: entry("code_object.firstlineno", position.code_first_line)?,
                code_bytecode: entry("code_object.co_code_adaptive", position.code_bytecode)?,
                object_type: entry("pyobject.ob_type", position.object_type)?,
                type_name: entry("type_object.tp_name", position.type_name)?,
                type_flags: entry("type_object.tp_flags", position.type_flags)?,
                bytes_size: entry("bytes_object.ob_size", position.bytes_size)?,
                bytes_data: entry("bytes_object.ob_sval", position.bytes_data)?,
                unicode_state: entry("unicode_object.state", position.unicode_state)?,
                unicode_length: entry("unicode_object.length", position.unicode_length)?,
                unicode_ascii_size: entry("unicode_object.asciiobject_size", position.unicode_ascii_size)?,
            },
        })
    }

    /// Compares the interpreter's own offsets with the layout's. A free-threaded build is a mismatch.
    pub fn check(&self, layout: &Layout) -> Result<(), Mismatch> {
        let FrameChain::Direct { current_frame, frames } = layout.frames else {
            return Err(Mismatch {
                field: "debug_offsets.cookie",
                expected: 0,
                found: Some(COOKIE),
            });
        };
        Mismatch::compare("debug_offsets.free_threaded", 0, Some(u64::from(self.free_threaded)))?;
        // Every layout with debug offsets has a qualified name; `u16::MAX` would be reported as a mismatch.
        let qualname = layout.code.qualname.unwrap_or(u16::MAX);
        let fields = &self.fields;
        let pairs = [
            ("thread_state.current_frame", current_frame, fields.thread_current_frame),
            ("thread_state.thread_id", layout.thread.id, fields.thread_id),
            ("interpreter_frame.previous", frames.previous, fields.frame_previous),
            ("interpreter_frame.executable", frames.code, fields.frame_executable),
            (
                "interpreter_frame.instr_ptr",
                frames.instruction,
                fields.frame_instruction,
            ),
            ("interpreter_frame.owner", frames.owner, fields.frame_owner),
            ("code_object.filename", layout.code.filename, fields.code_filename),
            ("code_object.name", layout.code.name, fields.code_name),
            ("code_object.qualname", qualname, fields.code_qualname),
            ("code_object.linetable", layout.code.line_table, fields.code_line_table),
            (
                "code_object.firstlineno",
                layout.code.first_line,
                fields.code_first_line,
            ),
            ("code_object.co_code_adaptive", frames.bytecode, fields.code_bytecode),
            ("pyobject.ob_type", layout.object.ob_type, fields.object_type),
            ("type_object.tp_name", layout.type_object.name, fields.type_name),
            ("type_object.tp_flags", layout.type_object.flags, fields.type_flags),
            ("bytes_object.ob_size", layout.object.var_size, fields.bytes_size),
            ("bytes_object.ob_sval", layout.bytes.data, fields.bytes_data),
            ("unicode_object.state", layout.unicode.state, fields.unicode_state),
            ("unicode_object.length", layout.unicode.length, fields.unicode_length),
            (
                "unicode_object.asciiobject_size",
                layout.unicode.ascii_data,
                fields.unicode_ascii_size,
            ),
        ];
        for (field, expected, found) in pairs {
            Mismatch::compare(field, u64::from(expected), Some(found))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::layout::layout_for;
    use crate::runtime::Runtime;

    const RUNTIME: u64 = 0x10_0000;

    fn layout(minor: u8) -> &'static Layout {
        layout_for(Version {
            major: 3,
            minor,
            micro: 0,
        })
        .unwrap()
    }

    /// A table with the right cookie and version, and zeros.
    fn zeros(minor: u8) -> Fake {
        let mut mem = Fake::default();
        mem.put(RUNTIME, &[0; 1024]);
        mem.put(RUNTIME, b"xdebugpy");
        mem.put_u64(RUNTIME + 8, 0x0300_00f0 | u64::from(minor) << 16);
        mem
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        for minor in 13..=15 {
            let fails_with = |mem: &Fake, runtime: u64, name: &str| {
                assert_eq!(Runtime::locate(mem, layout(minor), runtime).unwrap_err().field, name);
            };
            fails_with(&zeros(minor), 1, "_PyRuntime");
            fails_with(&Fake::default(), RUNTIME, "debug_offsets.cookie");
            fails_with(&zeros(minor + 1), RUNTIME, "debug_offsets.version.minor");
            fails_with(&zeros(minor), RUNTIME, "thread_state.current_frame");
            let mut mem = zeros(minor);
            mem.put_u64(RUNTIME + 16, 1);
            fails_with(&mem, RUNTIME, "debug_offsets.free_threaded");
        }
    }

    #[test]
    fn before_3_13_there_is_no_table() {
        for minor in 9..13 {
            assert!(DebugOffsets::read(&zeros(minor), layout(minor), RUNTIME).is_err());
            assert!(Runtime::locate(&zeros(minor), layout(minor), RUNTIME).is_ok());
        }
    }
}
