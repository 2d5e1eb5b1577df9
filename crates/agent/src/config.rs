//! The launcher's options, from environment variables that child processes inherit.

use core::ffi::CStr;

use crate::os;
use crate::path::Path;

/// The launcher's options.
#[derive(Clone, Copy)]
pub struct Config {
    /// The capture's folder.
    pub folder: Path,
    /// Whether every block is recorded.
    pub exact: bool,
    /// Sampling interval in bytes.
    pub interval: u64,
    /// Size limit of the capture while there is no supervisor to fold it, bytes.
    pub max_size: u64,
    /// Process id of the supervisor, or 0.
    pub supervisor: u32,
    /// Whether heap snapshots are taken.
    pub snapshots: bool,
    /// The memory limit that applies to the run, bytes; 0 if there is none.
    limit_bytes: u64,
    /// The file in which the kernel reports its use (`memory.stat` of the control group).
    limit_statistics: Path,
    /// Seed of the random numbers, for repeatable tests; 0 for none.
    pub seed: u64,
}

impl Config {
    /// No recording.
    pub const NONE: Config = Config {
        folder: Path::EMPTY,
        exact: false,
        interval: 65536,
        max_size: 256 << 20,
        supervisor: 0,
        snapshots: false,
        limit_bytes: 0,
        limit_statistics: Path::EMPTY,
        seed: 0,
    };

    /// Reads the environment; `None` if no recording is wanted. Only called by the constructor: later the program may change its
    /// environment at any moment.
    pub fn from_environment() -> Option<Config> {
        let mut folder = Path::EMPTY;
        folder.push(variable(c"DEADWEIGHT_CAPTURE")?.to_bytes());
        let mut limit_statistics = Path::EMPTY;
        limit_statistics.push(variable(c"DEADWEIGHT_LIMIT_STATISTICS").map_or(b"", CStr::to_bytes));
        let number = |name, default| variable(name).and_then(parse).unwrap_or(default);
        folder.is_whole().then(|| Config {
            folder,
            exact: variable(c"DEADWEIGHT_MODE").is_some_and(|mode| mode == c"exact"),
            interval: number(c"DEADWEIGHT_INTERVAL", Config::NONE.interval),
            max_size: number(c"DEADWEIGHT_MAX_SIZE", Config::NONE.max_size),
            supervisor: number(c"DEADWEIGHT_PARENT", 0) as u32,
            snapshots: variable(c"DEADWEIGHT_SNAPSHOTS").is_some_and(|wish| wish == c"1"),
            limit_bytes: if limit_statistics.is_whole() {
                number(c"DEADWEIGHT_LIMIT", 0)
            } else {
                0
            },
            limit_statistics,
            seed: number(c"DEADWEIGHT_SEED", 0),
        })
    }
}

impl Config {
    /// The memory limit that applies to the run.
    pub fn limit(&self) -> Limit<'_> {
        Limit {
            bytes: self.limit_bytes,
            statistics: &self.limit_statistics,
        }
    }
}

fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name is NUL-terminated; in the constructor no other thread changes the environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: a value of the environment is NUL-terminated and stays while the constructor runs.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
}

fn parse(text: &CStr) -> Option<u64> {
    core::str::from_utf8(text.to_bytes()).ok()?.parse().ok()
}

/// The memory limit that applies to the run, and the file in which the kernel reports its use.
#[derive(Clone, Copy)]
pub struct Limit<'a> {
    /// Bytes; 0 if there is none.
    pub bytes: u64,
    /// The `memory.stat` file.
    pub statistics: &'a Path,
}

impl Limit<'_> {
    /// How much of the limit is left for processes, bytes. The page cache does not count as used: the kernel reclaims it.
    pub fn left(&self) -> Option<u64> {
        (self.bytes > 0).then(|| self.bytes.saturating_sub(os::charged_bytes(self.statistics)))
    }
}
