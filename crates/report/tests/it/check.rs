//! Verdicts: what holds, what does not, what cannot be known, and how each view says it.

use deadweight_analysis::Amount;
use deadweight_analysis::manifest::ExitKind;
use deadweight_report::baseline::Baseline;
use deadweight_report::check::{
    Asked, Check, Compared, Judgement, Rule, Verdict, check, github, junit, markdown, text,
};
use deadweight_report::text::Style;
use deadweight_report::{Finding, FindingKind, Growth, Line, Link, Report, Severity, Site};
use quick_xml::events::Event;

use crate::fixture::{self, KIB, MIB};

const STYLE: Style = Style {
    width: 100,
    color: false,
};

/// The peak is 2365 MiB with a standard error of 15 MiB, resident memory reached 2540 MiB.
pub fn bench() -> Report {
    let mut report = fixture::report(fixture::bench());
    report.run.heap_snapshots = 1;
    report
}

fn site(file: &str, line: u32, function: &str, bytes: u64) -> Site {
    Site {
        at: Line {
            file: file.to_owned(),
            line: Some(line),
            function: function.to_owned(),
        },
        bytes,
        error_bytes: 0,
        blocks: 1,
        stack: Vec::new(),
    }
}

fn link(type_name: &str, edge: &str) -> Link {
    Link {
        type_name: type_name.to_owned(),
        edge: edge.to_owned(),
    }
}

/// Frames that a cycle kept alive.
pub fn garbage(severity: Severity) -> Finding {
    let at = "/home/me/project/bench.py";
    Finding {
        kind: FindingKind::CyclicGarbage,
        severity,
        title: "900 MiB of the peak was garbage: 10 DataFrame objects that only a cycle kept alive.".to_owned(),
        bytes: Some(900 * MIB),
        share_of_peak: Some(0.35),
        count: Some(10),
        type_name: Some("pandas.core.frame.DataFrame".to_owned()),
        pid: Some(4123),
        sites: vec![site("/usr/lib/python3.11/json/decoder.py", 353, "decode", 900 * MIB)],
        user_sites: vec![site(at, 18, "make_trips", 900 * MIB)],
        chain: vec![link("DataFrame", ".ww"), link("Accessor", "._dataframe")],
        cycle: Some(true),
        freeable_by_gc: Some(true),
        lingered_seconds: None,
        evidence: Vec::new(),
        suggestion: Some("Use `weakref.ref`.".to_owned()),
    }
}

fn growth() -> Growth {
    Growth {
        from_bytes: 400 * MIB,
        from_seconds: 15.0,
        to_bytes: 1400 * MIB,
        to_seconds: 35.0,
        error_bytes: 9 * MIB,
        sites: vec![site("/home/me/project/bench.py", 18, "make_trips", 980 * MIB)],
    }
}

fn asked(max_peak: &str) -> Asked {
    Asked {
        max_peak: Some(max_peak.parse().unwrap()),
        ..Asked::default()
    }
}

fn forbidding(what: &str) -> Asked {
    Asked {
        forbid: vec![what.parse().unwrap()],
        ..Asked::default()
    }
}

pub fn compared(baseline: Baseline, tolerance: f64) -> Asked {
    Asked {
        baseline: Some(Compared {
            baseline,
            name: "memory.json".to_owned(),
            tolerance,
        }),
        ..Asked::default()
    }
}

pub fn of(asked: &Asked, report: &Report) -> Check {
    check(asked, &[("bench.dw".to_owned(), report)])
}

fn only(check: &Check) -> &Judgement {
    let [checked] = &check.captures[..] else {
        panic!("{check:?}")
    };
    let [judged] = &checked.judgements[..] else {
        panic!("{checked:?}")
    };
    assert_eq!((check.verdict, checked.verdict), (judged.verdict, judged.verdict));
    judged
}

fn everything() -> (Asked, Report) {
    let mut report = bench();
    report.findings.insert(0, garbage(Severity::High));
    report.growth = Some(growth());
    let mut asked = asked("2GiB");
    asked.max_rss = Some("3GB".parse().unwrap());
    asked.max_growth = Some("100 MiB".parse().unwrap());
    asked.forbid = vec![
        "cyclic_garbage:Accessor".parse().unwrap(),
        "native_leak".parse().unwrap(),
    ];
    (asked, report)
}

