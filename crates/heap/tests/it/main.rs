//! Snapshots from files to answers.

mod blocks;
mod cycles;
mod damage;
mod held;
mod snapshot;
