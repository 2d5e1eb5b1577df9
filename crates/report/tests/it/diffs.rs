//! Comparisons of small drawn runs: what is paired, what counts as changed, and every view.

use deadweight_analysis::manifest::Manifest;
use deadweight_analysis::{Analysis, History, Level, Sample, StackAmounts, StackId};
use deadweight_report::diff::{Diff, Input, Recorded, Standing, Trend, compare, flamegraph, json, markdown};
use deadweight_report::text::{self, Style};
use deadweight_report::{FindingKind, Report};

use crate::fixture::{self, KIB, MIB, Place, SECOND, START, amount, amounts, kept};

type Run = (Manifest, Analysis);

/// One side of a comparison.
struct Side {
    name: &'static str,
    runs: Vec<(Report, Analysis)>,
}

impl Side {
    fn new(name: &'static str, runs: Vec<Run>) -> Side {
        let built = |run: Run| (fixture::report(run.clone()), run.1);
        Side {
            name,
            runs: runs.into_iter().map(built).collect(),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            name: self.name.to_owned(),
            runs: self.runs.iter().map(recorded).collect(),
        }
    }
}

fn recorded((report, analysis): &(Report, Analysis)) -> Recorded<'_> {
    Recorded {
        report,
        analysis,
        heaps: &[],
    }
}

fn compared(before: Run, after: Run) -> Diff {
    compare(
        &Side::new("before.dw", vec![before]).input(),
        &Side::new("after.dw", vec![after]).input(),
    )
    .unwrap()
}

const MAIN: Place = ("/home/me/project/bench.py", 40, "main");
const LOAD: Place = ("/home/me/project/bench.py", 18, "load");
const LOAD_MOVED: Place = ("/home/me/project/bench.py", 58, "load");
const PARSE: Place = ("/home/me/project/bench.py", 30, "parse");
const FRAME: Place = ("/old/lib/python3.11/site-packages/pandas/frame.py", 7, "copy");
const FRAME_ELSEWHERE: Place = ("/new/lib/python3.11/site-packages/pandas/frame.py", 9, "copy");

fn run(stacks: &[(&[Place], StackAmounts)]) -> Run {
    let answer = fixture::process(4123, 4100, &["python", "bench.py"], stacks);
    let rss: u64 = answer.at_tree_peak.bytes;
    (fixture::manifest(rss + 20 * MIB), fixture::analysis(vec![answer]))
}

fn sampled(bytes: u64, error: u64) -> StackAmounts {
    let all = amount(bytes, 1, error);
    amounts(all, all, all)
}

/// Two releases: a line moved and keeps half, a library came from another venv, a line is new.
fn releases() -> (Run, Run) {
    (
        run(&[
            (&[MAIN, LOAD], sampled(400 * MIB, 4 * MIB)),
            (&[MAIN, PARSE, FRAME], sampled(100 * MIB, 2 * MIB)),
        ]),
        run(&[
            (&[MAIN, LOAD_MOVED], sampled(200 * MIB, 3 * MIB)),
            (&[MAIN, PARSE, FRAME_ELSEWHERE], sampled(101 * MIB, 2 * MIB)),
            (&[MAIN], kept(30 * MIB)),
        ]),
    )
}

