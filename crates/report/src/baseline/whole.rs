//! Whether a capture can be judged at all.

use crate::model::{FindingKind, Report};
use crate::words::names;

/// Why the end of the run is not known; `None` if it is.
pub(crate) fn unseen_end(name: &str, report: &Report) -> Option<String> {
    (!report.end_was_seen).then(|| {
        format!(
            "The end of the run was not seen in {name}: wait until the program has ended, or run it again if deadweight was killed."
        )
    })
}

/// Why nothing that was recorded can be judged; `None` if it can.
pub(crate) fn objection(name: &str, report: &Report) -> Option<String> {
    if report.run.watched {
        return Some(format!(
            "{name} was made by `deadweight watch`, which records no allocations, so only --max-rss can be judged: record the \
             program with `deadweight run`."
        ));
    }
    if let Some(why) = unseen_end(name, report) {
        return Some(why);
    }
    if !report.run.complete {
        return Some(format!(
            "The recording in {name} is not whole and proves nothing: `deadweight report {name}` says what is missing; run the \
             program again."
        ));
    }
    let is_empty = report.peak.heap_bytes.unwrap_or(0) == 0;
    is_empty.then(|| format!("Nothing was recorded in {name}: `deadweight report {name}` says why."))
}

/// That memory ran out before the program was done; `None` if it did not.
pub(crate) fn ran_out(report: &Report) -> Option<String> {
    let mut found = report.findings.iter();
    let found = found.find(|found| found.kind == FindingKind::OutOfMemory)?;
    Some(format!(
        "{} What it would have needed is not known.",
        names::clean(&found.title)
    ))
}
