//! A reference and what it is called.

use crate::heap::Context;
use crate::memory::Memory;

/// A name in the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRef {
    /// Address of a `str` object.
    Str(u64),
    /// Address of a C string.
    CString(u64),
}

/// What a reference is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// An attribute or a slot of the object itself.
    Attribute(NameRef),
    /// The value of a dict under a key that is a `str`, at this address.
    Key(u64),
    /// The value of a dict or a cache under a key that is no `str`, at this address.
    Item(u64),
    /// An item of a list, a tuple or a deque (modulo 2^32).
    Index(u32),
    /// A key of a dict, an element of a set.
    Member,
    /// A variable of a frame; its name is the `str` at this address. Of variables that closures share, the cell.
    Local(u64),
    /// An entry of a frame's evaluation stack: a value in the midst of a computation.
    Stack(u32),
    /// A field of a type written in C.
    MemberName(&'static str),
    /// The class of an instance, if it was made at run time.
    Type,
    /// A weak reference: it does not keep its target alive.
    Weak,
}

/// A reference from the object that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Address of the object referred to.
    pub to: u64,
    /// What the reference is called.
    pub label: Label,
}

/// References at fixed offsets.
#[inline]
pub(crate) fn fields<M: Memory>(
    ctx: Context<'_, M>,
    object: u64,
    fields: &[(&'static str, u16)],
    each: &mut impl FnMut(Edge),
) {
    for (name, offset) in fields {
        if let Some(to) = ctx.address(object, u64::from(*offset)) {
            each(Edge {
                to,
                label: Label::MemberName(name),
            });
        }
    }
}
