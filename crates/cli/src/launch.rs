//! Everything up to the start of the program: which Python, which agent, which folder, and the process itself. May import
//! `args`, `supervise`, `linux` and `ui`.

pub mod agent_library;
pub mod capture_dir;
pub mod plan;
pub mod python;
pub mod spawn;