fn view(diff: &Diff, width: usize) -> String {
    let mut out = Vec::new();
    text::diff(diff, 10, &Style { width, color: false }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn marked(diff: &Diff) -> String {
    let mut out = Vec::new();
    markdown::render(diff, 10, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_of_two_releases() {
    let (before, after) = releases();
    insta::assert_snapshot!(view(&compared(before, after), 100));
}

#[test]
fn markdown_of_two_releases() {
    let (before, after) = releases();
    insta::assert_snapshot!(marked(&compared(before, after)));
}

#[test]
fn json_of_two_releases() {
    let (before, after) = releases();
    let mut out = Vec::new();
    json(&compared(before, after), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn flame_graph_of_two_releases_shows_what_is_gone() {
    let gone = run(&[(&[MAIN, LOAD], kept(300 * MIB)), (&[MAIN, PARSE], kept(100 * MIB))]);
    let left = run(&[(&[MAIN, PARSE], kept(100 * MIB))]);
    let (before, after) = (Side::new("a", vec![gone]), Side::new("b", vec![left]));
    let diff = compare(&before.input(), &after.input()).unwrap();
    let mut out = Vec::new();
    flamegraph::render(&before.input(), &after.input(), &diff, &mut out).unwrap();
    let svg = String::from_utf8(out).unwrap();
    assert!(svg.contains("load (bench.py) (314,572,800 bytes"), "{svg}");
    assert!(svg.contains("; -75.00%"), "{svg}");
    assert!(svg.contains("400 MiB before, 100 MiB after (-300 MiB)"), "{svg}");
}

#[test]
fn lines_are_no_wider_than_the_terminal() {
    let (before, after) = releases();
    let diff = compared(before, after);
    for width in [40, 60, 80, 99, 100, 200] {
        for line in view(&diff, width).lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn hostile_names_are_harmless() {
    let diff = compared(fixture::hostile(), fixture::bench());
    for out in [view(&diff, 80), marked(&diff)] {
        assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
    }
    for cell in marked(&diff).lines().filter(|line| line.starts_with("| **")) {
        assert_eq!(cell.replace("\\|", "").matches('|').count(), 6, "{cell}");
    }
}

#[test]
fn a_change_inside_of_the_error_is_none() {
    let with = |bytes| run(&[(&[MAIN, LOAD], sampled(bytes, 4 * MIB))]);
    let diff = compared(with(400 * MIB), with(410 * MIB));
    assert_eq!(diff.totals.peak_heap.trend, Trend::NoChange);
    assert_eq!(diff.user_sites[0].figure.trend, Trend::NoChange);
    assert!(view(&diff, 100).contains("No change of peak heap: 400 MiB before, 410 MiB after."));
    let diff = compared(with(400 * MIB), with(450 * MIB));
    assert_eq!(diff.totals.peak_heap.trend, Trend::Rose);
    assert_eq!(diff.user_sites[0].figure.trend, Trend::Rose);
}

#[test]
fn many_lines_are_judged_more_strictly_than_one() {
    let few = compared(
        run(&[(&[MAIN], sampled(50 * MIB, MIB))]),
        run(&[(&[MAIN], sampled(50 * MIB, MIB))]),
    );
    let functions: Vec<Place> = (0..400)
        .map(|line| ("/home/me/project/many.py", line + 1, "f"))
        .collect();
    let stacks: Vec<[Place; 1]> = functions.iter().map(|place| [*place]).collect();
    let many = || {
        let list: Vec<(&[Place], StackAmounts)> =
            stacks.iter().map(|stack| (&stack[..], sampled(MIB, MIB / 4))).collect();
        run(&list)
    };
    let many = compared(many(), many());
    assert!(many.rigour.list_sigmas > few.rigour.list_sigmas + 1.0);
    assert_eq!(many.rigour.total_sigmas, few.rigour.total_sigmas);
}

#[test]
fn what_small_blocks_hide_is_not_called_gone() {
    // A line with ten samples in one run and none in the other.
    let without = run(&[(&[MAIN], kept(20 * MIB))]);
    let with = run(&[
        (&[MAIN], kept(20 * MIB)),
        (&[MAIN, LOAD], sampled(640 * KIB, 202 * KIB)),
    ]);
    let diff = compared(with, without);
    assert!(
        !diff.user_sites.iter().any(|site| site.figure.has_changed()),
        "{:?}",
        diff.user_sites
    );
}

/// A run whose two phases are equally high, with the peak in the one or the other.
fn phases(in_first: bool) -> Run {
    let phase = |is_peak: bool| {
        let all = amount(100 * MIB, 1, 0);
        amounts(if is_peak { all } else { amount(0, 0, 0) }, all, amount(0, 0, 0))
    };
    let (manifest, mut analysis) = run(&[(&[MAIN, LOAD], phase(in_first)), (&[MAIN, PARSE], phase(!in_first))]);
    let process = &mut analysis.processes[0];
    let stack = |function: &str| {
        let ids = 0..process.amounts.len() as u32;
        let mut ids = ids.map(StackId);
        ids.find(|id| {
            process
                .stacks
                .frame(*id)
                .is_some_and(|frame| frame.function == function)
        })
    };
    let level = |function| {
        vec![Level {
            stack: stack(function).unwrap(),
            bytes: 100 * MIB,
        }]
    };
    let sample = |levels| Sample {
        bytes: 100 * MIB,
        allocated_bytes: 100 * MIB,
        levels,
    };
    process.history = History {
        origin_nanos: START,
        width_nanos: SECOND,
        samples: vec![sample(level("load")), sample(level("parse"))],
    };
    (manifest, analysis)
}

#[test]
fn a_peak_at_another_moment_is_no_change() {
    let diff = compared(phases(true), phases(false));
    assert_eq!(diff.totals.peak_heap.trend, Trend::NoChange);
    for site in &diff.user_sites {
        assert!(site.other_moment && site.figure.trend == Trend::NoChange, "{site:?}");
        assert_eq!(
            (site.highest_before_bytes, site.highest_after_bytes),
            (100 * MIB, 100 * MIB)
        );
    }
    let shown = view(&diff, 100);
    assert!(
        shown.contains("The same, but the peak was at another moment:"),
        "{shown}"
    );
}

#[test]
fn a_phase_that_was_taken_apart_is_a_change() {
    // Both at once before, one after the other after: no line holds less than it did, but the peak does.
    let before = run(&[(&[MAIN, LOAD], kept(100 * MIB)), (&[MAIN, PARSE], kept(100 * MIB))]);
    let diff = compared(before, phases(false));
    assert_eq!(diff.totals.peak_heap.trend, Trend::Fell);
    let fell: Vec<_> = diff
        .user_sites
        .iter()
        .filter(|site| site.figure.trend == Trend::Fell)
        .collect();
    assert_eq!(fell.len(), 1, "{fell:?}");
    assert_eq!(fell[0].before.as_ref().unwrap().function, "load");
}

#[test]
fn several_runs_are_compared_by_their_medians() {
    let with = |bytes: u64| run(&[(&[MAIN, LOAD], kept(bytes * MIB))]);
    let before = Side::new("a", vec![with(100), with(140), with(102)]);
    let after = Side::new("b", vec![with(120), with(118), with(119)]);
    let diff = compare(&before.input(), &after.input()).unwrap();
    let peak = diff.totals.peak_heap;
    assert_eq!(
        (peak.before_bytes, peak.after_bytes),
        (Some(102 * MIB), Some(119 * MIB))
    );
    assert_eq!(peak.before_range, Some((100 * MIB, 140 * MIB)));
    assert_eq!(peak.trend, Trend::NoChange, "it is inside of the spread");
    let before = Side::new("a", vec![with(100), with(101), with(102)]);
    let diff = compare(&before.input(), &after.input()).unwrap();
    assert_eq!(diff.totals.peak_heap.trend, Trend::Rose);
    assert!(
        view(&diff, 100).contains("medians of 3 runs each"),
        "{}",
        view(&diff, 100)
    );
}

#[test]
fn a_watched_program_is_compared_by_what_was_seen() {
    let watched = |rss: u64| {
        let mut manifest = fixture::manifest(rss * MIB);
        manifest.watched = true;
        (manifest, fixture::nothing())
    };
    let diff = compared(watched(500), watched(700));
    assert_eq!(diff.totals.peak_heap.trend, Trend::Unknown);
    assert_eq!(diff.totals.peak_rss.trend, Trend::Rose);
    let shown = view(&diff, 100);
    assert!(
        shown.contains("Peak resident memory rose by 200 MiB (+40 %)"),
        "{shown}"
    );
    assert!(shown.contains("Both captures have no allocations"), "{shown}");
    let diff = compared(watched(500), run(&[(&[MAIN], kept(480 * MIB))]));
    assert!(view(&diff, 100).contains("The capture before has no allocations"));
    assert_eq!(diff.totals.peak_rss.trend, Trend::NoChange);
}

#[test]
fn nothing_at_all_is_refused() {
    let nothing = (
        Manifest {
            peak_rss_bytes: None,
            ..fixture::manifest(0)
        },
        fixture::nothing(),
    );
    let (before, after) = (
        Side::new("a.dw", vec![nothing]),
        Side::new("b.dw", vec![fixture::bench()]),
    );
    let why = compare(&before.input(), &after.input()).unwrap_err();
    assert!(why.contains("a.dw has no memory in it"), "{why}");
}

#[test]
fn modes_and_pythons_that_differ_are_said() {
    let (mut before, mut after) = (run(&[(&[MAIN], kept(50 * MIB))]), run(&[(&[MAIN], kept(50 * MIB))]));
    before.1.exact = true;
    before.1.interval_bytes = 0;
    after.1.processes[0].python = Some(0x030d_00f0);
    let diff = compared(before, after);
    let notes = diff.notes.join("\n");
    assert!(
        notes.contains("Before every block was recorded, after a sample"),
        "{notes}"
    );
    assert!(notes.contains("Python 3.11 before, 3.13 after"), "{notes}");
    assert_eq!(diff.before.sampling_interval_bytes, None);
}

#[test]
fn a_run_that_was_killed_is_compared_with_a_note() {
    let mut before = run(&[(&[MAIN], kept(50 * MIB))]);
    before.0.exit = Some(fixture::out_of_memory());
    let diff = compared(before, run(&[(&[MAIN], kept(90 * MIB))]));
    assert!(
        diff.notes
            .iter()
            .any(|note| note.contains("before was killed because memory ran out")),
        "{:?}",
        diff.notes
    );
    let found = diff
        .findings
        .iter()
        .find(|found| found.kind == FindingKind::OutOfMemory)
        .unwrap();
    assert_eq!((found.standing, found.figure.trend), (Standing::Went, Trend::Fell));
}
