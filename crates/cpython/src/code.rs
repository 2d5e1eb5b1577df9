//! Code objects: what to copy when one is first seen, and how to notice that its address was reused.

use crate::layout::Layout;
use crate::memory::{Memory, field, is_plausible};

/// What a code object says about itself. The objects it names live as long as the code object does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeMetadata {
    /// `co_firstlineno`.
    pub first_line: i32,
    /// Address of `co_filename`, a `str`.
    pub filename: u64,
    /// Address of `co_qualname`, or of `co_name` before 3.11: a `str`.
    pub qualified_name: u64,
    /// Address of the line table, a `bytes`: `co_lnotab` in 3.9, PEP 626 in 3.10, the location table from 3.11.
    pub line_table: u64,
}

/// A few words that tell apart two code objects that had the same address one after the other.
///
/// A strong hint, not a proof: another object at the address could have the same four words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeIdentity {
    /// `co_firstlineno`.
    pub first_line: i32,
    /// Address of `co_filename`.
    pub filename: u64,
    /// Address of `co_name`.
    pub name: u64,
    /// Address of the line table.
    pub line_table: u64,
}

/// Reads what is copied when the code object at `code` is first seen.
///
/// `code` is an address from [`walk`](crate::frame::walk), and its frame is still alive.
pub fn metadata<M: Memory>(mem: &M, layout: &Layout, code: u64) -> Option<CodeMetadata> {
    if !is_plausible(code) {
        return None;
    }
    let fields = &layout.code;
    Some(CodeMetadata {
        first_line: mem.i32(field(code, fields.first_line))?,
        filename: mem.u64(field(code, fields.filename))?,
        qualified_name: mem.u64(field(code, fields.qualname.unwrap_or(fields.name)))?,
        line_table: mem.u64(field(code, fields.line_table))?,
    })
}

/// Reads the identity of the code object at `code`: four loads.
#[inline]
pub fn identity<M: Memory>(mem: &M, layout: &Layout, code: u64) -> Option<CodeIdentity> {
    if !is_plausible(code) {
        return None;
    }
    let fields = &layout.code;
    Some(CodeIdentity {
        first_line: mem.i32(field(code, fields.first_line))?,
        filename: mem.u64(field(code, fields.filename))?,
        name: mem.u64(field(code, fields.name))?,
        line_table: mem.u64(field(code, fields.line_table))?,
    })
}
