//! The verdicts as a person reads them in a terminal.

use std::io::{self, Write};

use super::model::{Check, Checked, Judgement, Verdict};
use crate::text::Style;
use crate::text::layout::{Page, Paint};
use crate::words::names;

/// `bench.dw does not hold: 1 of 3 limits`.
pub(crate) fn headline(checked: &Checked) -> String {
    let name = names::clean(&checked.capture);
    let count = |verdict: Verdict| {
        let with = checked.judgements.iter().filter(|judged| judged.verdict == verdict);
        with.count()
    };
    let all = checked.judgements.len();
    let of_all = |count: usize| {
        if all == 1 {
            String::new()
        } else {
            format!(" ({count} of {all})")
        }
    };
    match checked.verdict {
        Verdict::Holds => format!("{name} holds"),
        Verdict::Broken => format!("{name} does not hold{}", of_all(count(Verdict::Broken))),
        Verdict::Unjudged => format!("{name} could not be judged{}", of_all(count(Verdict::Unjudged))),
    }
}

/// What is said of one judgement besides its first sentence.
pub(crate) fn details(judged: &Judgement) -> Vec<String> {
    let mut all: Vec<String> = judged.culprit.iter().flat_map(|culprit| culprit.sentences()).collect();
    // A finding that is the verdict itself has been told.
    all.retain(|sentence| !sentence.starts_with(&judged.says));
    all.extend(judged.notes.iter().cloned());
    all
}

/// Writes all verdicts, each with its reasons.
///
/// # Errors
/// If `out` fails.
pub fn render(check: &Check, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(style, out);
    for (at, checked) in check.captures.iter().enumerate() {
        if at > 0 {
            page.gap()?;
        }
        let headline = format!("deadweight: {}", headline(checked));
        page.wrapped((Paint::Bold, ""), "  ", (Paint::Bold, &headline))?;
        for judged in &checked.judgements {
            self::judged(&mut page, judged)?;
        }
        for note in &checked.notes {
            page.wrapped(
                (Paint::Plain, "  Note: "),
                "        ",
                (Paint::Plain, &names::clean(note)),
            )?;
        }
    }
    Ok(())
}

fn judged(page: &mut Page<'_>, judged: &Judgement) -> io::Result<()> {
    const INDENT: &str = "        ";
    let (paint, label) = match judged.verdict {
        Verdict::Holds => (Paint::Plain, "  ok    "),
        Verdict::Broken => (Paint::Red, "  FAIL  "),
        Verdict::Unjudged => (Paint::Yellow, "  ?     "),
    };
    page.wrapped((paint, label), INDENT, (Paint::Plain, &names::clean(&judged.asked)))?;
    page.wrapped(
        (Paint::Plain, INDENT),
        INDENT,
        (Paint::Plain, &names::clean(&judged.says)),
    )?;
    for sentence in details(judged) {
        page.wrapped(
            (Paint::Plain, INDENT),
            "          ",
            (Paint::Plain, &names::clean(&sentence)),
        )?;
    }
    Ok(())
}