fn rendered(render: impl Fn(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_names_line_library_and_chain() {
    let (asked, report) = everything();
    let check = of(&asked, &report);
    assert_eq!(check.verdict, Verdict::Broken);
    insta::assert_snapshot!(rendered(|out| text::render(&check, &STYLE, out)));
}

#[test]
fn markdown_of_two_captures() {
    let (asked, report) = everything();
    let mut healthy = fixture::report(fixture::pool());
    healthy.run.complete = false;
    let check = check(
        &asked,
        &[("a|b.dw".to_owned(), &report), ("pool.dw".to_owned(), &healthy)],
    );
    insta::assert_snapshot!(rendered(|out| markdown::render(&check, out)));
}

#[test]
fn annotations_stand_at_the_line_of_the_culprit() {
    let (asked, report) = everything();
    let check = of(&asked, &report);
    let commands = rendered(|out| github::render(&check, "/home/me/project", out));
    assert_eq!(
        commands.matches("::error file=bench.py,line=18,title=").count(),
        3,
        "{commands}"
    );
    // A command is one line, whatever it says.
    let lines: Vec<&str> = commands.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("::error ") || line.starts_with("deadweight: "))
    );
    assert!(commands.contains("(15 %25)") && commands.contains("%0A"), "{commands}");
    insta::assert_snapshot!(commands);
    let elsewhere = rendered(|out| github::render(&check, "/somewhere/else", out));
    assert!(
        elsewhere.contains("::error title=Memory") && !elsewhere.contains("file="),
        "{elsewhere}"
    );
}

#[test]
fn json_has_every_figure() {
    let (asked, report) = everything();
    let value: serde_json::Value = serde_json::from_str(&rendered(|out| of(&asked, &report).json(out))).unwrap();
    assert_eq!(value["schema"], "deadweight.check/1");
    let first = &value["captures"][0]["judgements"][0];
    assert_eq!(
        (first["rule"].as_str(), first["verdict"].as_str()),
        (Some("max_peak"), Some("broken"))
    );
    assert_eq!(first["measured_bytes"], 2365 * MIB);
    assert_eq!(first["limit_bytes"], 2048 * MIB);
    assert_eq!(first["culprit"]["lines"][0]["line"], 18);
    assert_eq!(first["culprit"]["lines"][0]["library"]["line"], 583);
    assert_eq!(first["culprit"]["finding"]["chain"][0]["edge"], ".ww");
}

