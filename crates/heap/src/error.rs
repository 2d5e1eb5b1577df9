//! Why a snapshot cannot be analysed.

/// What went wrong. Damage in a part of a snapshot is no error: it becomes a warning in the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// None of its files can be read, or a newer deadweight wrote them.
    #[error(transparent)]
    Capture(#[from] deadweight_capture::Error),
    /// There is no object in it: the process that wrote it did not get that far.
    #[error("the heap snapshot has no objects: it was cut off before the first one")]
    Empty,
    /// There are more objects or references than 32 bits can number.
    #[error("the heap snapshot is too large: {what} are more than 4 billion")]
    TooLarge {
        /// Which ones.
        what: &'static str,
    },
    /// The analysis would take more memory than it may.
    #[error("the analysis would take about {} MiB of memory, and {} MiB may be used", needed >> 20, most >> 20)]
    NoRoom {
        /// Bytes that it would take, as far as was seen.
        needed: u64,
        /// Bytes that it may take.
        most: u64,
    },
}
