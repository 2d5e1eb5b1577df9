//! Snapshots from files to answers.

mod asked;
mod blocks;
mod cycles;
mod damage;
mod folded;
mod held;
mod snapshot;