/// What the schemas of JUnit's XML have in common (Jenkins' xUnit plugin, Apache Ant): the outermost element is bare, a suite has
/// properties, cases and outputs in this order, names, counts and times are everywhere, and a case has at most one failure
/// or error.
#[test]
fn junit_has_the_form_that_ci_systems_read() {
    let (asked, report) = everything();
    let watched = {
        let mut report = bench();
        report.run.watched = true;
        report
    };
    let check = check(
        &asked,
        &[("bench.dw".to_owned(), &report), ("watch.dw".to_owned(), &watched)],
    );
    let xml = rendered(|out| junit::render(&check, out));
    let mut reader = quick_xml::Reader::from_str(&xml);
    let (mut path, mut suites): (Vec<String>, Vec<[usize; 6]>) = (Vec::new(), Vec::new());
    let mut order = 0;
    loop {
        let (element, is_empty) = match reader.read_event().unwrap() {
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::End(_) => {
                path.pop();
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
        let attribute = |name: &str| {
            let found = element.try_get_attribute(name).unwrap();
            found.map(|found| String::from_utf8(found.value.into_owned()).unwrap())
        };
        let count = |name: &str| attribute(name).unwrap().parse::<usize>().unwrap();
        let parent = path.last().map(String::as_str);
        if let Some(place) = ["properties", "testcase", "system-out", "system-err"]
            .iter()
            .position(|known| *known == name)
        {
            assert!(place >= order, "{name} is too late");
            order = place;
        }
        match name.as_str() {
            "testsuites" => assert!(parent.is_none() && element.attributes().next().is_none()),
            "testsuite" => {
                assert_eq!(parent, Some("testsuites"));
                for required in ["name", "id", "package", "hostname", "timestamp", "time"] {
                    assert!(attribute(required).is_some(), "{required}");
                }
                assert_eq!(attribute("timestamp").unwrap(), "2026-11-22T20:14:00");
                order = 0;
                suites.push([count("tests"), count("failures"), count("errors"), 0, 0, 0]);
            }
            "testcase" => {
                assert_eq!(parent, Some("testsuite"));
                assert!(attribute("name").is_some() && attribute("classname").is_some() && attribute("time").is_some());
                suites.last_mut().unwrap()[3] += 1;
            }
            "failure" | "error" => {
                assert_eq!(parent, Some("testcase"));
                assert!(attribute("message").is_some() && attribute("type").is_some());
                suites.last_mut().unwrap()[if name == "failure" { 4 } else { 5 }] += 1;
            }
            "property" => assert_eq!(parent, Some("properties")),
            "properties" | "system-out" | "system-err" => assert_eq!(parent, Some("testsuite")),
            other => panic!("unknown element {other}"),
        }
        if !is_empty {
            path.push(name);
        }
    }
    for [tests, failures, errors, cases, failed, erred] in &suites {
        assert_eq!((tests, failures, errors), (cases, failed, erred));
    }
    assert_eq!(suites, [[5, 3, 0, 5, 3, 0], [5, 0, 4, 5, 0, 4]]);
    insta::assert_snapshot!(xml);
}

#[test]
fn a_limit_within_the_error_is_judged_by_the_estimate_and_said() {
    for (limit, verdict, is_close) in [
        ("2300MiB", Verdict::Broken, false),
        ("2350MiB", Verdict::Broken, true),
        ("2365MiB", Verdict::Holds, true),
        ("2380MiB", Verdict::Holds, true),
        ("2400MiB", Verdict::Holds, false),
    ] {
        let check = of(&asked(limit), &bench());
        let judged = only(&check);
        assert_eq!(judged.verdict, verdict, "{limit}");
        let said = judged.notes.iter().any(|note| note.contains("± 30.0 MiB"));
        assert_eq!(said, is_close, "{limit}: {:?}", judged.notes);
        assert_eq!(judged.culprit.is_some(), verdict == Verdict::Broken);
    }
}

#[test]
fn what_the_capture_does_not_know_cannot_be_judged() {
    type Change = fn(&mut Report);
    let cases: [(Change, &str); 4] = [
        (|report| report.run.watched = true, "only --max-rss can be judged"),
        (|report| report.run.complete = false, "is not whole"),
        (|report| report.end_was_seen = false, "The end of the run was not seen"),
        (|report| report.peak.heap_bytes = Some(0), "Nothing was recorded"),
    ];
    for (change, why) in cases {
        let mut report = bench();
        change(&mut report);
        // Whether the figure is above the limit or below it: what is missing may be the ends of blocks.
        let mut all = vec![asked("1GiB"), asked("4GiB"), forbidding("peak_spike")];
        all.push(compared(Baseline::of("x", &bench()).unwrap(), 0.05));
        for asked in all {
            let check = of(&asked, &report);
            let judged = only(&check);
            assert_eq!(judged.verdict, Verdict::Unjudged, "{judged:?}");
            let is_said = judged.says.contains(why) || judged.rule == Rule::BaselinePeak;
            assert!(is_said, "{judged:?}");
        }
    }
}

#[test]
fn resident_memory_is_judged_without_recording_and_without_deadweights_own() {
    let rss = |limit: &str| Asked {
        max_rss: Some(limit.parse().unwrap()),
        ..Asked::default()
    };
    let mut report = bench();
    report.run.watched = true;
    assert_eq!(of(&rss("2540MiB"), &report).verdict, Verdict::Holds);
    let check = of(&rss("2539MiB"), &report);
    assert_eq!(check.verdict, Verdict::Broken);
    report.peak.ledger.deadweight = Some(MIB);
    let check = of(&rss("2539MiB"), &report);
    assert_eq!(check.verdict, Verdict::Holds);
    assert!(only(&check).says.contains("without deadweight's own 1.00 MiB"));
    report.end_was_seen = false;
    assert_eq!(of(&rss("2539MiB"), &report).verdict, Verdict::Unjudged);
}

#[test]
fn growth_needs_time() {
    let growing = |limit: &str| Asked {
        max_growth: Some(limit.parse().unwrap()),
        ..Asked::default()
    };
    let mut report = bench();
    assert_eq!(of(&growing("0"), &report).verdict, Verdict::Unjudged);
    report.growth = Some(growth());
    assert_eq!(of(&growing("1GiB"), &report).verdict, Verdict::Holds);
    let check = of(&growing("900MiB"), &report);
    assert_eq!(only(&check).measured_bytes, Some(1000 * MIB));
    assert!(
        only(&check).culprit.as_ref().unwrap().lines[0]
            .place
            .contains("bench.py:18")
    );
    report.growth = Some(Growth {
        to_bytes: 300 * MIB,
        error_bytes: 0,
        ..growth()
    });
    assert_eq!(of(&growing("0"), &report).verdict, Verdict::Holds);
}

#[test]
fn forbidden_is_what_was_named_if_it_is_grave() {
    let mut report = bench();
    report.findings = vec![garbage(Severity::Medium)];
    for (what, verdict) in [
        ("cyclic_garbage", Verdict::Broken),
        ("cyclic_garbage:DataFrame", Verdict::Broken),
        ("cyclic_garbage:frame.DataFrame", Verdict::Broken),
        ("cyclic_garbage:pandas.core.frame.DataFrame", Verdict::Broken),
        ("cyclic_garbage:Accessor", Verdict::Broken),
        ("cyclic_garbage:Frame", Verdict::Holds),
        ("cyclic_garbage:dask.DataFrame", Verdict::Holds),
        ("uncollectable", Verdict::Holds),
    ] {
        assert_eq!(of(&forbidding(what), &report).verdict, verdict, "{what}");
    }
    report.findings = vec![garbage(Severity::Low)];
    let check = of(&forbidding("cyclic_garbage"), &report);
    assert_eq!(only(&check).verdict, Verdict::Holds);
    assert!(only(&check).notes[0].starts_with("Small enough to be normal: 900 MiB"));
}

#[test]
fn without_a_snapshot_nothing_is_known_of_garbage() {
    let mut report = bench();
    report.run.heap_snapshots = 0;
    for (what, verdict) in [
        ("cyclic_garbage", Verdict::Unjudged),
        ("growing_holder:list", Verdict::Unjudged),
        ("allocator_slack", Verdict::Holds),
    ] {
        assert_eq!(of(&forbidding(what), &report).verdict, verdict, "{what}");
    }
    report.findings = vec![garbage(Severity::High)];
    assert_eq!(of(&forbidding("cyclic_garbage"), &report).verdict, Verdict::Broken);
}

#[test]
fn a_run_that_memory_ran_out_of_holds_nothing() {
    let (mut manifest, analysis) = fixture::bench();
    manifest.exit = Some(fixture::out_of_memory());
    let mut report = fixture::report((manifest, analysis));
    report.run.heap_snapshots = 1;
    let check = of(&asked("4GiB"), &report);
    assert_eq!(only(&check).verdict, Verdict::Unjudged);
    assert!(only(&check).notes[0].contains("was killed because memory ran out"));
    assert_eq!(of(&asked("1GiB"), &report).verdict, Verdict::Broken);
    assert_eq!(of(&forbidding("out_of_memory"), &report).verdict, Verdict::Broken);
    let refused = Baseline::of("bench.dw", &report).unwrap_err();
    assert!(refused.contains("memory ran out"), "{refused}");
}

#[test]
fn a_failure_is_noted() {
    let (mut manifest, analysis) = fixture::bench();
    manifest.exit = Some(fixture::exit(ExitKind::Failed, Some(3), None));
    let check = of(&asked("4GiB"), &fixture::report((manifest, analysis)));
    assert_eq!(check.verdict, Verdict::Holds);
    let notes = &check.captures[0].notes;
    assert!(notes[0].starts_with("bench.py ended with exit status 3"), "{notes:?}");
}

#[test]
fn one_capture_that_breaks_a_limit_decides() {
    let mut cut = bench();
    cut.run.complete = false;
    let good = bench();
    let verdict = |limit: &str, reports: &[&Report]| {
        let named: Vec<(String, &Report)> = reports.iter().map(|report| ("x.dw".to_owned(), *report)).collect();
        check(&asked(limit), &named).verdict
    };
    assert_eq!(verdict("4GiB", &[&good, &good]), Verdict::Holds);
    assert_eq!(verdict("4GiB", &[&good, &cut]), Verdict::Unjudged);
    assert_eq!(verdict("1GiB", &[&cut, &good]), Verdict::Broken);
}

#[test]
fn hostile_names_stay_on_their_line() {
    let mut report = fixture::report(fixture::hostile());
    report.findings.insert(0, garbage(Severity::High));
    report.findings[0].title = "a\n::set-output name=x::y\u{1b}[2J".to_owned();
    report.findings[0].user_sites[0].at.file = "/home/me/project/a,b:c\n%.py".to_owned();
    report.run.complete = true;
    report.run.heap_snapshots = 1;
    let mut asked = asked("1MiB");
    asked.forbid = vec!["cyclic_garbage".parse().unwrap()];
    let check = check(&asked, &[("a\n::error::b".to_owned(), &report)]);
    let commands = rendered(|out| github::render(&check, "/home/me/project", out));
    assert!(
        commands
            .lines()
            .all(|line| line.starts_with("::error ") || line.starts_with("deadweight: ")),
        "{commands}"
    );
    assert!(commands.contains("file=a%2Cb%3Ac %25.py,line=18,"), "{commands}");
    for view in [
        rendered(|out| text::render(&check, &STYLE, out)),
        rendered(|out| markdown::render(&check, out)),
        rendered(|out| junit::render(&check, out)),
    ] {
        assert!(!view.contains('\u{1b}'), "{view}");
        assert!(!view.lines().any(|line| line.starts_with("::")), "{view}");
    }
}

#[test]
fn an_exact_run_has_no_error_to_speak_of() {
    let (manifest, mut analysis) = fixture::bench();
    analysis.peak.heap = Amount {
        bytes: 100 * MIB,
        blocks: 1,
        variance: 0,
    };
    let check = of(
        &asked(&format!("{}k", 100 * KIB)),
        &fixture::report((manifest, analysis)),
    );
    assert_eq!(only(&check).verdict, Verdict::Holds);
    assert!(only(&check).notes.is_empty());
    assert!(only(&check).says.contains("exactly the limit"), "{}", only(&check).says);
}
