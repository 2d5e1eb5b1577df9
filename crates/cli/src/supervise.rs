//! What happens beside the running program: its signals, its processes and their memory, how they end, and the summary
//! that goes into the manifest. May import `linux` and `ui`.

pub mod exit_cause;
pub mod fold_thread;
pub mod memory_limits;
pub mod process_tree;
pub mod rss_sample;
pub mod rss_sampling;
pub mod run_summary;
pub mod sampler_thread;
pub mod signals;
pub mod status_line;
pub mod timeline;
pub mod tracked_process;
