//! The text views at two widths, and that no line is too long.

use deadweight_analysis::manifest::ExitKind;
use deadweight_report::text::{Style, diagnosis, full};
use deadweight_report::{BuildOptions, CallNode, Line, Report, Site, build};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::fixture::{self, MIB};

const WIDE: Style = Style {
    width: 80,
    color: false,
};
const NARROW: Style = Style {
    width: 50,
    color: false,
};

type View = fn(&Report, &Style, &mut dyn std::io::Write) -> std::io::Result<()>;

fn text(view: View, report: &Report, style: Style) -> String {
    let mut out = Vec::new();
    view(report, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn bench() -> Report {
    let mut report = fixture::report(fixture::bench());
    report.next_step = Some("deadweight report bench.dw".to_owned());
    report
}

#[test]
fn diagnosis_of_one_process_wide() {
    insta::assert_snapshot!(text(diagnosis, &bench(), WIDE));
}

#[test]
fn diagnosis_of_one_process_narrow() {
    insta::assert_snapshot!(text(diagnosis, &bench(), NARROW));
}

#[test]
fn diagnosis_of_one_process_in_colour() {
    let style = Style { color: true, ..WIDE };
    insta::assert_snapshot!(text(diagnosis, &bench(), style).replace('\u{1b}', "ESC"));
}

#[test]
fn diagnosis_of_a_pool_wide() {
    insta::assert_snapshot!(text(diagnosis, &fixture::report(fixture::pool()), WIDE));
}

#[test]
fn diagnosis_of_a_pool_narrow() {
    insta::assert_snapshot!(text(diagnosis, &fixture::report(fixture::pool()), NARROW));
}

#[test]
fn full_report_of_one_process_wide() {
    insta::assert_snapshot!(text(full, &bench(), WIDE));
}

#[test]
fn full_report_of_one_process_at_120() {
    insta::assert_snapshot!(text(
        full,
        &bench(),
        Style {
            width: 120,
            color: false
        }
    ));
}

#[test]
fn full_report_of_a_pool_narrow() {
    insta::assert_snapshot!(text(full, &fixture::report(fixture::pool()), NARROW));
}

#[test]
fn hostile_names_are_harmless_on_a_terminal() {
    insta::assert_snapshot!(text(full, &fixture::report(fixture::hostile()), WIDE));
}

#[test]
fn nothing_recorded_is_said_plainly() {
    let mut manifest = fixture::manifest(9 * MIB);
    manifest.exit = Some(fixture::exit(ExitKind::Failed, Some(3), None));
    let report = build(Some(&manifest), &fixture::nothing(), &[], &BuildOptions::default());
    insta::assert_snapshot!(text(diagnosis, &report, WIDE));
}

#[test]
fn an_exact_run_has_no_errors() {
    assert!(!text(full, &fixture::report(fixture::pool()), WIDE).contains('±'));
    assert!(text(full, &bench(), WIDE).contains('±'));
}

#[test]
fn endings_in_plain_words() {
    let cases = [
        (
            fixture::exit(ExitKind::Ok, Some(0), None),
            "bench.py ended normally after 41.2 s",
        ),
        (
            fixture::exit(ExitKind::Failed, Some(3), None),
            "bench.py ended with exit status 3 after 41.2 s",
        ),
        (
            fixture::exit(ExitKind::Signalled, None, Some(9)),
            "bench.py was killed by SIGKILL after 41.2 s",
        ),
        (
            fixture::exit(ExitKind::Signalled, None, Some(40)),
            "bench.py was killed by signal 40 after 41.2 s",
        ),
        (
            fixture::exit(ExitKind::Unknown, None, None),
            "bench.py ran for 41.2 s, its end was not seen",
        ),
        (
            fixture::out_of_memory(),
            "bench.py was killed because memory ran out after 41.2 s",
        ),
    ];
    for (exit, words) in cases {
        let mut report = bench();
        report.run.exit = exit;
        let said = text(
            diagnosis,
            &report,
            Style {
                width: 120,
                color: false,
            },
        );
        assert!(said.starts_with(&format!("deadweight: {words}")), "{said}");
    }
}

#[test]
fn a_next_step_is_never_cut() {
    let mut report = bench();
    let step = format!("deadweight report {}bench.dw", "folder/".repeat(20));
    report.next_step = Some(step.clone());
    assert!(text(diagnosis, &report, NARROW).ends_with(&format!("\nNext:\n{step}\n")));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z/]{0,120}\\.py",
        "(/[a-zé数\u{1b}\n]{0,12}){0,20}",
        Just(String::new()),
        Just("<native>".to_owned()),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (name(), any::<Option<u32>>(), name()).prop_map(|(file, line, function)| Line { file, line, function })
}

fn site() -> impl Strategy<Value = Site> {
    (line(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(at, bytes, error_bytes, blocks)| Site {
        at,
        bytes,
        error_bytes,
        blocks,
        stack: Vec::new(),
    })
}

fn tree() -> impl Strategy<Value = Vec<CallNode>> {
    let leaf = (line(), any::<u64>()).prop_map(|(at, bytes)| CallNode {
        at,
        bytes,
        children: Vec::new(),
    });
    let node = leaf.prop_recursive(30, 60, 3, |inner| {
        (line(), any::<u64>(), prop::collection::vec(inner, 0..3)).prop_map(|(at, bytes, children)| CallNode {
            at,
            bytes,
            children,
        })
    });
    prop::collection::vec(node, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_line_is_wider_than_asked_and_none_has_control_characters(
        sites in prop::collection::vec(site(), 0..6),
        tree in tree(),
        words in prop::collection::vec(name(), 0..4),
        heap in any::<u64>(),
        width in 40usize..160,
        pool in any::<bool>(),
    ) {
        // A report of a real shape, then everything that comes from outside made arbitrary.
        let mut report = BASES.with(|bases| bases[usize::from(pool)].clone());
        report.peak.heap_bytes = Some(heap);
        report.peak.sites = sites.clone();
        report.peak.user_sites = sites.iter().rev().cloned().collect();
        report.churn.sites = sites.clone();
        report.churn.bytes = heap / 2;
        report.end.sites = sites;
        report.peak.tree = tree;
        report.run.argv = words.clone();
        report.run.cwd = words.first().cloned();
        report.processes[0].argv = words.clone();
        report.warnings.extend(words.clone());
        for found in &mut report.findings {
            found.title.push_str(&words.concat());
        }
        for view in [diagnosis as View, full as View] {
            let said = text(view, &report, Style { width, color: false });
            for line in said.lines() {
                prop_assert!(line.width() <= width, "{} > {width}: {line:?}", line.width());
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
                prop_assert_eq!(line.trim_end(), line);
            }
        }
    }
}

thread_local! {
    static BASES: [Report; 2] = [fixture::report(fixture::bench()), fixture::report(fixture::pool())];
}
