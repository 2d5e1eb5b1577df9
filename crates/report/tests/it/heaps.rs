//! Findings out of heap snapshots: what is said of memory that is garbage, held, or lost.

use deadweight_heap::{
    Allocator, Amount, Cause, CycleGroup, Elements, Holder, ProcessId, SnapshotAnswer, StackBytes, StackId, Step,
    Unexplained, Unowned,
};
use deadweight_report::text::{Style, diagnosis};
use deadweight_report::{BuildOptions, Finding, FindingKind, Report, Severity, build};

use crate::fixture::{self, COPY, MAIN, MIB, freed, kept, manifest, process};

const RSS: u64 = 1000 * MIB;

fn step(type_name: &str, edge: &str) -> Step {
    Step {
        type_name: type_name.to_owned(),
        edge: edge.to_owned(),
    }
}

fn native(bytes: u64) -> Amount {
    Amount {
        objects: 10,
        python_bytes: 0,
        native_bytes: bytes,
    }
}

/// The stack of `main` that calls `copy`: all memory of the program comes from it.
fn stacks(bytes: u64) -> Vec<StackBytes> {
    let stack = StackId(2);
    vec![StackBytes { stack, bytes }]
}

fn snapshot(number: u32) -> SnapshotAnswer {
    SnapshotAnswer {
        process: ProcessId {
            pid: 4123,
            incarnation: 0,
        },
        number,
        cause: Cause::Growth,
        label: String::new(),
        nanos: u64::from(number),
        complete: true,
        pause_nanos: None,
        all: native(RSS),
        garbage: Amount::default(),
        garbage_types: Vec::new(),
        hidden: Amount::default(),
        cycles: Vec::new(),
        uncollectable: Vec::new(),
        unexplained: Vec::new(),
        holders: Vec::new(),
        unowned: Vec::new(),
        types: Vec::new(),
        warnings: Vec::new(),
    }
}

fn frames(bytes: u64) -> CycleGroup {
    CycleGroup {
        fingerprint: 1,
        type_name: "pandas.core.frame.DataFrame".to_owned(),
        instances: 10,
        amount: native(bytes),
        cycle: vec![
            step("pandas.core.frame.DataFrame", ".ww"),
            step("woodwork.WoodworkTableAccessor", "._dataframe"),
        ],
        stacks: stacks(bytes),
    }
}

fn titles(count: u64) -> Holder {
    Holder {
        key: "titles".to_owned(),
        path: vec![step("frame main", "<local titles>"), step("list", "[0]")],
        rooted: true,
        type_name: "list".to_owned(),
        amount: native(count * 5 * MIB),
        elements: Some(Elements {
            type_name: "lxml.etree._ElementUnicodeResult".to_owned(),
            count,
            bytes: count * 5 * MIB,
        }),
        stacks: stacks(count * 5 * MIB),
    }
}

fn report(heaps: &[SnapshotAnswer]) -> Report {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], kept(900 * MIB))]);
    build(
        Some(&manifest(RSS)),
        &fixture::analysis(vec![one]),
        heaps,
        &BuildOptions::default(),
    )
}

fn only(report: &Report) -> &Finding {
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    &report.findings[0]
}

