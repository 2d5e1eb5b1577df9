//! What the kernel and its files say, one file for each source. A leaf: it imports nothing of this crate and knows
//! nothing of captures.

pub mod cgroup;
pub mod elf;
pub mod inherited_state;
pub mod kmsg;
pub mod pidfd;
pub mod procfs;
pub mod smaps;
