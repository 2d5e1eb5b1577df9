//! `run.json`: what the supervisor knows about the run, in addition to the segments that the processes write.

use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The manifest's file name in a capture.
pub const FILE: &str = "run.json";

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    /// With status 0.
    Ok,
    /// With another status.
    Failed,
    /// By a signal.
    Signalled,
    /// The kernel killed it because memory ran out.
    OomKilled,
    /// It was still running at the end of the run, or its end was not seen.
    #[default]
    Unknown,
}

/// How a process ended, in detail.
#[derive(Clone, PartialEq, Eq, Debug, Default, JsonSchema, Serialize, Deserialize)]
pub struct Exit {
    /// In which way.
    pub kind: ExitKind,
    /// Exit status, if it exited.
    pub status: Option<i32>,
    /// Signal number, if a signal ended it.
    pub signal: Option<i32>,
    /// The limit that was hit, in bytes.
    pub limit_bytes: Option<u64>,
    /// `cgroup`, `rlimit` or `machine`.
    pub limit_kind: Option<String>,
    /// How an `oom_killed` was established: `kernel message` or `cgroup counter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// A process as the supervisor saw it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SeenProcess {
    /// Process id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Command line.
    pub argv: Vec<String>,
    /// Highest resident memory seen, in bytes.
    pub peak_rss_bytes: u64,
    /// When it was first seen, seconds since the start of the run.
    #[serde(default)]
    pub first_seconds: Option<f64>,
    /// When it had ended; `None` if it was still running at the end of the run.
    #[serde(default)]
    pub ended_seconds: Option<f64>,
    /// Its own limit of address space or data (`ulimit -v`, `ulimit -d`), bytes, if it had one.
    #[serde(default)]
    pub rlimit_bytes: Option<u64>,
    /// Its end.
    pub exit: Exit,
}

/// The supervisor's account of a run. Written when the run begins and again when it ends.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the capture format, [`crate::wire::VERSION`].
    pub format: u32,
    /// Version of deadweight that made the capture.
    pub deadweight: String,
    /// The program and its arguments as the user gave them (`["bench.py", "--fast"]`).
    pub argv: Vec<String>,
    /// Folder the program was started in.
    pub cwd: String,
    /// Start, seconds since 1970.
    pub started_unix: u64,
    /// Start on `CLOCK_MONOTONIC`, nanoseconds: what the events' clocks are compared with.
    pub started_monotonic_nanos: u64,
    /// `true` for `--exact`.
    pub exact: bool,
    /// Sampling interval in bytes; 0 if exact.
    pub sampling_interval_bytes: u64,
    /// Limit for the size of the capture, bytes.
    pub max_size_bytes: u64,
    /// Made by `deadweight watch`: there are no allocations in it, only a timeline.
    #[serde(default)]
    pub watched: bool,
    /// Functions that are to be treated as regions: `module:function` each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Process id of the started program.
    pub pid: Option<u32>,
    /// Duration in seconds, once the run has ended.
    pub seconds: Option<f64>,
    /// How the started program ended, once it has.
    pub exit: Option<Exit>,
    /// Highest resident memory of the process tree, bytes; pages that processes share count once where that is known.
    pub peak_rss_bytes: Option<u64>,
    /// When that was, seconds since the start.
    pub peak_rss_seconds: Option<f64>,
    /// All processes that the supervisor saw.
    pub processes: Vec<SeenProcess>,
    /// What could not be measured, one sentence each.
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Reads a capture's manifest.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or belongs to a newer format.
    pub fn read(folder: &Path) -> Result<Manifest, Error> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        // The version first: a newer manifest may differ in everything else.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let bad = |source| Error::BadManifest {
            path: path.clone(),
            source,
        };
        let found = serde_json::from_slice::<Version>(&bytes).map_err(bad)?.format;
        if found > crate::wire::VERSION {
            return Err(Error::NewerVersion {
                found,
                newest: crate::wire::VERSION,
            });
        }
        serde_json::from_slice(&bytes).map_err(bad)
    }

    /// Replaces the manifest atomically: a reader finds either the whole old one or the whole new one.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let temporary = folder.join("run.json.part");
        std::fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&temporary, folder.join(FILE))
    }
}