fn text(report: &Report) -> String {
    let mut out = Vec::new();
    let style = Style {
        width: 100,
        color: false,
    };
    diagnosis(report, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn garbage_is_that_of_the_last_snapshot_before_the_peak() {
    let heaps: Vec<SnapshotAnswer> = (0..3)
        .map(|number| SnapshotAnswer {
            nanos: [0, 1, u64::MAX][number as usize],
            cycles: vec![frames((u64::from(number) + 1) * 300 * MIB)],
            ..snapshot(number)
        })
        .collect();
    let report = report(&heaps);
    let found = only(&report);
    assert_eq!(
        (found.kind, found.severity),
        (FindingKind::CyclicGarbage, Severity::High)
    );
    assert_eq!(
        found.title,
        "600 MiB of the peak was garbage: 10 DataFrame objects that only the cycle DataFrame.ww → \
         WoodworkTableAccessor._dataframe → DataFrame kept alive."
    );
    assert_eq!(
        (found.bytes, found.share_of_peak, found.count),
        (Some(600 * MIB), Some(0.6), Some(10))
    );
    assert_eq!(
        (found.cycle, found.freeable_by_gc, found.pid),
        (Some(true), Some(true), Some(4123))
    );
    assert_eq!(
        (found.chain[0].type_name.as_str(), found.chain[0].edge.as_str()),
        ("DataFrame", ".ww")
    );
    assert_eq!(found.sites[0].at.file, COPY.0);
    assert_eq!(found.user_sites[0].at.function, "main");
    assert!(
        found
            .suggestion
            .as_ref()
            .unwrap()
            .contains("`WoodworkTableAccessor._dataframe`")
    );
    assert!(text(&report).contains("Made at "), "{}", text(&report));
}

#[test]
fn severity_follows_the_share_and_little_is_not_said() {
    let of = |bytes: u64| {
        let heap = SnapshotAnswer {
            cycles: vec![frames(bytes)],
            ..snapshot(0)
        };
        report(&[heap]).findings.first().map(|found| found.severity)
    };
    assert_eq!(of(250 * MIB), Some(Severity::High));
    assert_eq!(of(249 * MIB), Some(Severity::Medium));
    assert_eq!(of(99 * MIB), Some(Severity::Low));
    assert_eq!(of(9 * MIB), None);
}

#[test]
fn the_advice_fits_the_cycle() {
    let advice = |cycle: Vec<Step>| {
        let group = CycleGroup {
            cycle,
            ..frames(300 * MIB)
        };
        let heap = SnapshotAnswer {
            cycles: vec![group],
            ..snapshot(0)
        };
        report(&[heap]).findings[0].suggestion.clone().unwrap()
    };
    let of_self = [
        step("skopt.Optimizer", ".specs"),
        step("dict", "['args']"),
        step("dict", "['self']"),
    ];
    assert!(advice(of_self.to_vec()).contains("leave `self` out"));
    let method = [step("scipy.rv_histogram", "._parse_args"), step("method", ".__self__")];
    assert!(advice(method.to_vec()).contains("bound method"));
    let closure = [
        step("app.F", ".fun"),
        step("function", ".__closure__"),
        step("tuple", "[0]"),
        step("cell", ".cell_contents"),
    ];
    assert!(advice(closure.to_vec()).contains("captures"));
    let raised = [
        step("ValueError", ".__traceback__"),
        step("traceback", ".tb_frame"),
        step("frame", "<local error>"),
    ];
    assert!(advice(raised.to_vec()).contains("`del` it"));
}

#[test]
fn memory_that_the_collector_cannot_see_is_uncollectable() {
    let mut group = frames(300 * MIB);
    group.cycle = vec![step("app.Holder", ".arr"), step("numpy.ndarray", "[0]")];
    let heap = SnapshotAnswer {
        uncollectable: vec![group],
        ..snapshot(0)
    };
    let report = report(&[heap]);
    let found = only(&report);
    assert_eq!(
        (found.kind, found.freeable_by_gc),
        (FindingKind::Uncollectable, Some(false))
    );
    assert!(found.suggestion.as_ref().unwrap().contains("array of objects"));
}

#[test]
fn garbage_is_that_of_the_snapshot_right_after_the_peak_if_the_other_one_was_long_ago() {
    let found = |nanos: u64, whole: u64| {
        let heap = |number: u32, nanos: u64, garbage: u64, whole: u64| SnapshotAnswer {
            nanos,
            cycles: vec![frames(garbage)],
            all: native(whole),
            ..snapshot(number)
        };
        let heaps = [
            heap(0, fixture::PEAK_NANOS - 800, 300 * MIB, 500 * MIB),
            heap(1, nanos, 600 * MIB, whole),
        ];
        only(&report(&heaps)).bytes
    };
    assert_eq!(found(fixture::PEAK_NANOS + 100, 900 * MIB), Some(600 * MIB));
    assert_eq!(
        found(fixture::PEAK_NANOS + 101, 900 * MIB),
        Some(300 * MIB),
        "not much nearer"
    );
    assert_eq!(
        found(fixture::PEAK_NANOS + 1, 400 * MIB),
        Some(300 * MIB),
        "most was gone by then"
    );
}

#[test]
fn a_spike_is_not_told_where_garbage_explains_it() {
    let of = |garbage: u64| {
        let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], freed(900 * MIB))]);
        let heap = SnapshotAnswer {
            cycles: vec![frames(garbage)],
            ..snapshot(0)
        };
        let analysis = fixture::analysis(vec![one]);
        let report = build(Some(&manifest(RSS)), &analysis, &[heap], &BuildOptions::default());
        report.findings.iter().map(|found| found.kind).collect::<Vec<_>>()
    };
    assert_eq!(of(600 * MIB), [FindingKind::CyclicGarbage]);
    let both = [FindingKind::CyclicGarbage, FindingKind::PeakSpike];
    assert_eq!(of(300 * MIB), both, "most of it was something else");
}

