//! What can be wrong with a capture.

use std::path::PathBuf;

/// Why a capture or a segment cannot be read at all. A truncated tail is not an error: see [`crate::read::Tail`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder is not a capture.
    #[error("{path} is no deadweight capture: {missing}")]
    NotACapture {
        /// The folder.
        path: PathBuf,
        /// What was not found.
        missing: &'static str,
    },
    /// The bytes are not a segment.
    #[error("not a deadweight segment: the first bytes are not {:?}", "deadwght")]
    BadMagic,
    /// The segment's header is damaged.
    #[error("the header of the segment is damaged ({what})")]
    BadHeader {
        /// In which respect.
        what: &'static str,
    },
    /// A newer deadweight wrote this.
    #[error(
        "the capture has format version {found}, and this deadweight reads versions up to {newest}: \
         update deadweight to read it"
    )]
    NewerVersion {
        /// Version in the file.
        found: u32,
        /// Newest version that this crate reads.
        newest: u32,
    },
    /// The manifest is damaged.
    #[error("{path} is damaged: {source}")]
    BadManifest {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
}
