//! What is told from how memory went over time.

use std::fs;

use deadweight_analysis::{History, Level, ProcessAnswer, Sample, State};
use deadweight_capture::StackId;
use deadweight_report::{BuildOptions, Disk, Finding, FindingKind, Report, Severity, build};

use crate::fixture::{COPY, LOAD, MAIN, MIB, Place, SECOND, START, analysis, freed, kept, manifest, process};

const CELLS: Place = (
    "/home/me/project/.venv/lib/python3.11/site-packages/openpyxl/worksheet/_reader.py",
    370,
    "WorksheetReader.bind_cells",
);
const PARSER: Place = (
    "/home/me/project/.venv/lib/python3.11/site-packages/pandas/io/parsers/c_parser_wrapper.py",
    93,
    "CParserWrapper.__init__",
);
const SAMPLES: u64 = 82;

/// Gives each stack that has an amount, in the order of their ids, a level by sample: in MiB, of samples every half second.
fn with_levels(mut process: ProcessAnswer, levels: &[&dyn Fn(u64) -> u64]) -> ProcessAnswer {
    let stacks: Vec<u32> = (0u32..)
        .zip(&process.amounts)
        .filter(|(_, amounts)| amounts.allocated.bytes > 0)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(stacks.len(), levels.len());
    let sample = |number: u64| {
        let levels = stacks.iter().zip(levels).map(|(&stack, level)| Level {
            stack: StackId(stack),
            bytes: level(number) * MIB,
        });
        let levels: Vec<Level> = levels.collect();
        Sample {
            bytes: levels.iter().map(|level| level.bytes).sum(),
            allocated_bytes: number * MIB,
            levels,
        }
    };
    process.history = History {
        origin_nanos: START,
        width_nanos: SECOND / 2,
        samples: (1..=SAMPLES).map(sample).collect(),
    };
    process
}

fn report_of(process: ProcessAnswer) -> Report {
    build(
        Some(&manifest(1000 * MIB)),
        &analysis(vec![process]),
        &[],
        &BuildOptions::default(),
    )
}

fn only(report: &Report) -> &Finding {
    let [found] = &report.findings[..] else {
        panic!("{:?}", report.findings)
    };
    found
}

/// The tree's peak is 38 seconds after the start: sample 76.
fn until(sample: u64, level: u64) -> impl Fn(u64) -> u64 {
    move |at| if at <= sample { level } else { 0 }
}

#[test]
fn a_spike_says_when_it_was_freed() {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], freed(600 * MIB))]);
    let report = report_of(with_levels(one, &[&until(79, 600)]));
    let found = only(&report);
    assert_eq!((found.kind, found.severity), (FindingKind::PeakSpike, Severity::Low));
    assert_eq!(found.lingered_seconds, Some(2.0));
    assert!(found.title.contains("freed 2.00 s later"), "{}", found.title);
    assert_eq!(found.bytes, Some(600 * MIB));
}

#[test]
fn what_stays_after_the_peak_is_no_part_of_the_spike() {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], freed(600 * MIB))]);
    let report = report_of(with_levels(one, &[&|at| if at <= 79 { 600 } else { 100 }]));
    // At the end all of it is gone, whatever the last sample says.
    assert_eq!(only(&report).bytes, Some(600 * MIB));
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], kept(600 * MIB))]);
    let report = report_of(with_levels(one, &[&|at| if at == 79 { 100 } else { 600 }]));
    assert_eq!(only(&report).bytes, Some(500 * MIB));
}

#[test]
fn an_avoidable_spike_should_be_looked_at_and_names_the_call() {
    let of = |bytes| {
        let one = process(4123, 1, &["python"], &[(&[MAIN, CELLS], freed(bytes))]);
        report_of(with_levels(one, &[&until(79, bytes / MIB)]))
    };
    let report = of(600 * MIB);
    let found = only(&report);
    assert_eq!(found.severity, Severity::Medium);
    assert!(found.title.contains("openpyxl.load_workbook needs"), "{}", found.title);
    assert!(found.suggestion.as_ref().unwrap().contains("read_only=True"));
    assert!(
        found
            .evidence
            .iter()
            .any(|line| line.contains("WorksheetReader.bind_cells"))
    );
    assert_eq!(found.user_sites[0].at.function, "main");
    // A smaller part of the peak is only good to know.
    assert_eq!(only(&of(390 * MIB)).severity, Severity::Low);
}

