//! Reads a finished capture with everything that its files answer, within the memory that is left here. May import
//! `supervise` (the limits of control groups), `linux` and `ui`.

pub mod capture;
pub mod memory_budget;
pub mod snapshots;
