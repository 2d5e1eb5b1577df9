//! Where the fields of CPython's structures are, as data: one file per minor version.
//!
//! All offsets and sizes are in bytes. They were compiled from each version's own headers and compared with running
//! interpreters, as docs/cpython.md describes.

mod heap;
mod py310;
mod py311;
mod py312;
mod py313;
mod py314;
mod py315;
mod py39;
mod structs;

pub use heap::{
    AttributesLayout, ExceptionLayout, FunctionLayout, GcLayout, GeneratorFrame, GeneratorLayout, HeapLayout,
    HeapTypeLayout, InterpreterFields, InterpreterLayout, KeysLayout, RefcountLayout, StackTop, VariablesLayout,
};

pub use structs::{
    BytesLayout, CodeLayout, Fields, FrameChain, FrameObjects, InterpreterFrames, Layout, ObjectLayout, RuntimeLayout,
    ThreadLayout, TypeLayout, UnicodeLayout,
};

use crate::version::Version;

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
