//! `bytes` objects, as which line tables are stored.

use crate::layout::Layout;
use crate::memory::{Memory, field};
use crate::type_object::{BYTES_SUBCLASS, has_flag};

/// Longer contents are refused, in bytes: no line table is as long.
pub const MAX_LEN: u64 = 16 << 20;

/// Where the content of a `bytes` object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Address of the first byte.
    pub addr: u64,
    /// Length in bytes, at most [`MAX_LEN`].
    pub len: u64,
}

/// The content of the `bytes` object at `object`; `None` if it is not one, or is longer than [`MAX_LEN`].
pub fn content<M: Memory>(mem: &M, layout: &Layout, object: u64) -> Option<Content> {
    if !has_flag(mem, layout, object, BYTES_SUBCLASS) {
        return None;
    }
    // A negative size is huge when read as unsigned, and refused.
    let len = mem.u64(field(object, layout.object.var_size))?;
    (len <= MAX_LEN).then_some(Content {
        addr: field(object, layout.bytes.data),
        len,
    })
}
