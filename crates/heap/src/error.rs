//! Why a snapshot cannot be analysed.

/// What went wrong. Damage in part of a snapshot is not an error but a warning in the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// None of its files can be read, or a newer deadweight wrote them.
    #[error(transparent)]
    Capture(#[from] deadweight_capture::Error),
    /// It holds no object: the process that wrote it ended before the first one.
    #[error("the heap snapshot has no objects: it was cut off before the first one")]
    Empty,
    /// It has more objects or references than 32-bit numbers can count.
    #[error("the heap snapshot is too large: {what} are more than 4 billion")]
    TooLarge {
        /// Which ones.
        what: &'static str,
    },
    /// The analysis would need more memory than it may use.
    #[error("the analysis would take about {} MiB of memory, and {} MiB may be used", needed >> 20, most >> 20)]
    NoRoom {
        /// Bytes that it would need, judged by what had been read.
        needed: u64,
        /// Bytes that it may use.
        most: u64,
    },
}
