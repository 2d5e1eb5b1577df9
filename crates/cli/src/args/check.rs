//! `deadweight check` and `deadweight baseline`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use deadweight_report::check::{Forbidden, Limit};
use deadweight_report::units;

const CHECK_NOTES: &str = "\
Sizes: 2GiB, 1.5GB, 300 MiB, 512k; a number alone is bytes. K, M, G count by 1024; kB, MB, GB by 1000.
Exit status: 0 all of it holds, 1 something does not, 2 it could not be judged.
In GitHub Actions, annotations and the step summary are written as well.";

/// `deadweight check`.
#[derive(Args, Debug)]
#[command(after_help = CHECK_NOTES)]
pub struct CheckArgs {
    /// Captures: folders that `deadweight run` or `deadweight watch` made. Each is judged by itself
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,

    /// The most heap of all processes at once
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub max_peak: Option<Limit>,

    /// The most resident memory of all processes at once
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub max_rss: Option<Limit>,

    /// The most by which the live heap may grow: its median in the last quarter of the run, less that in the second one
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub max_growth: Option<Limit>,

    /// A kind of finding that there must not be, of any type or of one (cyclic_garbage:DataFrame); may be repeated.
    /// Findings of low severity do not count
    #[arg(long, value_name = "KIND[:TYPE]")]
    pub forbid: Vec<Forbidden>,

    /// Compare with this baseline: a file that `deadweight baseline` wrote, or a capture
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// By how much the peak may exceed that of the baseline
    #[arg(long, value_name = "PERCENT", value_parser = units::parse_percent, allow_hyphen_values = true)]
    #[arg(
        requires = "baseline",
        default_value_if("baseline", clap::builder::ArgPredicate::IsPresent, "5%")
    )]
    pub tolerance: Option<f64>,

    /// How to show it
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,

    /// File to write to, while the text goes to standard output; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file given with --output
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// The views of the verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum CheckFormat {
    /// For reading in the terminal
    Text,
    /// All figures, for programs
    Json,
    /// For a pull request or a summary
    Markdown,
    /// Test results in XML, as CI systems read them
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

/// `deadweight baseline`.
#[derive(Args, Debug)]
pub struct BaselineArgs {
    /// The capture: the folder that `deadweight run` or `deadweight watch` made
    pub capture: PathBuf,

    /// File to write to instead of standard output; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file given with --output
    #[arg(long, requires = "output")]
    pub force: bool,
}
