//! Why a capture cannot be analysed or folded.

use std::path::PathBuf;

/// What went wrong. Damage in a part of a capture is no error: it becomes a warning in the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The capture cannot be read at all.
    #[error(transparent)]
    Capture(#[from] deadweight_capture::Error),
    /// The folded beginning cannot be written, or a folded segment cannot be removed.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
