//! Views of a heap snapshot: a small heap in which nine tables are garbage and six are held.

use deadweight_heap::{
    Amount, Cause, CycleAnswer, CyclePart, Elements, Holder, ProcessId, SnapshotAnswer, StackBytes, StackId, Step,
    Tail, TypeAnswer, TypeCensus,
};
use deadweight_report::heap::{HeapReport, Question, Source, build, dot, json, picture, svg};
use deadweight_report::text::{Style, heap};

use crate::fixture::{self, COPY, MAIN, MIB, SECOND, START, kept, manifest, process};

fn step(type_name: &str, edge: &str) -> Step {
    Step {
        type_name: type_name.to_owned(),
        edge: edge.to_owned(),
    }
}

fn amount(objects: u64, python_bytes: u64, native_bytes: u64) -> Amount {
    Amount {
        objects,
        python_bytes,
        native_bytes,
    }
}

fn stacks(bytes: u64) -> Vec<StackBytes> {
    let stack = StackId(2);
    vec![StackBytes { stack, bytes }]
}

fn tail(edge: &str, type_name: &str, amount: Amount) -> Tail {
    Tail {
        edge: edge.to_owned(),
        type_name: type_name.to_owned(),
        amount,
    }
}

fn cycle() -> CycleAnswer {
    CycleAnswer {
        group: deadweight_heap::CycleGroup {
            fingerprint: 0x0123_4567_89ab_cdef,
            type_name: "app.tables.Table".to_owned(),
            instances: 9,
            amount: amount(90, 9000, 90 * MIB),
            cycle: vec![
                step("app.tables.Table", ".on_change"),
                step("function", ".__closure__[0] (self)"),
            ],
            stacks: stacks(90 * MIB),
        },
        freeable: true,
        tracked: 36,
        parts: vec![
            CyclePart {
                retained: amount(0, 8000, 90 * MIB),
                tails: vec![tail(".columns[0]", "numpy.ndarray", amount(9, 900, 90 * MIB))],
            },
            CyclePart {
                retained: amount(0, 1000, 0),
                tails: Vec::new(),
            },
        ],
        beside: Amount::default(),
        instances: vec![(Some(0x7f00_1234), amount(0, 1000, 10 * MIB))],
        blocks: Vec::new(),
    }
}

fn answer() -> SnapshotAnswer {
    SnapshotAnswer {
        process: ProcessId {
            pid: 4123,
            incarnation: 0,
        },
        number: 3,
        cause: Cause::Growth,
        label: String::new(),
        garbage_types: Vec::new(),
        nanos: START + 2 * SECOND,
        complete: true,
        pause_nanos: Some(3_200_000),
        all: amount(120_000, 20 * MIB, 180 * MIB),
        garbage: amount(90, 9000, 90 * MIB),
        hidden: Amount::default(),
        cycles: vec![cycle().group],
        uncollectable: Vec::new(),
        unexplained: Vec::new(),
        holders: vec![Holder {
            key: String::new(),
            path: vec![step("frame main", "<local tables>"), step("list", "[0]")],
            rooted: true,
            type_name: "list".to_owned(),
            amount: amount(60, 6000, 60 * MIB),
            elements: Some(Elements {
                type_name: "app.tables.Table".to_owned(),
                count: 6,
                bytes: 60 * MIB,
            }),
            stacks: stacks(60 * MIB),
        }],
        unowned: Vec::new(),
        types: Vec::new(),
        warnings: Vec::new(),
    }
}

fn census() -> TypeCensus {
    TypeCensus {
        type_name: "app.tables.Table".to_owned(),
        bytes: 720,
        retained: amount(15, 15_000, 150 * MIB),
        unreachable: 9,
    }
}

fn report(question: Question) -> HeapReport {
    let one = process(4123, 1, &["python"], &[(&[MAIN, COPY], kept(190 * MIB))]);
    let (analysis, manifest, answer) = (fixture::analysis(vec![one]), manifest(300 * MIB), answer());
    let source = Source {
        manifest: Some(&manifest),
        analysis: &analysis,
        answer: &answer,
        numbers: vec![2, 3],
        other_pids: vec![4200],
        top: 20,
    };
    build(&source, question)
}

fn overview() -> HeapReport {
    report(Question::Overview {
        types: vec![census()],
        cycles: vec![cycle()],
    })
}

fn cycles() -> HeapReport {
    report(Question::Cycles(vec![(cycle(), vec![SECOND / 2, SECOND])]))
}

