//! Whose memory it is: recorded stacks as rows, each with the user's own line and the innermost one.

pub(crate) mod frames;
pub(crate) mod ownership;
pub(crate) mod rows;
pub(crate) mod work;
