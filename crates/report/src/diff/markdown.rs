//! A comparison as Markdown, for a pull request: who has nothing else must know what changed, by how much, how surely,
//! and where.

use std::io::{self, Write};

use super::model::{Diff, Figure, FindingChange, PathChange, Side, SiteChange, Standing, TypeChange};
use super::words;
use crate::model::Mode;
use crate::words::{names, units};

/// Frames of a call path.
const FRAMES: usize = 5;

/// Writes the comparison; `most` rows of each list.
///
/// # Errors
/// If `out` fails.
pub fn render(diff: &Diff, most: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut sentences = words::summary(diff).into_iter();
    let headline = sentences.next().unwrap_or_default();
    writeln!(out, "### Memory: {}\n", escaped(headline.trim_end_matches('.')))?;
    for sentence in sentences {
        writeln!(out, "- {}", escaped(&sentence))?;
    }
    writeln!(out)?;
    totals(diff, out)?;
    findings(diff, most, out)?;
    sites("Lines that changed", diff, &diff.user_sites, most, out)?;
    let inner: Vec<SiteChange> = diff.sites.clone();
    if !same_places(&inner, &diff.user_sites) {
        sites("Innermost lines that changed", diff, &inner, most, out)?;
    }
    paths(diff, most, out)?;
    types(diff, most, out)?;
    details(diff, out)
}

/// Text that Markdown and HTML take literally.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in names::clean(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Text as code: in a table a `|` would end the cell, and a backtick the code.
fn code(text: &str) -> String {
    let text = names::clean(text).replace('`', "'").replace('|', "\\|");
    match text.is_empty() {
        true => String::new(),
        false => format!("`{text}`"),
    }
}

fn heading(text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n#### {text}\n")
}

fn change(figure: &Figure) -> String {
    match figure.has_changed() {
        true => format!("**{}** ({})", words::change(figure), words::ratio(figure)),
        false => words::change(figure),
    }
}

/// The standard error of a change that is an estimate.
fn error(figure: &Figure) -> String {
    match figure.error_bytes.filter(|error| *error > 0) {
        Some(error) => format!(" ± {}", units::size(error)),
        None => String::new(),
    }
}

fn totals(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| | before | after | change | how sure |")?;
    writeln!(out, "|---|---:|---:|---:|---|")?;
    for (name, figure) in diff.totals.named() {
        writeln!(
            out,
            "| {name} | {} | {} | {} | {} |",
            words::amount(figure.before_bytes),
            words::amount(figure.after_bytes),
            change(figure),
            words::certainty(figure)
        )?;
    }
    if let (Some(was), Some(is)) = (diff.totals.garbage_share_before, diff.totals.garbage_share_after) {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        writeln!(
            out,
            "| Garbage, of resident memory | {} | {} | | |",
            percent(was),
            percent(is)
        )?;
    }
    Ok(())
}

fn findings(diff: &Diff, most: usize, out: &mut dyn Write) -> io::Result<()> {
    if diff.findings.is_empty() {
        return Ok(());
    }
    heading("Findings", out)?;
    for found in diff.findings.iter().take(most) {
        let figure = &found.figure;
        let size = match found.standing {
            Standing::Went => words::amount(figure.before_bytes),
            Standing::Came => words::amount(figure.after_bytes),
            Standing::Stayed => format!(
                "{} before, {} after",
                words::amount(figure.before_bytes),
                words::amount(figure.after_bytes)
            ),
        };
        writeln!(
            out,
            "- **{}**: {} {}, {size}{}",
            words::standing(found),
            code(&words::kind(found.kind)),
            code(&words::about(found, diff)),
            made(found, diff)
        )?;
        if let Some(suggestion) = found.suggestion.as_ref().filter(|_| figure.has_changed()) {
            writeln!(out, "  {}", escaped(suggestion))?;
        }
    }
    rest(diff.findings.len(), most, out)
}

/// Where the objects of a chain were made.
fn made(found: &FindingChange, diff: &Diff) -> String {
    let cwd = match found.standing {
        Standing::Went => diff.before.cwd.as_deref(),
        _ => diff.after.cwd.as_deref(),
    };
    match &found.at {
        Some(at) if !found.chain.is_empty() => format!(", made at {}", code(&names::location(at, cwd))),
        _ => String::new(),
    }
}

fn rest(all: usize, shown: usize, out: &mut dyn Write) -> io::Result<()> {
    match words::more(all, shown) {
        Some(text) => writeln!(out, "\n_{text}_"),
        None => Ok(()),
    }
}

