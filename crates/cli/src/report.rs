//! `deadweight report`: a capture in one of its views.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use deadweight_analysis::{Analysis, analyse};
use deadweight_capture::Error;
use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::Capture;
use deadweight_report::text::{self, Style};
use deadweight_report::{BuildOptions, Report, What, build, collapsed, flamegraph, json, speedscope};

use crate::args::{Format, ReportArgs};
use crate::{heaps, terminal};

/// Writes the view.
///
/// # Errors
/// If there is no capture, a newer deadweight made it, or the output cannot be written.
pub fn report(args: &ReportArgs) -> Result<()> {
    let (capture, manifest) = open(&args.capture)?;
    let analysis = analyse(&capture).map_err(|error| anyhow!("cannot analyse {}: {error}", args.capture.display()))?;
    let heaps = heaps::analyse_all(&capture);
    let mut report = build(
        manifest.as_ref().ok(),
        &analysis,
        &heaps.answers,
        &BuildOptions::default(),
    );
    report.warnings.extend(heaps.warnings);
    if let Err(error) = &manifest {
        report
            .warnings
            .push(format!("what the supervisor knew about the run is missing: {error}"));
    }
    match &args.output {
        None => {
            let stdout = io::stdout();
            let style = terminal::style(&stdout);
            let mut out = BufWriter::new(stdout.lock());
            match render(&report, &analysis, args.format, &style, &mut out).and_then(|()| out.flush()) {
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
            // All of it before the file is touched: an error leaves what was there.
            let mut out = Vec::new();
            render(&report, &analysis, args.format, &style, &mut out)?;
            write_file(path, args.force, &out)
        }
    }
}

fn open(folder: &Path) -> Result<(Capture, Result<Manifest, Error>)> {
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

fn render(report: &Report, analysis: &Analysis, format: Format, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let title = report.run.argv.join(" ");
    match format {
        Format::Text => text::full(report, style, out),
        Format::Json => json::render(report, out),
        Format::Collapsed => collapsed::render(analysis, What::Peak, out),
        Format::Svg => flamegraph::render(analysis, What::Peak, &title, out),
        Format::Speedscope => speedscope::render(analysis, What::Peak, &title, out),
    }
}

fn write_file(path: &Path, force: bool, content: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already: choose another name with -o, or overwrite it with --force",
                path.display()
            )
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(content)
        .with_context(|| format!("cannot write {}", path.display()))
}
