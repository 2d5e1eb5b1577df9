//! Times of the run: seconds since its start, out of `CLOCK_MONOTONIC`.

use deadweight_analysis::Analysis;
use deadweight_analysis::manifest::Manifest;

/// Seconds from one `CLOCK_MONOTONIC` time to a later one.
pub(crate) fn seconds_between(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}

/// Start of the run on `CLOCK_MONOTONIC`: the supervisor's, or else the first event's.
pub(crate) fn start_nanos(manifest: Option<&Manifest>, analysis: &Analysis) -> Option<u64> {
    let first_event = || analysis.processes.iter().map(|process| process.span_nanos.0).min();
    manifest
        .map(|manifest| manifest.started_monotonic_nanos)
        .filter(|nanos| *nanos > 0)
        .or_else(first_event)
}

/// Start of the run and the last thing that is known of it.
pub(crate) fn span_nanos(manifest: Option<&Manifest>, analysis: &Analysis) -> (u64, u64) {
    let last_event = analysis.processes.iter().map(|process| process.span_nanos.1).max();
    let last_look = analysis.moments.last().map(|moment| moment.nanos);
    let start = start_nanos(manifest, analysis).unwrap_or(0);
    (start, last_event.max(last_look).unwrap_or(start))
}
