//! The part of a segment's header that writers and readers share.

/// Requests for heap snapshots from outside; see `docs/format.md`, Requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// Number of requests.
    pub asked: u32,
    /// Number of requests that the process has answered.
    pub answered: u32,
    /// The last answer: the snapshot's number plus 1, or [`wire::ANSWER_IMPOSSIBLE`](crate::wire::ANSWER_IMPOSSIBLE).
    pub answer: u32,
    /// Number of requests that the process has seen.
    pub noticed: u32,
}

impl Requests {
    /// No requests yet.
    pub const NONE: Requests = Requests {
        asked: 0,
        answered: 0,
        answer: 0,
        noticed: 0,
    };
}
