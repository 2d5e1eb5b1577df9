//! The verdicts as JUnit's XML, which CI systems read: a suite for each capture, a test case for each thing that was asked.
//!
//! There is no standard. This is valid against the schemas in use (that of Jenkins' xUnit plugin, and the one that comes
//! from Apache Ant's documents), which is why a suite has a host and a time, and a case no output of its own.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::model::{Check, Checked, Judgement, Verdict};
use super::text::details;
use crate::words::names;

/// When a run began of which nobody knows it.
const UNKNOWN: &str = "1970-01-01T00:00:00";

/// Writes one document.
///
/// # Errors
/// If `out` fails.
pub fn render(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("deadweight check");
    report.add_test_suites(check.captures.iter().enumerate().map(suite));
    let document = report.to_string().map_err(io::Error::other)?;
    // No two schemas agree on what the outermost element may have, but nothing is fine with all of them.
    let bare = document.split_once("<testsuites ").and_then(|(head, rest)| {
        let (_, body) = rest.split_once('>')?;
        Some(format!("{head}<testsuites>{body}"))
    });
    writeln!(out, "{}", bare.unwrap_or(document).trim_end())
}

fn suite((number, checked): (usize, &Checked)) -> TestSuite {
    let mut suite = TestSuite::new(names::clean(&checked.capture).into_owned());
    let program = names::program(&checked.argv);
    suite.add_test_cases(checked.judgements.iter().map(|judged| case(judged, &program)));
    let started = checked
        .started
        .as_deref()
        .map_or(UNKNOWN, |time| time.trim_end_matches('Z'));
    suite.set_time(Duration::ZERO);
    for (name, value) in [
        ("id", number.to_string()),
        ("package", program),
        ("hostname", "localhost".to_owned()),
        ("timestamp", started.to_owned()),
    ] {
        suite.extra.insert(name.into(), value.into());
    }
    let argv = names::clean(&checked.argv.join(" ")).into_owned();
    suite.add_property(("argv", argv.as_str()));
    let all = checked
        .judgements
        .iter()
        .map(|judged| format!("{}: {}", judged.asked, judged.says));
    let all: Vec<String> = all.chain(checked.notes.iter().cloned()).collect();
    let all: Vec<String> = all.iter().map(|text| names::clean(text).into_owned()).collect();
    suite.set_system_out(all.join("\n")).set_system_err("");
    suite
}

fn case(judged: &Judgement, program: &str) -> TestCase {
    let says = names::clean(&judged.says).into_owned();
    let mut all = vec![says.clone()];
    all.extend(details(judged).iter().map(|text| names::clean(text).into_owned()));
    let bad = |kind: NonSuccessKind, word: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status
            .set_message(says.clone())
            .set_type(word)
            .set_description(all.join("\n"));
        status
    };
    let status = match judged.verdict {
        Verdict::Holds => TestCaseStatus::success(),
        Verdict::Broken => bad(NonSuccessKind::Failure, "does_not_hold"),
        Verdict::Unjudged => bad(NonSuccessKind::Error, "could_not_be_judged"),
    };
    let mut case = TestCase::new(names::clean(&judged.asked).into_owned(), status);
    case.set_classname(program.to_owned()).set_time(Duration::ZERO);
    case
}
