//! From the files of a snapshot to its graph.

mod address;
mod blocks;
mod buffers;
mod build;
mod census;
mod events;
mod fill;
mod leaves;
mod resolve;
mod weight;

pub(crate) use build::{Built, Keep, build};
pub(crate) use resolve::Places;
