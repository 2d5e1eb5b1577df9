//! The command line of `deadweight diff`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

const USAGE: &str = "deadweight diff [OPTIONS] BEFORE AFTER
       deadweight diff [OPTIONS] --run [-n N] 'COMMAND BEFORE' 'COMMAND AFTER'";

const NOTES: &str = "\
A change that chance explains is called none: the error of sampling, and what equal runs differ by, are taken into account.
With --run each command is one word for the shell: quote it. Commands run without a shell and without input, one at a time,
in alternating order; their output goes to a file.
Ends with status 0 if the comparison was made, whatever it says, and with status 2 if it could not be made.";

/// `deadweight diff`.
#[derive(Args, Debug)]
#[command(override_usage = USAGE, after_help = NOTES)]
pub struct DiffArgs {
    /// The capture before: the folder that `deadweight run` or `deadweight watch` made; with --run, a command
    pub before: OsString,

    /// The capture after; with --run, another command
    pub after: OsString,

    /// Run two commands several times in turn, and compare the medians
    #[arg(long)]
    pub run: bool,

    /// How often each command runs [default: 3]
    #[arg(short, value_name = "N", requires = "run", value_parser = parse_runs)]
    pub n: Option<usize>,

    /// Record every block of the commands instead of a sample
    #[arg(long, requires = "run")]
    pub exact: bool,

    /// Folder to keep the captures in; it must not exist yet [default: they are removed when the comparison is made]
    #[arg(long, value_name = "DIR", requires = "run")]
    pub keep: Option<PathBuf>,

    /// Compare commands that fail, too: with what they had allocated by then
    #[arg(long, requires = "run")]
    pub ignore_failure: bool,

    /// Longest list
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = super::parse_top)]
    pub top: usize,

    /// How to show it
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,

    /// File to write to instead of standard output; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file given with --output
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// The views of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum DiffFormat {
    /// For reading in the terminal
    Text,
    /// All figures, for programs
    Json,
    /// For a pull request
    Markdown,
    /// A differential flame graph as a picture
    Svg,
}

fn parse_runs(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|runs| (1..=100).contains(runs))
        .ok_or_else(|| "write a number from 1 to 100".to_owned())
}
