//! `deadweight report`: a capture in one of its views.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use deadweight_analysis::Analysis;
use deadweight_capture::Error;
use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::Capture;
use deadweight_report::text::{self, Style};
use deadweight_report::{Report, TimelineView, What, collapsed, flamegraph, json, speedscope, timeline_svg};

use crate::args::{Format, ReportArgs};
use crate::loaded::Loaded;
use crate::terminal;

/// Writes the view.
///
/// # Errors
/// If there is no capture, a newer deadweight made it, or the output cannot be written.
pub fn report(args: &ReportArgs) -> Result<()> {
    let Loaded { report, analysis, .. } = Loaded::with_regions(&args.capture, &args.region)?;
    check(&report, args)?;
    write_out(args.output.as_deref(), args.force, |style, out| {
        render(&report, &analysis, args.format, style, out)
    })
}

/// Writes a view to the file, or else to standard output.
///
/// # Errors
/// If that fails, or the file exists already.
pub fn write_out(
    file: Option<&Path>,
    force: bool,
    render: impl Fn(&Style, &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    match file {
        None => {
            let stdout = io::stdout();
            let style = terminal::style(&stdout);
            let mut out = BufWriter::new(stdout.lock());
            match render(&style, &mut out).and_then(|()| out.flush()) {
                // `deadweight report x.dw | head`: the reader has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                done => done.context("cannot write to standard output"),
            }
        }
        Some(path) => {
            let style = Style {
                width: 100,
                color: false,
            };
            write_file(path, force, |out| render(&style, out))
        }
    }
}

/// The path as a shell takes it.
pub fn quoted_path(path: &Path) -> String {
    crate::diagnosis::quoted(&path.to_string_lossy())
}

/// Opens a capture.
///
/// # Errors
/// If there is none, or a newer deadweight made it.
pub fn open(folder: &Path) -> Result<(Capture, Result<Manifest, Error>)> {
    if !folder.exists() {
        bail!("there is no capture {}: `deadweight run` makes one", folder.display());
    }
    // These errors name their causes themselves.
    let capture = Capture::open(folder).map_err(|error| anyhow!("{error}"))?;
    match capture.manifest() {
        // Nothing can be said about what a newer version means by its segments.
        Err(error @ Error::NewerVersion { .. }) => Err(anyhow!("{error}")),
        manifest => Ok((capture, manifest)),
    }
}

/// Whether the capture has what the view shows.
fn check(report: &Report, args: &ReportArgs) -> Result<()> {
    let capture = args.capture.display();
    match args.format {
        Format::Timeline if report.timeline.is_none() => {
            bail!("{capture} has no timeline: an older deadweight made it, or it could not be written")
        }
        Format::Collapsed | Format::Svg | Format::Speedscope if report.run.watched => bail!(
            "{capture} has no allocations, only a timeline, because `deadweight watch` made it: use --format timeline, text or \
             json, or record the program with `deadweight run`"
        ),
        _ => Ok(()),
    }
}

fn render(report: &Report, analysis: &Analysis, format: Format, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let title = report.run.argv.join(" ");
    match format {
        Format::Text => text::full(report, style, out),
        Format::Json => json::render(report, out),
        Format::Collapsed => collapsed::render(analysis, What::Peak, out),
        Format::Svg => flamegraph::render(analysis, What::Peak, &title, out),
        Format::Timeline => {
            let nothing = TimelineView::default();
            timeline_svg::render(report.timeline.as_ref().unwrap_or(&nothing), &title, out)
        }
        Format::Speedscope => speedscope::render(analysis, What::Peak, &title, out),
    }
}

/// Opens the file before anything is rendered into it; one that is new is taken away again if that fails.
fn write_file(path: &Path, force: bool, render: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already: choose another name with -o, or overwrite it with --force",
                path.display()
            )
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let done = render(&mut out).and_then(|()| out.flush());
    if done.is_err() && !force {
        let _ = std::fs::remove_file(path); // the error below says what happened
    }
    done.with_context(|| format!("cannot write {}", path.display()))
}