fn of_type() -> HeapReport {
    report(Question::Type(TypeAnswer {
        type_names: vec!["app.tables.Table".to_owned()],
        census: census(),
        heaviest: Vec::new(),
        paths: vec![deadweight_heap::HeldPath {
            path: vec![step("frame main", "<local tables>"), step("list", "[…]")],
            rooted: true,
            standing: deadweight_heap::Standing::Live,
            amount: amount(6, 6000, 60 * MIB),
        }],
        more_paths: 1,
        referrers: vec![deadweight_heap::Referrer {
            type_name: "list".to_owned(),
            edge: "[…]".to_owned(),
            references: 6,
        }],
        tails: vec![tail(".columns[0]", "numpy.ndarray", amount(15, 900, 150 * MIB))],
        stacks: stacks(150 * MIB),
    }))
}

fn text(report: &HeapReport, width: usize) -> String {
    let mut out = Vec::new();
    heap(report, &Style { width, color: false }, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let long = text.lines().find(|line| line.chars().count() > width);
    assert_eq!(long, None, "wider than {width} columns");
    text
}

fn drawn(report: &HeapReport) -> (String, String) {
    let (mut svg, mut dot) = (Vec::new(), Vec::new());
    svg::render(&picture(report), &mut svg).unwrap();
    dot::render(&picture(report), &mut dot).unwrap();
    (String::from_utf8(svg).unwrap(), String::from_utf8(dot).unwrap())
}

#[test]
fn overview_of_a_heap() {
    insta::assert_snapshot!(text(&overview(), 100));
}

#[test]
fn cycles_of_a_heap() {
    insta::assert_snapshot!(text(&cycles(), 100));
}

#[test]
fn a_type_of_a_heap() {
    insta::assert_snapshot!(text(&of_type(), 100));
}

#[test]
fn every_view_fits_a_narrow_terminal() {
    for report in [overview(), cycles(), of_type()] {
        text(&report, 60);
    }
}

#[test]
fn json_names_what_was_asked_for_and_nothing_else() {
    let mut out = Vec::new();
    json(&cycles(), &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["schema"], "deadweight.heap/1");
    let cycle = &json["cycles"][0];
    assert_eq!(cycle["fingerprint"], "0123456789abcdef");
    assert_eq!(cycle["cycle"][1]["edge"], ".__closure__[0] (self)");
    assert_eq!(cycle["age_seconds"], serde_json::json!([1.0, 0.5]));
    assert_eq!(cycle["retained"]["native_bytes"], 90 * MIB);
    assert!(json.get("types").is_none() && json.get("holders").is_none());
}

#[test]
fn a_picture_of_a_cycle_shows_what_closes_it() {
    let (svg, dot) = drawn(&cycles());
    for part in [
        "9 × Table",
        "9 × ndarray",
        ".on_change",
        ".__closure__[0] (self)",
        "closes the cycle",
        "90.0 MiB garbage",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert!(
        dot.contains("n0_1 -> n0_0 [label=\".__closure__[0] (self)\", color=\"#c5221f\""),
        "{dot}"
    );
}

#[test]
fn pictures_are_well_formed_whatever_the_names_are() {
    let mut hostile = cycles();
    for row in hostile.cycles.iter_mut().flatten() {
        row.cycle[0].edge = "['<&\"\\\u{1b}[31m\u{0}']".to_owned();
        row.cycle[1].type_name = "a<b>&\"c\"".to_owned();
        row.suggestion = "x < y & z".to_owned();
    }
    let mut long = cycles();
    for row in long.cycles.iter_mut().flatten() {
        row.cycle = (0..40)
            .map(|at| deadweight_report::heap::Step {
                type_name: format!("Type{at}{}", "x".repeat(60)),
                edge: format!(".attribute_{at}").repeat(9),
            })
            .collect();
        row.held_by_step.clear();
    }
    let mut alone = cycles();
    for row in alone.cycles.iter_mut().flatten() {
        row.cycle.truncate(1);
    }
    let mut nothing = cycles();
    nothing.cycles = Some(Vec::new());
    for report in [overview(), of_type(), hostile, long, alone, nothing] {
        let (svg, _) = drawn(&report);
        let mut reader = quick_xml::Reader::from_str(&svg);
        loop {
            match reader.read_event() {
                Ok(quick_xml::events::Event::Eof) => break,
                Ok(_) => {}
                Err(error) => panic!("{error}: {svg}"),
            }
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        text(&report, 60);
    }
}
