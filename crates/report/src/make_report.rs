//! Makes the report of a run: what was measured, and then what is wrong with it.

use std::path::PathBuf;

use deadweight_analysis::Analysis;
use deadweight_analysis::manifest::Manifest;
use deadweight_heap::SnapshotAnswer;

use crate::attribution::rows::Rows;
use crate::build::clock::span_nanos;
use crate::build::processes::started_pid;
use crate::build::report::measured;
use crate::findings;
use crate::findings::evidence::Evidence;
use crate::knowledge::installed::{Disk, Lookup};
use crate::model::Report;

/// What a report is to contain, and whose code is the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildOptions {
    /// Folders whose files are the user's own, wherever they are: a package installed for work on it, for example.
    pub user_roots: Vec<PathBuf>,
    /// How many sites each list has at most.
    pub max_sites: usize,
    /// Whether source lines and installed packages may be looked up.
    pub disk: Disk,
}

impl BuildOptions {
    /// The default, with source lines and installed packages looked up on this machine.
    pub fn with_disk() -> BuildOptions {
        BuildOptions {
            disk: Disk::Read,
            ..BuildOptions::default()
        }
    }
}

impl Default for BuildOptions {
    fn default() -> BuildOptions {
        BuildOptions {
            user_roots: Vec::new(),
            max_sites: 50,
            disk: Disk::Untouched,
        }
    }
}

/// Where the report may look for sources and packages.
fn lookup(manifest: Option<&Manifest>, rows: &Rows<'_>, options: &BuildOptions) -> Lookup {
    let cwd = manifest.map_or("", |manifest| manifest.cwd.as_str());
    let started_unix = manifest.map_or(0, |manifest| manifest.started_unix);
    let files = rows.list.iter().flat_map(|row| [row.inner.file, row.user.file]);
    let seen = manifest.into_iter().flat_map(|manifest| &manifest.processes);
    let programs = seen.filter_map(|process| process.argv.first()).map(String::as_str);
    Lookup::new(options.disk, (cwd, started_unix), files, programs)
}

/// Makes the report of a run. Without a manifest (the supervisor was killed before it wrote one) what only it knew
/// is missing; without answers of heap snapshots, what keeps memory alive.
pub fn build(
    manifest: Option<&Manifest>,
    analysis: &Analysis,
    heaps: &[SnapshotAnswer],
    options: &BuildOptions,
) -> Report {
    let rows = Rows::new(analysis, &options.user_roots);
    let started = started_pid(manifest, analysis);
    let mut report = measured(manifest, analysis, heaps, &rows, options.max_sites);
    let evidence = Evidence {
        snapshots: heaps,
        rows: &rows,
        peak_nanos: analysis.peak.nanos,
        moments: &analysis.moments,
        span_nanos: span_nanos(manifest, analysis),
    };
    let lookup = lookup(manifest, &rows, options);
    findings::find(&evidence, &lookup, started, &mut report);
    report
}
