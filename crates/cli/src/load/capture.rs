//! A capture with everything that its files answer.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use deadweight_analysis::{Analysis, analyse_with};
use deadweight_capture::Error;
use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::Capture;
use deadweight_capture::timeline::Timeline;
use deadweight_heap::SnapshotAnswer;
use deadweight_report::diff::Recorded;
use deadweight_report::{BuildOptions, Report, build};

use crate::load::snapshots;

/// A capture that has been read.
pub struct RunData {
    /// What is said of it.
    pub report: Report,
    /// The replay.
    pub analysis: Analysis,
    /// Its heap snapshots.
    pub heaps: Vec<SnapshotAnswer>,
}

impl RunData {
    /// Reads a capture.
    ///
    /// # Errors
    /// If there is none, or a newer deadweight made it.
    pub fn open(folder: &Path) -> Result<RunData> {
        RunData::with_regions(folder, &[])
    }

    /// Reads a capture, and makes these functions (`module:function`) regions, beside those that the run named.
    ///
    /// # Errors
    /// As of [`RunData::open`].
    pub fn with_regions(folder: &Path, functions: &[String]) -> Result<RunData> {
        let (capture, mut manifest) = open(folder)?;
        if let Ok(manifest) = &mut manifest {
            manifest.regions.extend(functions.iter().cloned());
        }
        let analysis = analyse_with(&capture, functions)
            .map_err(|error| anyhow!("cannot analyse {}: {error}", folder.display()))?;
        let heaps = snapshots::analyse_all(&capture);
        let options = BuildOptions::with_disk();
        let mut report = build(manifest.as_ref().ok(), &analysis, &heaps.answers, &options);
        report.warnings.extend(heaps.warnings);
        if let Err(error) = &manifest {
            report
                .warnings
                .push(format!("what the supervisor knew about the run is missing: {error}"));
        }
        match Timeline::read(folder) {
            Ok(Some(timeline)) => report.add_timeline(&timeline),
            Ok(None) => {}
            Err(error) => report.warnings.push(format!("the timeline is missing: {error}")),
        }
        Ok(RunData {
            report,
            analysis,
            heaps: heaps.answers,
        })
    }

    /// What can be compared.
    pub fn recorded(&self) -> Recorded<'_> {
        Recorded {
            report: &self.report,
            analysis: &self.analysis,
            heaps: &self.heaps,
        }
    }
}

/// Opens a capture.
///
/// # Errors
/// If there is none, or a newer deadweight made it.
pub fn open(folder: &Path) -> Result<(Capture, Result<Manifest, Error>)> {
    if !folder.exists() {
        bail!("there is no capture {}: `deadweight run` makes one", folder.display());
    }
    // These errors name their causes themselves.
    let capture = Capture::open(folder).map_err(|error| anyhow!("{error}"))?;
    match capture.manifest() {
        // Nothing can be said about what a newer version means by its segments.
        Err(error @ Error::NewerVersion { .. }) => Err(anyhow!("{error}")),
        manifest => Ok((capture, manifest)),
    }
}
