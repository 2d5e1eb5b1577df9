//! The verdicts as Markdown: the summary of a CI job, a comment on a pull request.

use std::io::{self, Write};

use super::model::{Check, Judgement, Verdict};
use super::text::{details, headline};
use crate::words::names;

/// Text in which nothing is markup; what stands in backticks stays code.
fn escaped(text: &str) -> String {
    let text = names::clean(text);
    let has_code = text.matches('`').count().is_multiple_of(2);
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split('`').enumerate() {
        let is_code = has_code && at % 2 == 1;
        if at > 0 {
            out.push_str(if has_code { "`" } else { "\\`" });
        }
        for c in part.chars() {
            let is_markup = matches!(c, '\\' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '~' | '&');
            // A bar ends a cell of a table, in code too.
            if c == '|' || is_markup && !is_code {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "✅",
        Verdict::Broken => "❌",
        Verdict::Unjudged => "❔",
    }
}

/// Writes a table for each capture, and below it the reasons of what does not hold.
///
/// # Errors
/// If `out` fails.
pub fn render(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    for (at, checked) in check.captures.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        writeln!(
            out,
            "### {} Memory: {}",
            sign(checked.verdict),
            escaped(&headline(checked))
        )?;
        writeln!(out)?;
        writeln!(out, "| | Asked | Found |")?;
        writeln!(out, "|---|---|---|")?;
        for judged in &checked.judgements {
            let (asked, says) = (names::clean(&judged.asked).replace('|', "\\|"), escaped(&judged.says));
            writeln!(out, "| {} | `{asked}` | {says} |", sign(judged.verdict))?;
        }
        for judged in &checked.judgements {
            reasons(judged, out)?;
        }
        for note in &checked.notes {
            writeln!(out, "\nNote: {}", escaped(note))?;
        }
    }
    Ok(())
}

fn reasons(judged: &Judgement, out: &mut dyn Write) -> io::Result<()> {
    let reasons = details(judged);
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n**{}**\n", escaped(&judged.asked))?;
    for sentence in reasons {
        writeln!(out, "- {}", escaped(&sentence))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup_and_code_stays_code() {
        assert_eq!(
            escaped("in f.<locals>.<listcomp> | a_b*c"),
            "in f.\\<locals\\>.\\<listcomp\\> \\| a\\_b\\*c"
        );
        assert_eq!(escaped("use `x._y` here"), "use `x._y` here");
        assert_eq!(escaped("a ` b_c"), "a \\` b\\_c");
    }
}
