//! What can be wrong with a capture.

use std::path::PathBuf;

/// Why a capture or a segment cannot be read at all. A tail that is cut off is no error: see
/// [`crate::read::Tail`].
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
    /// The folder holds nothing of a capture.
    #[error("{path} is no deadweight capture: {missing}")]
    NotACapture {
        /// The folder.
        path: PathBuf,
        /// What was looked for in vain.
        missing: &'static str,
    },
    /// The bytes are no segment.
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
    /// The manifest is no manifest.
    #[error("{path} is damaged: {source}")]
    BadManifest {
        /// The file.
        path: PathBuf,
        /// What serde says.
        source: serde_json::Error,
    },
}
