//! From the files of a snapshot to its graph.

mod address;
mod blocks;
mod buffers;
mod build;
mod census;
mod events;
mod leaves;
mod weight;

pub(crate) use build::{Built, Keep, Places, build};
