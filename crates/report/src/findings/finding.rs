//! Makes findings: their shares, severities, sites and chains.
//!
//! How grave one is follows from its share of the highest resident memory alone: high from 25 %
//! and 64 MiB, medium from 10 % and 32 MiB, low below; nothing is said below 1 %.

use std::collections::HashMap;

use deadweight_analysis::Amount;
use deadweight_heap::{ProcessId, StackBytes, Step, short_type};

use super::evidence::Evidence;
use crate::attribution::rows::{By, Row};
use crate::findings::thresholds::{self as limit, Share};
use crate::model::{Finding, FindingKind, Link, Report, Severity};

/// Sites named by a finding.
pub(super) const SITES: usize = 5;

pub(super) fn share(bytes: u64, report: &Report) -> Option<f64> {
    let whole = report.peak.rss_bytes.filter(|bytes| *bytes > 0)?;
    Some((bytes as f64 / whole as f64).min(1.0))
}

pub(super) fn finding(
    kind: FindingKind,
    severity: Severity,
    title: String,
    bytes: Option<u64>,
    report: &Report,
) -> Finding {
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

/// Findings of each kind.
pub(super) const MOST: usize = 5;

/// How grave an amount is; `None` if it is not worth a word.
pub(super) fn severity(bytes: u64, report: &Report) -> Option<Severity> {
    let whole = report
        .peak
        .rss_bytes
        .or(report.peak.heap_bytes)
        .filter(|whole| *whole > 0)?;
    let has = |share: Share| bytes >= share.of_rounded_up(whole);
    match () {
        () if has(limit::HIGH_LEAST_OF_PEAK) && bytes >= limit::HIGH_LEAST_BYTES => Some(Severity::High),
        () if has(limit::MEDIUM_LEAST_OF_PEAK) && bytes >= limit::MEDIUM_LEAST_BYTES => Some(Severity::Medium),
        () if has(limit::LOW_LEAST_OF_PEAK) => Some(Severity::Low),
        () => None,
    }
}

/// Whether it is growth and not wavering: by a third. The next snapshot is taken when the heap has grown by a quarter,
/// and only the last few are kept.
pub(super) fn has_grown(first: u64, top: u64) -> bool {
    first <= limit::GROWN_FROM_OF_TOP.of(top)
}

/// A finding of this process with its sites.
pub(super) fn found(
    (kind, severity, title, bytes): (FindingKind, Severity, String, u64),
    process: ProcessId,
    stacks: &[StackBytes],
    (evidence, report): (&Evidence<'_>, &Report),
) -> Finding {
    let mut found = finding(kind, severity, title, Some(bytes), report);
    found.pid = Some(process.pid);
    let index = evidence.rows.index_of(process);
    let mut by_stack: HashMap<usize, u64> = HashMap::new();
    for part in stacks {
        let sum = by_stack.entry(part.stack.0 as usize).or_default();
        *sum = sum.saturating_add(part.bytes);
    }
    let amount = |row: &Row<'_>| match Some(row.process) == index {
        true => Amount {
            bytes: by_stack.get(&row.stack).copied().unwrap_or(0),
            ..Amount::default()
        },
        false => Amount::default(),
    };
    found.sites = evidence.rows.sites(By::Inner, SITES, amount);
    found.user_sites = evidence.rows.sites(By::User, SITES, amount);
    found
}

/// The model's chain: types without their modules. The first step of a held object may be a root, whose name stays.
pub(super) fn chain(steps: &[Step], rooted: bool) -> Vec<Link> {
    let link = |(at, step): (usize, &Step)| Link {
        type_name: match rooted && at == 0 {
            true => step.type_name.clone(),
            false => short_type(&step.type_name).to_owned(),
        },
        edge: step.edge.clone(),
    };
    steps.iter().enumerate().map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::has_grown;

    #[test]
    fn growth_began_at_three_quarters_of_what_it_reached() {
        assert!(has_grown(75, 100));
        assert!(!has_grown(76, 100));
    }
}
