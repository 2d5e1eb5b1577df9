//! The events of a snapshot, file after file, and what they are about.

use std::path::Path;

use deadweight_capture::read::{HeapFiles, SegmentHeader, Tail, segments};
use deadweight_capture::{Allocator, Error as CaptureError, Event, StackId};

use crate::Error;

/// An object as it was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ObjectRecord {
    pub addr: u64,
    pub size: u64,
    pub type_number: u32,
    pub references: u32,
    pub edges: u32,
    pub prefix: u16,
    pub flags: u8,
}

/// A live block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRecord {
    pub addr: u64,
    pub size: u64,
    pub stack: StackId,
    pub allocator: Allocator,
    /// Whether its allocation was recorded. Otherwise it counts as 0 bytes, and only leads to others.
    pub recorded: bool,
}

/// Where an edge or a word begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Source {
    /// At something that was lost.
    #[default]
    Nothing,
    /// At the last object.
    Object,
    /// At the last root.
    Root,
    /// At the last block.
    Block,
}

/// Where edges and words begin at this point of the events: at the last object or root; words also at the last block,
/// unless that block is the last object's own memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    pub edges: Source,
    pub words: Source,
    own_block: Option<u64>,
}

impl Sources {
    #[inline]
    pub fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::HeapObject(object) => {
                let own_block = object.addr.0.checked_sub(u64::from(object.prefix));
                (self.edges, self.words, self.own_block) = (Source::Object, Source::Object, own_block);
            }
            Event::HeapRoot { .. } => (self.edges, self.words, self.own_block) = (Source::Root, Source::Root, None),
            Event::Alloc { addr, .. } if self.own_block != Some(addr.0) => self.words = Source::Block,
            Event::HeapChunk { .. } => self.words = Source::Block,
            _ => {}
        }
    }
}

/// Gives all events of a snapshot to `take`, file after file, each with its segment's header.
///
/// # Errors
/// If no file can be read, or a newer deadweight wrote them.
pub(crate) fn each_event(
    files: &HeapFiles,
    warnings: &mut Vec<String>,
    mut take: impl FnMut(&SegmentHeader, &Event<'_>),
) -> Result<(), Error> {
    let (mut read, mut failure) = (0, None);
    for file in &files.segments {
        match file_events(&file.path, warnings, &mut take) {
            Ok(()) => read += 1,
            Err(newer @ CaptureError::NewerVersion { .. }) => return Err(newer.into()),
            Err(error) => {
                warnings.push(format!("a part of the heap snapshot is missing ({error})"));
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) if read == 0 => Err(error.into()),
        _ => Ok(()),
    }
}

fn file_events(
    path: &Path,
    warnings: &mut Vec<String>,
    take: &mut impl FnMut(&SegmentHeader, &Event<'_>),
) -> Result<(), CaptureError> {
    let bytes = std::fs::read(path).map_err(|source| CaptureError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    for segment in segments(&bytes) {
        let segment = segment?;
        let header = *segment.header();
        let mut events = segment.events();
        for event in events.by_ref() {
            take(&header, &event);
        }
        if let Tail::CutOff { at, why } = events.tail() {
            warnings.push(format!("the heap snapshot is damaged at byte {at} of a file ({why})"));
        }
    }
    Ok(())
}