#[test]
fn a_local_that_grows_in_every_snapshot_is_a_growing_holder() {
    let heaps: Vec<SnapshotAnswer> = [60, 90, 130]
        .into_iter()
        .enumerate()
        .map(|(number, count)| SnapshotAnswer {
            holders: vec![titles(count)],
            ..snapshot(number as u32)
        })
        .collect();
    let whole = report(&heaps);
    let found = only(&whole);
    assert_eq!(
        (found.kind, found.severity),
        (FindingKind::GrowingHolder, Severity::High)
    );
    assert_eq!(
        found.title,
        "titles (in main) grew from 60 to 130 objects of type _ElementUnicodeResult, which hold 650 MiB."
    );
    assert_eq!(found.chain[0].edge, "<local titles>");
    assert!(
        text(&whole).contains("Held by: frame main<local titles> → list[0]"),
        "{}",
        text(&whole)
    );
    // What only native code holds is on its way somewhere.
    let mut unrooted = heaps.clone();
    unrooted.iter_mut().for_each(|heap| heap.holders[0].rooted = false);
    assert!(report(&unrooted).findings.is_empty());
    // Two snapshots may be chance, and so may wavering.
    assert!(report(&heaps[1..]).findings.is_empty());
    let mut wavering = heaps.clone();
    wavering.swap(0, 1);
    wavering
        .iter_mut()
        .enumerate()
        .for_each(|(number, heap)| heap.number = number as u32);
    assert!(report(&wavering).findings.is_empty());
    // What the program lets go of may have been needed.
    let freed = [heaps, vec![snapshot(3)]].concat();
    assert_eq!(only(&report(&freed)).severity, Severity::Medium);
}

#[test]
fn a_holder_below_a_class_is_called_by_its_module() {
    let heaps: Vec<SnapshotAnswer> = [60, 90, 130]
        .into_iter()
        .enumerate()
        .map(|(number, count)| {
            let mut holder = titles(count);
            holder.path = vec![
                step("sys.modules", "['matplotlib._pylab_helpers']"),
                step("module", ".Gcf"),
                step("type", ".figs"),
                step("collections.OrderedDict", "[1]"),
            ];
            SnapshotAnswer {
                holders: vec![holder],
                ..snapshot(number as u32)
            }
        })
        .collect();
    let report = report(&heaps);
    assert!(
        only(&report)
            .title
            .starts_with("matplotlib._pylab_helpers.Gcf.figs grew from 60 to 130")
    );
    assert_eq!(only(&report).chain[0].type_name, "sys.modules");
}

#[test]
fn two_snapshots_are_enough_of_what_a_module_did_not_have_before() {
    let of_module = |count: u64| {
        let mut holder = titles(count);
        holder.path = vec![
            step("sys.modules", "['app']"),
            step("module", ".cache"),
            step("dict", "[1]"),
        ];
        holder
    };
    let heaps = |holder: &dyn Fn(u64) -> Holder, first_is_complete: bool| -> Vec<SnapshotAnswer> {
        let holders = [vec![], vec![holder(60)], vec![holder(130)]];
        let answers = holders.into_iter().enumerate().map(|(number, holders)| SnapshotAnswer {
            holders,
            complete: number > 0 || first_is_complete,
            ..snapshot(number as u32)
        });
        answers.collect()
    };
    let whole = report(&heaps(&of_module, true));
    assert_eq!(
        only(&whole).title,
        "app.cache grew from 60 to 130 objects of type _ElementUnicodeResult, which hold 650 MiB."
    );
    assert!(
        report(&heaps(&of_module, false)).findings.is_empty(),
        "it may be missing"
    );
    assert!(
        report(&heaps(&titles, true)).findings.is_empty(),
        "a function that was not called yet"
    );
}

