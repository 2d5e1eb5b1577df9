//! Sites, processes, times.

use deadweight_analysis::{State, Tail};
use deadweight_report::{BuildOptions, build};

use crate::fixture::{self, COPY, DECODE, EMPTY, KIB, LOAD, MAIN, MIB, Place, SECOND, TRIPS, freed, kept, process};

#[test]
fn one_line_in_two_processes_is_one_site() {
    let one = process(
        10,
        1,
        &["python"],
        &[(&[MAIN, COPY], kept(6 * MIB)), (&[LOAD, COPY], kept(5 * MIB))],
    );
    let two = process(11, 10, &["python"], &[(&[MAIN, COPY], kept(4 * MIB))]);
    let report = build(None, &fixture::analysis(vec![one, two]), &[], &BuildOptions::default());
    assert_eq!(report.peak.sites.len(), 1);
    let site = &report.peak.sites[0];
    assert_eq!((site.at.file.as_str(), site.at.line), (COPY.0, Some(583)));
    assert_eq!((site.bytes, site.blocks), (15 * MIB, 3));
    // the callers of the heaviest stack, outermost last
    assert_eq!(site.stack.len(), 1);
    assert_eq!(site.stack[0].function, "main");
    let user: Vec<_> = report
        .peak
        .user_sites
        .iter()
        .map(|site| (site.at.function.as_str(), site.bytes))
        .collect();
    assert_eq!(user, [("main", 10 * MIB), ("Loader.load", 5 * MIB)]);
}

#[test]
fn errors_add_up_as_variances() {
    let part = |error| {
        fixture::amounts(
            fixture::amount(MIB, 1, error),
            fixture::amount(MIB, 1, error),
            fixture::amount(0, 0, 0),
        )
    };
    let one = process(
        10,
        1,
        &["python"],
        &[(&[MAIN, COPY], part(3 * KIB)), (&[LOAD, COPY], part(4 * KIB))],
    );
    let report = build(None, &fixture::analysis(vec![one]), &[], &BuildOptions::default());
    assert_eq!(report.peak.sites[0].error_bytes, 5 * KIB);
}

#[test]
fn equal_sites_are_ordered_by_file_and_line() {
    const A: Place = ("/p/a.py", 9, "z");
    const B: Place = ("/p/b.py", 1, "a");
    const C: Place = ("/p/a.py", 10, "y");
    let one = process(
        10,
        1,
        &["python"],
        &[(&[B], kept(MIB)), (&[C], kept(MIB)), (&[A], kept(MIB))],
    );
    let report = build(None, &fixture::analysis(vec![one]), &[], &BuildOptions::default());
    let lines: Vec<_> = report
        .peak
        .sites
        .iter()
        .map(|site| (site.at.file.as_str(), site.at.line.unwrap()))
        .collect();
    assert_eq!(lines, [("/p/a.py", 9), ("/p/a.py", 10), ("/p/b.py", 1)]);
}

#[test]
fn the_number_of_sites_is_limited() {
    let one = process(
        10,
        1,
        &["python"],
        &[
            (&[MAIN], kept(MIB)),
            (&[TRIPS], kept(2 * MIB)),
            (&[LOAD], kept(3 * MIB)),
        ],
    );
    let options = BuildOptions {
        max_sites: 2,
        ..BuildOptions::default()
    };
    let report = build(None, &fixture::analysis(vec![one]), &[], &options);
    let names: Vec<_> = report.peak.sites.iter().map(|site| site.at.function.as_str()).collect();
    assert_eq!(names, ["Loader.load", "make_trips"]);
}

#[test]
fn what_is_live_at_the_end_is_not_churn() {
    let half = fixture::amounts(
        fixture::amount(4 * MIB, 4, 0),
        fixture::amount(10 * MIB, 10, 0),
        fixture::amount(3 * MIB, 3, 0),
    );
    let one = process(
        10,
        1,
        &["python"],
        &[(&[MAIN, EMPTY], half), (&[MAIN, DECODE], kept(MIB))],
    );
    let report = build(None, &fixture::analysis(vec![one]), &[], &BuildOptions::default());
    assert_eq!((report.churn.bytes, report.churn.blocks), (7 * MIB, 7));
    assert_eq!(report.churn.sites.len(), 1);
    assert_eq!(report.end.heap_bytes, Some(4 * MIB));
    assert_eq!(report.end.sites.len(), 2);
}

#[test]
fn an_exec_is_one_process_with_its_last_command() {
    let shell = process(10, 1, &["python", "launch.py"], &[(&[MAIN], freed(9 * MIB))]);
    let mut program = process(10, 1, &["python", "serve.py"], &[(&[LOAD], kept(5 * MIB))]);
    program.id.incarnation = 1;
    let mut analysis = fixture::analysis(vec![shell, program]);
    analysis.processes[0].at_tree_peak = fixture::amount(0, 0, 0);
    let report = build(None, &analysis, &[], &BuildOptions::default());
    assert_eq!(report.processes.len(), 1);
    assert_eq!(report.processes[0].argv, ["python", "serve.py"]);
    assert_eq!(report.processes[0].peak_heap_bytes, Some(9 * MIB));
    assert_eq!(report.processes[0].heap_at_peak_bytes, Some(5 * MIB));
}

#[test]
fn without_a_manifest_times_count_from_the_first_event() {
    let mut one = process(10, 1, &["python", "x.py"], &[(&[MAIN], kept(MIB))]);
    one.span_nanos = (fixture::START + 30 * SECOND, fixture::START + 40 * SECOND);
    let report = build(None, &fixture::analysis(vec![one]), &[], &BuildOptions::default());
    assert_eq!(report.peak.seconds, Some(8.0));
    assert_eq!(report.run.seconds, Some(10.0));
    assert_eq!(report.run.argv, ["python", "x.py"]);
    assert_eq!(report.run.python.as_deref(), Some("3.11.7"));
    assert!(!report.run.complete);
}

#[test]
fn resident_memory_is_the_supervisors_figure_or_else_the_kernels() {
    let report = fixture::report(fixture::pool());
    let resident: Vec<_> = report
        .processes
        .iter()
        .map(|process| (process.pid, process.peak_rss_bytes))
        .collect();
    assert_eq!(
        resident,
        [
            (4123, Some(40 * MIB)),
            (4124, Some(777 * MIB)),
            (4125, Some(950 * MIB)),
            (4130, Some(20 * MIB))
        ]
    );
    assert_eq!(report.processes[3].peak_heap_bytes, None);
    assert_eq!(report.peak.pid, Some(4125));
}

#[test]
fn a_killed_process_is_complete_and_a_lossy_one_is_not() {
    let (manifest, mut analysis) = fixture::pool();
    assert!(
        !build(Some(&manifest), &analysis, &[], &BuildOptions::default())
            .run
            .complete
    );
    analysis.processes[1].lost_events = 0;
    analysis.warnings.clear();
    assert!(
        build(Some(&manifest), &analysis, &[], &BuildOptions::default())
            .run
            .complete
    );
    let whole = analysis.clone();
    analysis.processes[1].state = State::DiskFull;
    assert!(
        !build(Some(&manifest), &analysis, &[], &BuildOptions::default())
            .run
            .complete
    );
    let mut analysis = whole;
    analysis.processes[2].tail = Tail::CutOff {
        at: 77,
        why: "checksum",
    };
    assert!(
        !build(Some(&manifest), &analysis, &[], &BuildOptions::default())
            .run
            .complete
    );
}
