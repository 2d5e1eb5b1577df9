//! What the guides tell a reader to type is typed here, word for word.

mod blocks;
mod ci;
#[path = "../known_answers/group.rs"]
#[allow(dead_code)] // only whether there can be a group
mod group;
mod places;
#[path = "../known_answers/skips.rs"]
#[allow(dead_code)]
mod skips;
mod tutorial;
