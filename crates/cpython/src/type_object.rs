//! Type objects: whether the type at an address is the expected one, with the expected shape.

use crate::layout::Layout;
use crate::memory::{Memory, field, is_plausible};
use crate::mismatch::Mismatch;

/// `Py_TPFLAGS_BYTES_SUBCLASS` (Include/object.h).
pub(crate) const BYTES_SUBCLASS: u64 = 1 << 27;
/// `Py_TPFLAGS_UNICODE_SUBCLASS` (Include/object.h).
pub(crate) const UNICODE_SUBCLASS: u64 = 1 << 28;

/// A type whose address the interpreter exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownType {
    /// `PyCode_Type`.
    Code,
    /// `PyUnicode_Type`.
    Unicode,
    /// `PyBytes_Type`.
    Bytes,
}

/// Checks the name and the basic size of the type object at `addr`.
///
/// A build with other layouts (free-threaded, `Py_TRACE_REFS`, a wrong version) fails here before anything else is read.
pub fn check<M: Memory>(mem: &M, layout: &Layout, known: KnownType, addr: u64) -> Result<(), Mismatch> {
    let (size_field, size, name_field, name) = match known {
        KnownType::Code => (
            "code.tp_basicsize",
            layout.code.basic_size,
            "code.tp_name",
            b"code\0\0\0\0",
        ),
        KnownType::Unicode => (
            "str.tp_basicsize",
            layout.unicode.basic_size,
            "str.tp_name",
            b"str\0\0\0\0\0",
        ),
        KnownType::Bytes => (
            "bytes.tp_basicsize",
            layout.bytes.basic_size,
            "bytes.tp_name",
            b"bytes\0\0\0",
        ),
    };
    let found = if is_plausible(addr) {
        mem.u64(field(addr, layout.type_object.basic_size))
    } else {
        None
    };
    Mismatch::compare(size_field, u64::from(size), found)?;
    Mismatch::compare(name_field, u64::from_le_bytes(*name), short_name(mem, layout, addr))
}

/// The first eight bytes of a type's name, zeros after its end.
fn short_name<M: Memory>(mem: &M, layout: &Layout, addr: u64) -> Option<u64> {
    let name = mem.u64(field(addr, layout.type_object.name))?;
    if !crate::memory::is_plausible_data(name, 1) {
        return None;
    }
    let mut bytes = [0; 8];
    let mut at = name;
    for byte in &mut bytes {
        match mem.u8(at)? {
            0 => break,
            value => *byte = value,
        }
        at = at.wrapping_add(1);
    }
    Some(u64::from_le_bytes(bytes))
}

/// Whether `object` can be followed and its type has `flag` among its `tp_flags`.
pub(crate) fn has_flag<M: Memory>(mem: &M, layout: &Layout, object: u64, flag: u64) -> bool {
    let flags = || {
        let ty = is_plausible(object).then(|| mem.u64(field(object, layout.object.ob_type)))??;
        is_plausible(ty).then(|| mem.u64(field(ty, layout.type_object.flags)))?
    };
    flags().is_some_and(|flags| flags & flag != 0)
}
