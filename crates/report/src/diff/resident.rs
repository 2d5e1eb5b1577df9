//! The highest resident memory of a run, and how far the looks of the supervisor may have missed it.

use super::measured::Recorded;

/// The highest resident memory that is known of a run: what was seen of the whole tree, or of a single process, whose highest
/// the kernel keeps, however short it was.
pub(super) fn highest(run: &Recorded<'_>) -> Option<u64> {
    let of_processes = run.report.processes.iter().map(|process| process.peak_rss_bytes);
    let at_the_end = run.analysis.processes.iter().map(|process| process.max_rss_bytes);
    of_processes
        .chain(at_the_end)
        .max()
        .flatten()
        .max(run.report.peak.rss_bytes)
}

/// How much higher a tree of processes may have been between two looks: as much as it rose to its highest one. Of a single
/// process the kernel knows.
pub(super) fn unseen(run: &Recorded<'_>) -> u64 {
    let points = run
        .report
        .timeline
        .as_ref()
        .map_or(&[][..], |timeline| &timeline.points);
    if run.report.processes.len() < 2 {
        return 0;
    }
    let highest = points.iter().map(|point| point.rss_bytes).max().unwrap_or(0);
    let rises = points.windows(2).filter(|pair| pair[1].rss_bytes == highest);
    let rise = rises.map(|pair| highest - pair[0].rss_bytes.min(highest)).max();
    rise.unwrap_or(0)
}