fn same_places(a: &[SiteChange], b: &[SiteChange]) -> bool {
    let places = |sites: &[SiteChange]| -> Vec<_> {
        let changed = sites.iter().filter(|site| site.figure.has_changed());
        changed.map(|site| (site.before.clone(), site.after.clone())).collect()
    };
    places(a) == places(b)
}

fn sites(title: &str, diff: &Diff, sites: &[SiteChange], most: usize, out: &mut dyn Write) -> io::Result<()> {
    let changed: Vec<&SiteChange> = sites.iter().filter(|site| site.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    heading(title, out)?;
    writeln!(out, "| change | before | after | line | function |")?;
    writeln!(out, "|---:|---:|---:|---|---|")?;
    for site in changed.iter().take(most) {
        let figure = &site.figure;
        writeln!(
            out,
            "| {}{} | {} | {} | {} | {} |",
            change(figure),
            error(figure),
            words::amount(figure.before_bytes),
            words::amount(figure.after_bytes),
            code(&words::place(site, diff)),
            code(&words::function(site))
        )?;
    }
    rest(changed.len(), most, out)
}

fn paths(diff: &Diff, most: usize, out: &mut dyn Write) -> io::Result<()> {
    let changed: Vec<&PathChange> = diff.paths.iter().filter(|path| path.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n<details><summary>Call paths that changed</summary>\n")?;
    for path in changed.iter().take(most) {
        let cwd = match path.figure.after_bytes {
            Some(0) => diff.before.cwd.as_deref(),
            _ => diff.after.cwd.as_deref(),
        };
        let frame = |at: &crate::model::Line| format!("{} ({})", at.function, names::location(at, cwd));
        let mut frames: Vec<String> = path.frames.iter().take(FRAMES).map(frame).collect();
        if path.frames.len() > FRAMES {
            frames.push(format!("{} more", path.frames.len() - FRAMES));
        }
        writeln!(out, "- {}: {}", change(&path.figure), code(&frames.join(" ← ")))?;
    }
    rest(changed.len(), most, out)?;
    writeln!(out, "\n</details>")
}

fn types(diff: &Diff, most: usize, out: &mut dyn Write) -> io::Result<()> {
    let changed: Vec<&TypeChange> = diff.types.iter().filter(|kind| kind.figure.has_changed()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n<details><summary>Types whose objects kept more or less</summary>\n"
    )?;
    writeln!(out, "| change | type | objects before | after |")?;
    writeln!(out, "|---:|---|---:|---:|")?;
    for kind in changed.iter().take(most) {
        let count = |count: Option<u64>| count.map_or_else(|| "few".to_owned(), units::grouped);
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            change(&kind.figure),
            code(&kind.type_name),
            count(kind.before_objects),
            count(kind.after_objects)
        )?;
    }
    rest(changed.len(), most, out)?;
    writeln!(out, "\n</details>")
}

/// What was compared, how strictly, and what to bear in mind.
fn details(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    for note in &diff.notes {
        writeln!(out, "\n> {}", escaped(note))?;
    }
    let side = |side: &Side| {
        let python = side
            .python
            .as_deref()
            .map_or(String::new(), |python| format!(", Python {python}"));
        let mode = match (side.mode, side.sampling_interval_bytes) {
            (Some(Mode::Exact), _) => ", every block recorded".to_owned(),
            (Some(Mode::Sampled), Some(bytes)) => format!(", sampled every {}", units::size(bytes)),
            (Some(Mode::Sampled), None) => ", sampled".to_owned(),
            (None, _) => ", seen from outside only".to_owned(),
        };
        let runs = match side.runs {
            1 => String::new(),
            runs => format!(", median of {runs} runs"),
        };
        format!("{}{python}{mode}{runs}", code(&side.name))
    };
    let rigour = words::rigour(diff).map(|rigour| format!(" {rigour}"));
    writeln!(
        out,
        "\n<sub>`deadweight diff` of {} with {}.{}</sub>",
        side(&diff.before),
        side(&diff.after),
        escaped(&rigour.unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        assert_eq!(code("a|b`c"), "`a\\|b'c`");
        assert_eq!(code("f\nx"), "`f x`");
        assert_eq!(escaped("<b> & *x*_y_ @me"), "&lt;b&gt; &amp; \\*x\\*\\_y\\_ \\@me");
    }
}
