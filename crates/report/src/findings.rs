//! What is wrong or worth knowing. Here is what the recorded amounts alone can tell.
//!
//! A healthy run has no finding above [`Severity::Low`](crate::Severity::Low), so each kind is held to what it can prove:
//!
//! - `out_of_memory`, high: the supervisor saw the kernel kill a process because memory ran out, or the agent a
//!   MemoryError that nothing caught.
//!
//! What was freed after the peak is in [`spike`], what grows over time in [`growth`], what heap snapshots tell in [`heap`],
//! what the make-up of resident memory tells in [`resident`]. At the end `data/packages.toml` is asked whether the cause
//! is known.

pub(crate) mod evidence;
mod finding;
mod growth;
pub(crate) mod heap;
pub(crate) mod out_of_memory;
mod resident;
mod shape;
mod spike;
mod thresholds;

use self::evidence::Evidence;
use crate::knowledge::installed::Lookup;
use crate::knowledge::packages;
use crate::model::{Finding, Report};

/// All findings of a report that has everything else, the gravest first, then by bytes.
pub(crate) fn find(evidence: &Evidence<'_>, lookup: &Lookup, started: Option<u32>, report: &mut Report) {
    let rows = evidence.rows;
    report.findings = out_of_memory::find(rows, report).into_iter().collect();
    let mut more: Vec<Finding> = resident::children::find(evidence, started, report)
        .into_iter()
        .collect();
    more.extend(heap::find(evidence, report));
    more.extend(resident::find(evidence, report));
    let grown = growth::grown(rows);
    more.extend(growth::lost(&grown, evidence, &more, report));
    more.extend(growth::steady(&grown, evidence, &more, report));
    more.extend(spike::find(rows, evidence.peak_nanos, lookup, report));
    for found in &mut more {
        explain(found, lookup);
    }
    report.findings.extend(more);
    resident::drop_explained(&mut report.findings);
    spike::drop_explained(&mut report.findings);
    report
        .findings
        .sort_by_key(|found| (found.severity, std::cmp::Reverse(found.bytes)));
}

/// Adds what is known of the cause, and the remedy for it.
fn explain(found: &mut Finding, lookup: &Lookup) {
    let at = found.user_sites.first().map(|site| &site.at);
    let source = at.and_then(|at| lookup.source(&at.file, at.line?));
    if let Some(known) = packages::find(found, source.as_deref(), lookup) {
        found.evidence.push(format!("{} See {}", known.says, known.url));
        found.suggestion = known.fix.or(found.suggestion.take());
    }
}
