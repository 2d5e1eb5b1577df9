//! How much memory an analysis may take here.
//!
//! The program may have been killed because a container's memory ran out, and we are in the same container: what takes
//! more than is left would be killed as well, and nobody would be told anything.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::linux::cgroup;
use crate::supervise::memory_limits::Limits;

/// 1/8 of what is available stays free, and 8 MiB.
const RESERVE_PART: u64 = 8;
const RESERVE: u64 = 8 << 20;

/// Bytes that we may take, by the limits of our control groups, the machine's memory and our address space.
pub fn available() -> u64 {
    let mut limits = Limits::now();
    let group = limits.follow(std::process::id());
    let mapped = cgroup::named(Path::new("/proc/self/status"), "VmSize:").map_or(0, |kib| kib << 10);
    let space = getrlimit(Resource::As).current.map(|most| most.saturating_sub(mapped));
    without_reserve(limits.available(&group).min(space.unwrap_or(u64::MAX)))
}

/// What an analysis may take of so many bytes.
fn without_reserve(available: u64) -> u64 {
    (available - available / RESERVE_PART).saturating_sub(RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_and_8_mib_stay_free() {
        assert_eq!(without_reserve(800 << 20), (700 - 8) << 20);
        assert_eq!(without_reserve(9 << 20), 0);
        assert_eq!(without_reserve(0), 0);
    }

    #[test]
    fn no_more_is_available_than_the_machine_has() {
        let machine = cgroup::named(Path::new("/proc/meminfo"), "MemTotal:").unwrap() << 10;
        assert!(available() < machine, "{}", available());
    }
}
