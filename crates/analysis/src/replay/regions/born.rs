//! A block or mapping that was just allocated, as tracks of regions see it.

use deadweight_capture::{StackId, StringId};

use crate::replay::weight::Weight;

/// A block or mapping that was just allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born {
    /// Its address.
    pub addr: u64,
    /// Whether it is a mapping.
    pub mapping: bool,
    pub stack: StackId,
    pub weight: Weight,
    /// What is live in the process, this block included.
    pub live: Weight,
    pub nanos: u64,
}

/// Names of functions' regions come from the manifest, not from the capture's strings.
pub(super) const NO_NAME: StringId = StringId::EMPTY;