/// Snapshots with so many bytes without an owner.
fn unowned(bytes: &[u64], allocator: Allocator) -> Vec<SnapshotAnswer> {
    let one = |(number, bytes): (usize, &u64)| SnapshotAnswer {
        unowned: vec![Unowned {
            stack: StackId(2),
            allocator,
            blocks: 3,
            bytes: *bytes * MIB,
        }],
        ..snapshot(number as u32)
    };
    bytes.iter().enumerate().map(one).collect()
}

#[test]
fn native_memory_without_an_owner_that_grows_is_a_leak() {
    let whole = report(&unowned(&[100, 200, 300], Allocator::Malloc));
    let found = only(&whole);
    assert_eq!(
        (found.kind, found.severity, found.bytes),
        (FindingKind::NativeLeak, Severity::High, Some(300 * MIB))
    );
    assert_eq!(found.sites[0].at.file, COPY.0);
    assert_eq!(
        report(&unowned(&[100, 200, 300], Allocator::PyObject)).findings.len(),
        1
    );
    // It stays, it is freed, or it is a buffer whose object is not known.
    assert!(
        report(&unowned(&[300, 300, 300], Allocator::Malloc))
            .findings
            .is_empty()
    );
    assert!(
        report(&unowned(&[100, 200, 300, 10], Allocator::Malloc))
            .findings
            .is_empty()
    );
    assert!(report(&unowned(&[100, 200, 300], Allocator::PyMem)).findings.is_empty());
}

#[test]
fn native_memory_that_is_freed_before_the_end_is_no_leak() {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], fixture::freed(900 * MIB))]);
    let heaps = unowned(&[100, 200, 300], Allocator::Malloc);
    let analysis = fixture::analysis(vec![one]);
    let report = build(Some(&manifest(RSS)), &analysis, &heaps, &BuildOptions::default());
    assert!(report.findings.iter().all(|found| found.kind == FindingKind::PeakSpike));
}

#[test]
fn objects_that_nothing_refers_to_and_that_become_more_are_lost() {
    let heap = |(number, count): (usize, u64)| SnapshotAnswer {
        unexplained: vec![Unexplained {
            type_name: "str".to_owned(),
            stack: Some(StackId(2)),
            amount: Amount {
                objects: count,
                python_bytes: count * 50 * MIB,
                native_bytes: 0,
            },
            suspect: Vec::new(),
        }],
        ..snapshot(number as u32)
    };
    let mut heaps: Vec<SnapshotAnswer> = [2, 4, 6].into_iter().enumerate().map(heap).collect();
    let whole = report(&heaps);
    let found = only(&whole);
    assert_eq!((found.kind, found.count), (FindingKind::Uncollectable, Some(6)));
    assert!(
        found
            .title
            .starts_with("300 MiB is lost: nothing in the program refers to 6 str objects")
    );
    assert!(found.chain.is_empty() && !text(&whole).contains("Perhaps"));
    for heap in &mut heaps {
        let part = &mut heap.unexplained[0];
        part.type_name = "search.Index".to_owned();
        part.suspect = vec![step("search.Index", ".automaton"), step("ahocorasick.Automaton", "")];
    }
    let whole = report(&heaps);
    let said = text(&whole);
    assert!(
        said.contains("Perhaps a cycle: Index.automaton → Automaton (in C) → Index"),
        "{said}"
    );
    assert!(said.contains("`Index.automaton`"), "{said}");
    assert_eq!(only(&whole).cycle, None, "it is not proven");
}

#[test]
fn a_damaged_snapshot_is_a_warning_and_no_evidence() {
    let heap = SnapshotAnswer {
        complete: false,
        cycles: vec![frames(600 * MIB)],
        warnings: vec!["heap snapshot 0 of pid 4123 was not written to its end".to_owned()],
        ..snapshot(0)
    };
    let report = report(&[heap]);
    assert!(report.findings.is_empty());
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("not written to its end"))
    );
}
