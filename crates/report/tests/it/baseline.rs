//! Baselines: small files that another machine, another day and a moved line do not change.

use deadweight_report::baseline::Baseline;
use deadweight_report::check::{Rule, Verdict};
use deadweight_report::{Mode, Report, Severity};

use crate::check::{bench, compared, garbage, of};
use crate::fixture::MIB;

fn written(report: &Report) -> String {
    let mut out = Vec::new();
    Baseline::of("bench.dw", report).unwrap().render(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn read(text: &str) -> Baseline {
    Baseline::read(text.as_bytes()).unwrap()
}

/// The same run of a checkout elsewhere, with the environment elsewhere.
fn elsewhere(mut report: Report) -> Report {
    let moved = |text: &str| {
        let text = text.replace("/home/me/project/.venv/", "/opt/env/");
        text.replace("/home/me/project", "/ci/build")
    };
    report.run.cwd = Some("/ci/build".to_owned());
    for site in report.peak.user_sites.iter_mut().chain(&mut report.peak.sites) {
        site.at.file = moved(&site.at.file);
    }
    for site in report.findings.iter_mut().flat_map(|found| &mut found.user_sites) {
        site.at.file = moved(&site.at.file);
    }
    report
}

fn with_garbage() -> Report {
    let mut report = bench();
    report.findings.insert(0, garbage(Severity::High));
    report
}

#[test]
fn a_baseline_is_short_sorted_and_read_back() {
    let text = written(&with_garbage());
    insta::assert_snapshot!(text);
    assert_eq!(read(&text), Baseline::of("bench.dw", &with_garbage()).unwrap());
    assert_eq!(text, written(&with_garbage()));
}

#[test]
fn another_checkout_and_environment_write_the_same_bytes() {
    assert_eq!(written(&elsewhere(with_garbage())), written(&with_garbage()));
}

#[test]
fn the_same_program_holds_wherever_its_lines_are() {
    let baseline = read(&written(&with_garbage()));
    let mut report = elsewhere(with_garbage());
    for site in report.findings.iter_mut().flat_map(|found| &mut found.user_sites) {
        site.at.line = site.at.line.map(|line| line + 40);
    }
    for site in &mut report.peak.user_sites {
        site.at.line = site.at.line.map(|line| line + 40);
    }
    let check = of(&compared(baseline, 0.0), &report);
    assert_eq!(check.verdict, Verdict::Holds, "{check:#?}");
}

/// The report with this much more from its first line, which is `make_trips`.
fn grown(by: u64) -> Report {
    let mut report = bench();
    report.peak.heap_bytes = report.peak.heap_bytes.map(|bytes| bytes + by);
    report.peak.user_sites[0].bytes += by;
    report
}

#[test]
fn a_rise_beyond_tolerance_and_error_is_told_at_its_line() {
    let baseline = read(&written(&bench()));
    // 5 % of 2365 MiB are 118 MiB; both have a standard error of 15 MiB, so twice that of the difference is 43 MiB.
    for (by, verdict, is_said) in [
        (100, Verdict::Holds, false),
        (150, Verdict::Holds, true),
        (200, Verdict::Broken, false),
    ] {
        let check = of(&compared(baseline.clone(), 0.05), &grown(by * MIB));
        let judged = &check.captures[0].judgements[0];
        assert_eq!(
            (judged.rule, judged.verdict),
            (Rule::BaselinePeak, verdict),
            "{by}: {judged:?}"
        );
        let notes = judged
            .notes
            .iter()
            .any(|note| note.contains("the sampling error of both"));
        assert_eq!(notes, is_said, "{by}: {judged:?}");
        if verdict == Verdict::Broken {
            let line = &judged.culprit.as_ref().unwrap().lines[0];
            assert_eq!(line.place, "bench.py:18");
            assert!(line.before_bytes.unwrap().abs_diff(1440 * MIB) < 10 * MIB);
        }
    }
}

#[test]
fn a_finding_that_came_breaks_it_and_one_that_stayed_does_not() {
    let asked = compared(read(&written(&bench())), 0.05);
    let check = of(&asked, &with_garbage());
    let [peak, findings] = &check.captures[0].judgements[..] else {
        panic!("{check:?}")
    };
    assert_eq!((peak.verdict, findings.verdict), (Verdict::Holds, Verdict::Broken));
    assert!(
        findings.says.contains("900 MiB of the peak was garbage"),
        "{}",
        findings.says
    );
    let mut low = bench();
    low.findings.insert(0, garbage(Severity::Low));
    assert_eq!(of(&asked, &low).verdict, Verdict::Holds);
    // It was there before, if only just below what counts.
    let known = compared(read(&written(&low)), 0.05);
    assert_eq!(of(&known, &with_garbage()).verdict, Verdict::Holds);
}

#[test]
fn another_program_and_another_mode_are_refused() {
    let baseline = read(&written(&bench()));
    let unjudged = |change: &dyn Fn(&mut Report)| {
        let mut report = bench();
        change(&mut report);
        let check = of(&compared(baseline.clone(), 0.05), &report);
        assert_eq!(check.verdict, Verdict::Unjudged);
        check.captures[0].judgements[0].says.clone()
    };
    let says = unjudged(&|report| report.run.argv[0] = "other.py".to_owned());
    assert!(
        says.contains("of another program: it is of bench.py, and bench.dw is of other.py"),
        "{says}"
    );
    let says = unjudged(&|report| report.run.mode = Mode::Exact);
    assert!(
        says.contains("is of a sampled run, and bench.dw is of an exact run"),
        "{says}"
    );
    let says = unjudged(&|report| report.run.watched = true);
    assert!(says.contains("a watched run"), "{says}");
}

#[test]
fn what_may_explain_a_difference_is_noted() {
    let baseline = read(&written(&bench()));
    let mut report = bench();
    report.run.python = Some("3.13.0".to_owned());
    report.run.argv.push("--more".to_owned());
    let check = of(&compared(baseline, 0.05), &report);
    let notes = check.captures[0].judgements[0].notes.join(" ");
    assert!(notes.contains("Python 3.11.7, this run of Python 3.13.0"), "{notes}");
    assert!(notes.contains("the arguments differ"), "{notes}");
    assert_eq!(check.verdict, Verdict::Holds);
}

#[test]
fn watched_runs_are_compared_by_resident_memory() {
    let watched = |rss: u64| {
        let mut report = bench();
        report.run.watched = true;
        report.peak.heap_bytes = None;
        report.peak.user_sites.clear();
        report.findings.clear();
        report.peak.rss_bytes = Some(rss);
        report
    };
    let text = written(&watched(1000 * MIB));
    assert!(
        text.contains("\"mode\": null") && text.contains("\"sites\": []"),
        "{text}"
    );
    let asked = compared(read(&text), 0.05);
    assert_eq!(of(&asked, &watched(1049 * MIB)).verdict, Verdict::Holds);
    assert_eq!(of(&asked, &watched(1060 * MIB)).verdict, Verdict::Broken);
}

#[test]
fn what_is_no_baseline_is_told_so() {
    let refused = |text: &str| Baseline::read(text.as_bytes()).unwrap_err();
    assert!(refused("").contains("is no baseline"));
    assert!(refused("[1]").contains("is no baseline"));
    assert!(refused("{\"schema\": \"deadweight.report/1\"}").contains("is no baseline but a deadweight.report/1"));
    assert!(refused("{\"schema\": \"deadweight.baseline/2\"}").contains("update deadweight"));
    let text = written(&bench());
    assert!(refused(&text.replace("\"peak\"", "\"peek\"")).contains("is a damaged baseline"));
    assert!(refused(&text[..text.len() / 2]).contains("is no baseline"));
    assert!(refused(&text.replace("18,", "-18,")).contains("is a damaged baseline"));
}

#[test]
fn a_run_that_is_not_whole_is_no_baseline() {
    let mut report = bench();
    report.run.complete = false;
    assert!(Baseline::of("bench.dw", &report).unwrap_err().contains("not whole"));
}
