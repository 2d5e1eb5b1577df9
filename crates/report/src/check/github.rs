//! The verdicts as workflow commands of GitHub Actions: annotations at the lines of the culprits.

use std::io::{self, Write};

use super::culprit::CulpritLine;
use super::model::{Check, Checked, Judgement, Verdict};
use super::text::{details, headline};
use crate::words::names;

/// What a message must not contain.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What the value of a property must not contain.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The file from the root of the checkout; `None` if it is not below it.
fn in_checkout(file: &str, cwd: Option<&str>, root: &str) -> Option<String> {
    if file.starts_with('<') {
        return None;
    }
    let whole = match (file.starts_with('/'), cwd) {
        (true, _) => file.to_owned(),
        (false, Some(cwd)) => format!("{}/{file}", cwd.trim_end_matches('/')),
        (false, None) => return None,
    };
    let below = whole.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/')?;
    // An environment inside of the checkout is no part of it.
    let is_own = !below.is_empty() && crate::words::library_path::library_start(file).is_none();
    is_own.then(|| below.to_owned())
}

/// The first line of the culprit that is a file of the checkout.
fn place(judged: &Judgement, checked: &Checked, root: &str) -> Option<String> {
    let lines = judged.culprit.iter().flat_map(|culprit| &culprit.lines);
    let place = |line: &CulpritLine| {
        let file = property(&names::clean(&in_checkout(
            &line.at.file,
            checked.cwd.as_deref(),
            root,
        )?));
        Some(match line.at.line {
            Some(line) => format!("file={file},line={line},"),
            None => format!("file={file},"),
        })
    };
    lines.filter_map(place).next()
}

/// Writes a command for each verdict that is not good; `root` is the folder of the checkout.
///
/// # Errors
/// If `out` fails.
pub fn render(check: &Check, root: &str, out: &mut dyn Write) -> io::Result<()> {
    for checked in &check.captures {
        for judged in &checked.judgements {
            let sentences = std::iter::once(judged.says.clone()).chain(details(judged));
            let message: Vec<String> = sentences.map(|text| names::clean(&text).into_owned()).collect();
            let message = data(&message.join("\n"));
            let command = match judged.verdict {
                Verdict::Holds if judged.notes.is_empty() => continue,
                Verdict::Holds => "notice",
                Verdict::Broken | Verdict::Unjudged => "error",
            };
            let place = place(judged, checked, root).unwrap_or_default();
            let title = match judged.verdict {
                Verdict::Unjudged => format!("Memory of {}: could not be judged", checked.capture),
                _ => format!("Memory of {}: {}", checked.capture, judged.asked),
            };
            writeln!(
                out,
                "::{command} {place}title={}::{message}",
                property(&names::clean(&title))
            )?;
        }
        writeln!(out, "deadweight: {}", names::clean(&headline(checked)))?;
    }
    Ok(())
}

/// Writes the command for an error that there is no verdict for.
///
/// # Errors
/// If `out` fails.
pub fn error(message: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "::error title=deadweight check::{}", data(&names::clean(message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_escaped_as_the_runner_reads_them() {
        assert_eq!(data("5 % of\r\nit: a,b"), "5 %25 of%0D%0Ait: a,b");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    #[test]
    fn files_are_named_from_the_root_of_the_checkout() {
        let root = "/home/runner/work/p/p";
        let name = |file: &str, cwd: Option<&str>| in_checkout(file, cwd, root);
        assert_eq!(
            name("/home/runner/work/p/p/src/a.py", None),
            Some("src/a.py".to_owned())
        );
        assert_eq!(
            name("a.py", Some("/home/runner/work/p/p/src")),
            Some("src/a.py".to_owned())
        );
        assert_eq!(name("/home/runner/work/p/p2/a.py", None), None);
        assert_eq!(name("/opt/lib/python3.11/json/decoder.py", None), None);
        assert_eq!(
            name("/home/runner/work/p/p/.venv/lib/python3.11/site-packages/x.py", None),
            None
        );
        assert_eq!(name("<string>", Some(root)), None);
    }
}