#[test]
fn copies_of_the_same_size_are_named_as_such() {
    let mut one = process(
        4123,
        1,
        &["python"],
        &[
            (&[MAIN, COPY], freed(400 * MIB)),
            (&[MAIN, PARSER], freed(200 * MIB)),
            (&[LOAD], freed(200 * MIB)),
        ],
    );
    for amounts in &mut one.amounts {
        amounts.largest_bytes = amounts.peak.bytes.min(200 * MIB);
    }
    let report = report_of(with_levels(one, &[&until(79, 400), &until(79, 200), &until(79, 200)]));
    let said = &report.findings[0].evidence;
    assert!(
        said.iter()
            .any(|line| line.starts_with("4 blocks of 200 MiB were live")),
        "{said:?}"
    );
    assert!(
        report.findings[0]
            .suggestion
            .as_ref()
            .unwrap()
            .contains("drop the input")
    );
}

#[test]
fn a_spike_of_many_lines_is_told_by_the_call_that_contains_it() {
    const LINES: [Place; 4] = [
        ("/p/a.py", 1, "one"),
        ("/p/a.py", 2, "two"),
        ("/p/a.py", 3, "three"),
        ("/p/a.py", 4, "four"),
    ];
    let stacks: Vec<[Place; 2]> = LINES.iter().map(|line| [MAIN, *line]).collect();
    let stacks: Vec<(&[Place], _)> = stacks.iter().map(|stack| (&stack[..], freed(200 * MIB))).collect();
    let one = process(4123, 1, &["python"], &stacks);
    let level = until(79, 200);
    let report = report_of(with_levels(one, &[&level, &level, &level, &level]));
    let found = only(&report);
    assert_eq!((found.kind, found.bytes), (FindingKind::PeakSpike, Some(800 * MIB)));
    assert!(found.title.contains("below main (bench.py:40)"), "{}", found.title);
    assert_eq!(found.user_sites.len(), 4);
}

/// A process whose line grew by 10 MiB a second, and of which so much is left when it has ended.
fn leaking(left: u64, native: u64, frames: &[Place]) -> ProcessAnswer {
    let mut amounts = freed(400 * MIB);
    amounts.end.bytes = left;
    amounts.end_native_bytes = native;
    with_levels(process(4123, 1, &["python"], &[(frames, amounts)]), &[&|at| at * 5])
}

#[test]
fn a_process_that_python_did_not_end_proves_nothing() {
    // As after `os._exit`: the recording is closed.
    let mut one = leaking(400 * MIB, 400 * MIB, &[MAIN]);
    one.python_ended = false;
    let report = report_of(one);
    assert_eq!(
        (only(&report).kind, only(&report).severity),
        (FindingKind::GrowingHolder, Severity::Low)
    );
}

#[test]
fn native_memory_that_outlives_python_is_a_native_leak() {
    let report = report_of(leaking(400 * MIB, 400 * MIB, &[MAIN, PARSER]));
    let found = only(&report);
    assert_eq!((found.kind, found.severity), (FindingKind::NativeLeak, Severity::High));
    assert!(
        found
            .title
            .starts_with("400 MiB allocated at bench.py:40 was never freed"),
        "{}",
        found.title
    );
    assert!(found.evidence[0].contains("10.0 MiB a second"), "{:?}", found.evidence);
    // Which version is installed is not known here.
    assert!(
        found
            .evidence
            .iter()
            .any(|line| line.starts_with("If your pandas is ==2.2.0"))
    );
}

#[test]
fn objects_that_outlive_python_are_uncollectable() {
    let report = report_of(leaking(400 * MIB, 0, &[MAIN]));
    assert_eq!(only(&report).kind, FindingKind::Uncollectable);
}

#[test]
fn what_python_frees_in_its_long_end_does_not_hide_the_growth_before() {
    let frees = |at: u64| if at <= 60 { at * 5 } else { 300 - (at - 60) * 4 };
    let mut one = leaking(210 * MIB, 210 * MIB, &[MAIN]);
    one.history = with_levels(one.clone(), &[&frees]).history;
    let kinds = |one: ProcessAnswer| {
        report_of(one)
            .findings
            .iter()
            .map(|found| found.kind)
            .collect::<Vec<_>>()
    };
    assert!(
        !kinds(one.clone()).contains(&FindingKind::NativeLeak),
        "a fall to the end is no growth"
    );
    one.python_ends_nanos = Some(START + 30 * SECOND);
    assert!(kinds(one).contains(&FindingKind::NativeLeak));
}

