//! What is said, and above all what is not.

use deadweight_analysis::manifest::ExitKind;
use deadweight_report::{BuildOptions, FindingKind, Report, Severity, build, snapshot_of_peak};

use crate::fixture::{self, COPY, LOAD, MAIN, MIB, exit, freed, kept, manifest, process};

fn kinds(report: &Report) -> Vec<(FindingKind, Severity)> {
    report
        .findings
        .iter()
        .map(|found| (found.kind, found.severity))
        .collect()
}

#[test]
fn a_healthy_run_has_no_finding_above_low() {
    let (manifest, analysis) = fixture::bench();
    let report = build(Some(&manifest), &analysis, &[], &BuildOptions::default());
    assert_eq!(kinds(&report), [(FindingKind::PeakSpike, Severity::Low)]);
    assert_eq!(report.findings[0].bytes, Some(1420 * MIB));
}

#[test]
fn a_small_program_has_no_finding_at_all() {
    let one = process(4123, 1, &["python"], &[(&[MAIN], freed(60 * MIB))]);
    let report = fixture::report((manifest(70 * MIB), fixture::analysis(vec![one])));
    assert_eq!(kinds(&report), []);
}

#[test]
fn memory_that_stays_is_no_spike() {
    let one = process(
        4123,
        1,
        &["python"],
        &[(&[MAIN, COPY], kept(600 * MIB)), (&[LOAD, COPY], freed(100 * MIB))],
    );
    let report = fixture::report((manifest(800 * MIB), fixture::analysis(vec![one])));
    assert_eq!(kinds(&report), []);
}

#[test]
fn a_spike_names_the_users_line_and_the_librarys() {
    let one = process(
        4123,
        1,
        &["python"],
        &[(&[MAIN, COPY], freed(600 * MIB)), (&[LOAD, COPY], kept(100 * MIB))],
    );
    let report = fixture::report((manifest(800 * MIB), fixture::analysis(vec![one])));
    assert_eq!(kinds(&report), [(FindingKind::PeakSpike, Severity::Low)]);
    let spike = &report.findings[0];
    assert_eq!(spike.share_of_peak, Some(0.75));
    assert_eq!(spike.user_sites[0].at.function, "main");
    assert_eq!(spike.sites.len(), 1);
    assert_eq!(
        (spike.sites[0].at.file.as_str(), spike.sites[0].bytes),
        (COPY.0, 600 * MIB)
    );
}

#[test]
fn a_healthy_pool_of_workers_is_only_good_to_know() {
    let parent = process(4123, 1, &["python"], &[(&[MAIN], kept(16 * MIB))]);
    let workers = (1..4).map(|n| process(4123 + n, 4123, &["python"], &[(&[LOAD], kept(300 * MIB))]));
    let analysis = fixture::analysis([parent].into_iter().chain(workers).collect());
    let report = fixture::report((manifest(1000 * MIB), analysis));
    assert_eq!(kinds(&report), [(FindingKind::ChildProcess, Severity::Low)]);
    let found = &report.findings[0];
    assert_eq!(
        (found.bytes, found.count, found.pid),
        (Some(900 * MIB), Some(3), Some(4124))
    );
    assert_eq!(found.share_of_peak, Some(0.9));
    assert_eq!(found.sites[0].bytes, 900 * MIB);
}

#[test]
fn small_children_and_small_shares_are_no_finding() {
    for (of_parent, of_child) in [(MIB, 60 * MIB), (500 * MIB, 400 * MIB)] {
        let parent = process(4123, 1, &["python"], &[(&[MAIN], kept(of_parent))]);
        let child = process(4124, 4123, &["python"], &[(&[LOAD], kept(of_child))]);
        let report = fixture::report((manifest(1000 * MIB), fixture::analysis(vec![parent, child])));
        assert_eq!(kinds(&report), []);
    }
}

#[test]
fn a_worker_that_was_killed_for_memory_is_high() {
    let report = fixture::report(fixture::pool());
    assert_eq!(
        kinds(&report),
        [
            (FindingKind::OutOfMemory, Severity::High),
            (FindingKind::ChildProcess, Severity::Medium),
            (FindingKind::PeakSpike, Severity::Low),
        ]
    );
    assert_eq!(report.findings[0].pid, Some(4125));
}

