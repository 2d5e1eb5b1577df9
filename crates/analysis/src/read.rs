//! From the files of a capture to one stream of events in the order of time, into the replay.

mod births;
mod recordings;
mod stream;

pub use births::births;
pub(crate) use recordings::Recordings;
pub(crate) use stream::{Reading, Stream};