#[test]
fn what_python_frees_when_it_ends_is_no_leak() {
    let report = report_of(leaking(0, 0, &[MAIN]));
    assert_eq!(only(&report).kind, FindingKind::PeakSpike);
    assert_eq!(only(&report).severity, Severity::Low);
}

#[test]
fn what_fills_and_stops_is_no_leak_even_if_it_is_never_freed() {
    for level in [&(|at: u64| (at * 10).min(400)) as &dyn Fn(u64) -> u64, &|at| {
        if at > 3 { 400 } else { 0 }
    }] {
        let one = process(4123, 1, &["python"], &[(&[MAIN], kept(400 * MIB))]);
        assert_eq!(report_of(with_levels(one, &[level])).findings, []);
    }
}

#[test]
fn where_the_end_of_python_was_not_seen_growth_is_only_good_to_know() {
    let mut one = leaking(400 * MIB, 400 * MIB, &[MAIN]);
    one.state = State::Recording;
    one.python_ended = false;
    let report = report_of(one.clone());
    let found = only(&report);
    assert_eq!(
        (found.kind, found.severity),
        (FindingKind::GrowingHolder, Severity::Low)
    );
    assert!(found.chain.is_empty());
    // If it ended because memory ran out, it should be looked at.
    let mut manifest = manifest(1000 * MIB);
    manifest.exit = Some(crate::fixture::out_of_memory());
    let report = build(Some(&manifest), &analysis(vec![one]), &[], &BuildOptions::default());
    let severities: Vec<_> = report
        .findings
        .iter()
        .map(|found| (found.kind, found.severity))
        .collect();
    assert_eq!(
        severities,
        [
            (FindingKind::OutOfMemory, Severity::High),
            (FindingKind::GrowingHolder, Severity::Medium)
        ]
    );
}

#[test]
fn another_program_that_exec_brought_does_not_free_what_the_first_one_had() {
    // It did not end Python before it was replaced.
    let mut one = leaking(400 * MIB, 400 * MIB, &[MAIN]);
    one.python_ended = false;
    let mut two = process(4123, 1, &["python"], &[(&[LOAD], kept(MIB))]);
    two.id.incarnation = 1;
    let report = build(
        Some(&manifest(1000 * MIB)),
        &analysis(vec![one, two]),
        &[],
        &BuildOptions::default(),
    );
    assert_eq!(only(&report).kind, FindingKind::GrowingHolder);
}

/// With files on disk: a source line, and the installed version.
#[test]
fn source_and_version_are_looked_up_if_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_string_lossy().into_owned();
    fs::write(
        folder.path().join("job.py"),
        "import pandas as pd\ntable = pd.read_csv(path)\n",
    )
    .unwrap();
    let packages = folder.path().join("site-packages");
    // Stacks name their files for ever.
    let file = |name: &str| -> &'static str { Box::leak(format!("{root}/{name}").into_boxed_str()) };
    let frames = [
        (file("job.py"), 2, "main"),
        (file("site-packages/pandas/io/parsers/c_parser_wrapper.py"), 93, "read"),
    ];
    let said = |version: Option<&str>, disk| {
        let _ = fs::remove_dir_all(&packages);
        if let Some(version) = version {
            fs::create_dir_all(packages.join(format!("pandas-{version}.dist-info"))).unwrap();
        }
        let mut manifest = manifest(1000 * MIB);
        manifest.started_unix = u64::MAX >> 32;
        let options = BuildOptions {
            disk,
            ..BuildOptions::default()
        };
        let report = build(
            Some(&manifest),
            &analysis(vec![leaking(400 * MIB, 400 * MIB, &frames)]),
            &[],
            &options,
        );
        (
            only(&report).evidence.join(" "),
            only(&report).suggestion.clone().unwrap(),
        )
    };
    let (evidence, advice) = said(Some("2.2.0"), Disk::Read);
    assert!(evidence.contains("pandas 2.2.0 loses memory"), "{evidence}");
    assert!(advice.contains("2.2.1 or later"), "{advice}");
    // In the release with the fix, it must be something else.
    let (evidence, advice) = said(Some("2.2.1"), Disk::Read);
    assert!(
        !evidence.contains("read_csv") && !advice.contains("2.2.1"),
        "{evidence} {advice}"
    );
    for (version, disk) in [(None, Disk::Read), (Some("2.2.0"), Disk::Untouched)] {
        let (evidence, advice) = said(version, disk);
        assert!(evidence.contains("If your pandas is ==2.2.0"), "{evidence}");
        assert!(!advice.contains("2.2.1"), "{advice}");
    }
}