#[test]
fn a_run_that_was_killed_for_memory_says_at_which_limit() {
    let one = process(4123, 1, &["python"], &[(&[MAIN], kept(1900 * MIB))]);
    let mut manifest = manifest(2040 * MIB);
    manifest.exit = Some(fixture::out_of_memory());
    let report = fixture::report((manifest, fixture::analysis(vec![one])));
    assert_eq!(kinds(&report), [(FindingKind::OutOfMemory, Severity::High)]);
    assert_eq!(
        report.findings[0].title,
        "bench.py was killed because memory ran out: it reached the limit of 2.00 GiB of its container or job (cgroup)."
    );
    assert_eq!(report.findings[0].share_of_peak, Some(1.0));
}

#[test]
fn sigkill_alone_is_not_out_of_memory() {
    let one = process(4123, 1, &["python"], &[(&[MAIN], kept(1900 * MIB))]);
    let mut manifest = manifest(2040 * MIB);
    manifest.exit = Some(exit(ExitKind::Signalled, None, Some(9)));
    assert_eq!(kinds(&fixture::report((manifest, fixture::analysis(vec![one])))), []);
}

#[test]
fn every_gap_in_the_recording_is_a_warning() {
    let mut one = process(4123, 1, &["python", "bench.py"], &[(&[MAIN], kept(MIB))]);
    one.lost_events = 1;
    one.notes = vec!["A note.".to_owned()];
    let mut analysis = fixture::analysis(vec![one]);
    analysis.warnings = vec!["From the replay.".to_owned(), "From the replay.".to_owned()];
    let mut manifest = manifest(2 * MIB);
    manifest.warnings = vec!["From the supervisor.".to_owned()];
    manifest.exit = None;
    let report = fixture::report((manifest, analysis));
    assert!(!report.run.complete);
    let said: Vec<&str> = report.warnings.iter().map(String::as_str).collect();
    assert_eq!(
        said,
        [
            "The end of the run was not seen: it still runs, or deadweight was killed.",
            "From the supervisor.",
            "From the replay.",
            "1 event of pid 4123 python bench.py could not be written: its figures are incomplete.",
            "pid 4123 python bench.py: A note.",
        ]
    );
}

#[test]
fn a_memory_error_that_nothing_caught_is_a_lack_of_memory() {
    let mut input = fixture::bench();
    let manifest = &mut input.0;
    manifest.exit = Some(fixture::exit(ExitKind::Failed, Some(1), None));
    let failed = fixture::exit(ExitKind::Failed, Some(1), None);
    let mut seen = fixture::seen(4123, 1, &["python", "bench.py"], 900 * MIB, failed);
    seen.rlimit_bytes = Some(1 << 30);
    manifest.processes.push(seen);
    // Without the agent's word it is a hint, and no finding.
    let report = fixture::report(input.clone());
    assert!(
        report
            .findings
            .iter()
            .all(|found| found.kind != FindingKind::OutOfMemory)
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("limit of 1.00 GiB"))
    );
    input.1.processes[0]
        .notes
        .push(deadweight_analysis::UNCAUGHT_MEMORY_ERROR.to_owned());
    let report = fixture::report(input);
    let found = &report.findings[0];
    assert_eq!(found.kind, FindingKind::OutOfMemory);
    assert!(found.title.contains("ended with a MemoryError") && found.title.contains("1.00 GiB of the process"));
    assert_eq!(report.run.exit.limit_kind.as_deref(), Some("rlimit"));
    assert!(report.warnings.iter().all(|warning| !warning.contains("MemoryError")));
}

#[test]
fn the_snapshot_of_the_peak_is_a_whole_one_and_few_are_asked() {
    let of = |taken: &[u64], bytes: &[Option<u64>]| {
        let mut asked = Vec::new();
        let chosen = snapshot_of_peak(taken, 1000, |at| {
            asked.push(at);
            bytes[at]
        });
        (chosen, asked)
    };
    assert_eq!(of(&[100, 200, 1101], &[Some(5), Some(5), Some(9)]), (Some(1), vec![1]));
    assert_eq!(
        of(&[100, 200, 1100], &[Some(5), Some(5), Some(5)]),
        (Some(2), vec![1, 2])
    );
    assert_eq!(
        of(&[100, 200, 1100], &[Some(5), Some(5), Some(4)]),
        (Some(1), vec![1, 2])
    );
    let cut_off = of(&[100, 200, 1050, 1112], &[Some(5), None, None, Some(9)]);
    assert_eq!(cut_off, (Some(3), vec![1, 0, 2, 3]));
    assert_eq!(of(&[1500, 1600], &[None, Some(5)]), (Some(1), vec![0, 1]));
    assert_eq!(of(&[200, 1500], &[None, None]).0, None);
}
