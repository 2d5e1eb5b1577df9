//! One step on either side of what makes a finding, or a graver one.

use deadweight_report::{FindingKind, Severity};

use crate::fixture::{self, COPY, DECODE, MAIN, MIB, freed, kept, manifest, process};

type Kinds = Vec<(FindingKind, Severity)>;

fn kinds(report: &deadweight_report::Report) -> Kinds {
    let kind = |found: &deadweight_report::Finding| (found.kind, found.severity);
    report.findings.iter().map(kind).collect()
}

/// What is found if `main` and what it calls free so much after a peak of `rss`.
fn of_freed(bytes: u64, rss: u64) -> Kinds {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], freed(bytes))]);
    kinds(&fixture::report((manifest(rss), fixture::analysis(vec![one]))))
}

#[test]
fn a_spike_is_thirty_percent_of_the_peak() {
    assert_eq!(of_freed(300 * MIB - 1, 1000 * MIB), []);
    assert_eq!(
        of_freed(300 * MIB, 1000 * MIB),
        [(FindingKind::PeakSpike, Severity::Low)]
    );
}

#[test]
fn a_spike_is_sixty_four_mebibytes() {
    assert_eq!(of_freed(64 * MIB - 1, 100 * MIB), []);
    assert_eq!(of_freed(64 * MIB, 100 * MIB), [(FindingKind::PeakSpike, Severity::Low)]);
}

/// What is found if the process that was started and its child have so much.
fn of_child(started: u64, child: u64) -> Kinds {
    let processes = vec![
        process(4123, 1, &["python"], &[(&[MAIN], kept(started))]),
        process(4124, 4123, &["python"], &[(&[MAIN, DECODE], kept(child))]),
    ];
    kinds(&fixture::report((manifest(1000 * MIB), fixture::analysis(processes))))
}

#[test]
fn children_make_the_peak_if_they_have_more_than_half_of_it_and_sixty_four_mebibytes() {
    let found = [(FindingKind::ChildProcess, Severity::Low)];
    assert_eq!(of_child(100 * MIB, 100 * MIB), []);
    assert_eq!(of_child(100 * MIB, 100 * MIB + 1), found);
    assert_eq!(of_child(MIB, 64 * MIB - 1), []);
    assert_eq!(of_child(MIB, 64 * MIB), found);
}
