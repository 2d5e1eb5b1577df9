//! What writers and readers of a segment's header have in common.

/// Requests for heap snapshots from outside; see `docs/format.md`, Requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// How many there were.
    pub asked: u32,
    /// How many of these are answered.
    pub answered: u32,
    /// The last answer: the snapshot's number plus 1, or [`wire::ANSWER_IMPOSSIBLE`](crate::wire::ANSWER_IMPOSSIBLE).
    pub answer: u32,
    /// How many of these the process has seen.
    pub noticed: u32,
}

impl Requests {
    /// None so far.
    pub const NONE: Requests = Requests {
        asked: 0,
        answered: 0,
        answer: 0,
        noticed: 0,
    };
}
