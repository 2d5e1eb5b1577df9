//! Replay of captured events: peak, live memory, churn.
#![forbid(unsafe_code)]

mod answer;
mod stacks;

pub use answer::{Amount, Analysis, Composition, Peak, ProcessAnswer, StackAmounts};
pub use stacks::{FrameName, StackTree};
