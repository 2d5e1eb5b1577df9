//! Heap snapshots on demand: finds the recorded process, puts the request into its segment, and waits for the files.
//! May import `launch` (the name of the agent's library), `linux` and `ui`.

pub mod find_process;
pub mod request;
pub mod wait;
