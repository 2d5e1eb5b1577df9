//! Readers for a snapshot of the heap: which objects there are, their sizes, and their references with names.
//!
//! # How the parts fit together
//!
//! 1. [`Interpreters::locate`] finds the interpreters, [`lists::tracked`] gives the objects that the collector tracks.
//! 2. [`Known::resolve`] takes the addresses of exported types; [`TypeFacts::read`] reads once per type what its
//!    objects look like. The caller keeps these facts in a table by the type's address.
//! 3. [`edges::named`] gives the references of one object with their names, [`size::shallow`] its size,
//!    [`refcount::read`] its reference count.
//! 4. [`threads::each`], [`threads::frames`] and [`variables::frame`] give what running code refers to.
//!
//! Nothing else may run meanwhile: the readers are for a snapshot child made by `fork`, or for a stopped process.
//!
//! # Names and exactness
//!
//! The references are those that the objects hold, with names where possible. `tp_traverse` visits the same ones except
//! for keys of dicts, the references of code objects and of links of `lru_cache` (whose types the collector does not
//! know), weak references, and the strings of generators and functions.

pub mod edges;
pub mod interpreters;
pub mod known;
pub mod lists;
pub mod names;
pub mod refcount;
pub mod size;
pub mod threads;
pub mod types;
pub mod variables;

mod array;
mod body;
mod code;
mod dict;
mod edge;
mod instance;
mod sequences;
mod type_fields;

pub use code::{closure, closure_name};
pub use edge::{Edge, Label, NameRef};
pub use interpreters::Interpreters;
pub use known::{Kind, Known};
pub use types::TypeFacts;

use crate::layout::Layout;
use crate::memory::{Memory, is_plausible};

/// What every reader needs. Cheap to copy.
#[derive(Debug)]
pub struct Context<'a, M> {
    /// Where the bytes come from.
    pub mem: &'a M,
    /// The layout of the interpreter.
    pub layout: &'a Layout,
    /// The addresses of exported types.
    pub known: &'a Known,
}

impl<M> Clone for Context<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Context<'_, M> {}

impl<M: Memory> Context<'_, M> {
    /// The type of the object at `object`.
    #[inline(always)]
    #[must_use]
    pub fn type_of(&self, object: u64) -> Option<u64> {
        if !is_plausible(object) {
            return None;
        }
        self.address(object, u64::from(self.layout.object.ob_type))
    }

    /// The address stored at `base + offset`, unless it is null or implausible.
    #[inline(always)]
    pub(crate) fn address(&self, base: u64, offset: u64) -> Option<u64> {
        self.mem
            .u64(base.wrapping_add(offset))
            .filter(|&addr| is_plausible(addr))
    }

    /// `ob_size` of the object at `object`, as it is stored.
    #[inline(always)]
    pub(crate) fn var_size(&self, object: u64) -> Option<i64> {
        self.mem
            .i64(object.wrapping_add(u64::from(self.layout.object.var_size)))
    }
}

#[cfg(test)]
mod tests;
