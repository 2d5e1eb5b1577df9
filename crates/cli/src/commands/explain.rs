//! `deadweight explain`: the page of a kind of finding.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result, bail};

use crate::args::ExplainArgs;

// `PAGES`: kind and text of each page in docs/guide/findings, in the order of the kinds. Made by build.rs.
include!(concat!(env!("OUT_DIR"), "/finding_pages.rs"));

/// Prints the page, or, without a kind, what there is to explain.
///
/// # Errors
/// If there is no such kind, or standard output cannot be written.
pub fn explain(args: &ExplainArgs) -> Result<()> {
    let text = match &args.kind {
        None => list(),
        Some(kind) => page(kind)?.to_owned(),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // `deadweight explain | head`: the reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}

fn page(kind: &str) -> Result<&'static str> {
    // As JSON spells it, or as a person might.
    let wanted = kind.to_lowercase().replace(['-', ' '], "_");
    match PAGES.iter().find(|(kind, _)| *kind == wanted) {
        Some((_, text)) => Ok(text),
        None => {
            let kinds: Vec<&str> = PAGES.iter().map(|(kind, _)| *kind).collect();
            bail!(
                "there is no kind of finding called {kind}: there are {}",
                kinds.join(", ")
            )
        }
    }
}

/// The headings, one a line.
fn list() -> String {
    let heading = |(_, text): &(&str, &str)| {
        let first = text.lines().next().unwrap_or_default();
        format!("{}\n", first.trim_start_matches("# "))
    };
    let mut text: String = PAGES.iter().map(heading).collect();
    text.push_str("\nMore about one of them: deadweight explain KIND\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_how_and_when_it_is_wrong() {
        assert!(PAGES.len() >= 6);
        for (kind, text) in PAGES {
            assert!(text.starts_with(&format!("# {kind}: ")), "{kind}");
            for part in [
                "\n## How it was found\n",
                "\n## How to fix it\n",
                "\n## When it is wrong\n",
            ] {
                assert!(text.contains(part), "{kind}: {part:?} is missing");
            }
            assert!(page(kind).is_ok() && list().contains(&format!("{kind}: ")));
        }
    }

    #[test]
    fn a_kind_may_be_spelt_by_a_person() {
        assert!(page("Peak-Spike").is_ok());
        let error = page("leak").unwrap_err().to_string();
        assert!(error.contains("native_leak, "), "{error}");
    }
}
