//! `deadweight check`: whether runs stayed within their limits.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use deadweight_report::Report;
use deadweight_report::check::{self, Asked, Check, Compared, Verdict};
use deadweight_report::text::Style;

use crate::args::{CheckArgs, CheckFormat};
use crate::commands::baseline;
use crate::load::capture::RunData;
use crate::ui::output_file::write_out;

/// Judges the captures, writes the verdicts, and returns the exit status: 0 holds, 1 does not, 2 could not be judged.
///
/// # Errors
/// If what is asked makes no sense, a capture or the baseline cannot be read, or the output cannot be written.
pub fn check(args: &CheckArgs) -> Result<u8> {
    let actions = Actions::here();
    let done = judge(args).and_then(|check| {
        write(&check, args, &actions)?;
        Ok(check)
    });
    match done {
        Ok(check) => Ok(match check.verdict {
            Verdict::Holds => 0,
            Verdict::Broken => 1,
            Verdict::Unjudged => 2,
        }),
        Err(error) => {
            if actions.is_runner {
                let _ = check::github::error(&format!("{error:#}"), &mut io::stderr().lock()); // it is said below as well
            }
            Err(error)
        }
    }
}

fn judge(args: &CheckArgs) -> Result<Check> {
    let compared = |path: &PathBuf| -> Result<Compared> {
        Ok(Compared {
            baseline: baseline::read(path)?,
            name: path.display().to_string(),
            tolerance: args.tolerance.unwrap_or(0.0),
        })
    };
    let asked = Asked {
        max_peak: args.max_peak.clone(),
        max_rss: args.max_rss.clone(),
        max_growth: args.max_growth.clone(),
        forbid: args.forbid.clone(),
        baseline: args.baseline.as_ref().map(compared).transpose()?,
    };
    if let Some(objection) = asked.objection() {
        bail!(objection);
    }
    let mut reports: Vec<(String, Report)> = Vec::new();
    for capture in &args.captures {
        reports.push((capture.display().to_string(), RunData::open(capture)?.report));
    }
    let named: Vec<(String, &Report)> = reports.iter().map(|(name, report)| (name.clone(), report)).collect();
    Ok(check::check(&asked, &named))
}

fn write(check: &Check, args: &CheckArgs, actions: &Actions) -> Result<()> {
    let output = args.output.as_deref();
    write_out(output, args.force, |style, out| {
        render(check, args.format, actions, style, out)
    })?;
    if output.is_some() {
        write_out(None, false, |style, out| check::text::render(check, style, out))?;
    }
    // The runner reads commands from both streams, and standard output may be a file.
    if actions.is_runner && (args.format != CheckFormat::Github || output.is_some()) {
        let _ = check::github::render(check, &actions.root, &mut io::stderr().lock()); // the text has it too
    }
    if let Some(summary) = &actions.summary
        && (actions.is_runner || args.format == CheckFormat::Github)
        && let Err(error) = append(summary, check)
    {
        // The verdict is the same without it.
        eprintln!(
            "deadweight: cannot write the step summary {}: {error}",
            summary.display()
        );
    }
    Ok(())
}

fn render(check: &Check, format: CheckFormat, actions: &Actions, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        CheckFormat::Text => check::text::render(check, style, out),
        CheckFormat::Json => check.json(out),
        CheckFormat::Markdown => check::markdown::render(check, out),
        CheckFormat::Junit => check::junit::render(check, out),
        CheckFormat::Github => check::github::render(check, &actions.root, out),
    }
}

fn append(summary: &Path, check: &Check) -> io::Result<()> {
    let mut text = Vec::new();
    check::markdown::render(check, &mut text)?;
    text.push(b'\n'); // the next step's heading needs an empty line before it
    let mut file = OpenOptions::new().append(true).create(true).open(summary)?;
    file.write_all(&text)
}

/// What GitHub Actions tells the programs that it runs.
struct Actions {
    /// Whether this is a job of it.
    is_runner: bool,
    /// The step summary.
    summary: Option<PathBuf>,
    /// The checkout.
    root: String,
}

impl Actions {
    fn here() -> Actions {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = variable("GITHUB_WORKSPACE").map(PathBuf::from);
        let root = root.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
        Actions {
            is_runner: variable("GITHUB_ACTIONS").as_deref() == Some(OsStr::new("true")),
            summary: variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            root: root.to_string_lossy().into_owned(),
        }
    }
}
