//! `deadweight report`: a capture in one of its views.

use std::io::{self, Write};

use anyhow::{Result, bail};
use deadweight_analysis::Analysis;
use deadweight_report::text::{self, Style};
use deadweight_report::{Metric, Report, TimelineView, collapsed, flamegraph, json, speedscope, timeline_svg};

use crate::args::{Format, ReportArgs};
use crate::load::capture::RunData;
use crate::ui::output_file::write_out;

/// Writes the view.
///
/// # Errors
/// If there is no capture, a newer deadweight made it, or the output cannot be written.
pub fn report(args: &ReportArgs) -> Result<()> {
    let RunData { report, analysis, .. } = RunData::with_regions(&args.capture, &args.region)?;
    check(&report, args)?;
    write_out(args.output.as_deref(), args.force, |style, out| {
        render(&report, &analysis, args.format, style, out)
    })
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
        Format::Collapsed => collapsed::render(analysis, Metric::Peak, out),
        Format::Svg => flamegraph::render(analysis, Metric::Peak, &title, out),
        Format::Timeline => {
            let nothing = TimelineView::default();
            timeline_svg::render(report.timeline.as_ref().unwrap_or(&nothing), &title, out)
        }
        Format::Speedscope => speedscope::render(analysis, Metric::Peak, &title, out),
    }
}
