//! What is wrong or worth knowing. Here is what the recorded amounts alone can tell.
//!
//! A healthy run has no finding above [`Severity::Low`], so each kind is held to what it can prove:
//!
//! - `out_of_memory`, high: the supervisor saw the kernel kill a process because memory ran out, or the agent a
//!   MemoryError that nothing caught.
//!
//! What was freed after the peak is in [`spike`], what grows over time in [`growth`], what heap snapshots tell in [`heap`],
//! what the make-up of resident memory tells in [`resident`]. At the end `data/packages.toml` is asked whether the cause
//! is known.

mod growth;
pub(crate) mod heap;
pub(crate) mod out_of_memory;
mod resident;
mod shape;
mod spike;

pub(crate) use growth::samples_of_work;

use crate::disk::Lookup;
use crate::knowledge::packages;
use crate::model::{Finding, FindingKind, Report, Severity};

/// Sites named by a finding.
const SITES: usize = 5;

fn share(bytes: u64, report: &Report) -> Option<f64> {
    let whole = report.peak.rss_bytes.filter(|bytes| *bytes > 0)?;
    Some((bytes as f64 / whole as f64).min(1.0))
}

fn finding(kind: FindingKind, severity: Severity, title: String, bytes: Option<u64>, report: &Report) -> Finding {
    Finding {
        kind,
        severity,
        title,
        bytes,
        share_of_peak: bytes.and_then(|bytes| share(bytes, report)),
        count: None,
        type_name: None,
        pid: None,
        sites: Vec::new(),
        user_sites: Vec::new(),
        chain: Vec::new(),
        cycle: None,
        freeable_by_gc: None,
        lingered_seconds: None,
        evidence: Vec::new(),
        suggestion: None,
    }
}

/// All findings of a report that has everything else, the gravest first, then by bytes.
pub(crate) fn find(evidence: &heap::Evidence<'_>, lookup: &Lookup, started: Option<u32>, report: &mut Report) {
    let rows = evidence.rows;
    report.findings = out_of_memory::find(rows, report).into_iter().collect();
    let mut more: Vec<Finding> = resident::children::find(evidence, started, report)
        .into_iter()
        .collect();
    more.extend(heap::find(evidence, report));
    more.extend(resident::find(evidence, report));
    more.extend(growth::lost(evidence, &more, report));
    more.extend(growth::steady(evidence, &more, report));
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
