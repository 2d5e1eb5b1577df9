//! The command line as it is written: nothing here looks at the system. `launch::plan` does.

mod check;
mod diff;
mod heap;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use deadweight_report::units;

pub use self::check::{BaselineArgs, CheckArgs, CheckFormat};
pub use self::diff::{DiffArgs, DiffFormat};
pub use self::heap::{At, HeapArgs, HeapFormat, Place};

/// Finds out why a Python program needs so much memory, and proves the fix.
#[derive(Parser, Debug)]
#[command(
    name = "deadweight",
    version,
    about,
    max_term_width = 110,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `deadweight` can do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run a Python program, record where its memory comes from, and say what the peak was made of.
    Run(RunArgs),
    /// Show the memory of a running process or of any command over time, with all its child processes: no agent, no
    /// allocations.
    Watch(WatchArgs),
    /// Show a capture that `run` or `watch` made.
    Report(ReportArgs),
    /// Look into a heap snapshot of a capture: who holds the memory, and which cycles are garbage.
    Heap(HeapArgs),
    /// Compare two captures, or two commands: what changed, by how much, how surely, and where.
    Diff(DiffArgs),
    /// Check that a program's memory stays within limits or near a baseline, in CI for example.
    Check(CheckArgs),
    /// Write down what a run needed, as a small file to keep in git, for `check --baseline`.
    Baseline(BaselineArgs),
    /// Say what a kind of finding means, how it is found, how to fix it, and when it is wrong.
    Explain(ExplainArgs),
    /// Take a heap snapshot of a program that `run` is running, without stopping it.
    Snapshot(SnapshotArgs),
}

const WATCH_USAGE: &str = "deadweight watch [OPTIONS] PID
       deadweight watch [OPTIONS] COMMAND [ARGS]...";

const WATCH_NOTES: &str = "\
Any program can be watched, Python or not. A script whose name ends with .py is run by Python.
Ctrl-C ends the watch of a PID, not the process. A command's output, exit status and signals are its own.";

const RUN_USAGE: &str = "deadweight run [OPTIONS] SCRIPT [ARGS]...
       deadweight run [OPTIONS] -m MODULE [ARGS]...
       deadweight run [OPTIONS] -c CODE [ARGS]...
       deadweight run [OPTIONS] -- COMMAND [ARGS]...";

const RUN_NOTES: &str = "\
Everything after SCRIPT, -m MODULE, -c CODE or -- belongs to the program.
The program's output, exit status and signals are its own. Errors of deadweight itself end with status 2.";

impl Cli {
    /// Reads the words of a command line, the program's name first.
    ///
    /// # Errors
    /// If they are no command line of deadweight, or ask for its help or version.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse_from(separate_module(words.into_iter().collect()))?;
        if let Verb::Watch(WatchArgs { target, .. }) = &cli.verb
            && let Some(word) = target.first().filter(|word| word.as_bytes().starts_with(b"-"))
        {
            let what = format!(
                "unexpected argument '{}': watch knows no such option",
                word.to_string_lossy()
            );
            return Err(subcommand("watch").error(ErrorKind::UnknownArgument, what));
        }
        // The script's arguments may begin with a dash; the script itself may not (but `-` is standard input).
        if let Verb::Run(RunArgs { script, .. }) = &cli.verb
            && let Some(word) = script
                .first()
                .filter(|word| word.as_bytes().starts_with(b"-") && *word != "-")
        {
            let what = format!(
                "unexpected argument '{}': run knows no such option",
                word.to_string_lossy()
            );
            return Err(subcommand("run").error(ErrorKind::UnknownArgument, what));
        }
        Ok(cli)
    }
}

fn subcommand(name: &str) -> clap::Command {
    let mut definition = Cli::command();
    definition.build();
    let found = definition.find_subcommand(name);
    found.expect("it is one of the verbs").clone()
}

/// Makes `-m pytest` out of `-mpytest`, which Python takes as well: clap would end the option there, and read the
/// module's arguments as its own.
fn separate_module(mut words: Vec<OsString>) -> Vec<OsString> {
    let definition = Cli::command();
    let run = definition.find_subcommand("run").expect("there is a subcommand run");
    let takes_value = |word: &OsStr| {
        run.get_arguments()
            .filter(|arg| arg.get_action().takes_values())
            .any(|arg| {
                let long = arg
                    .get_long()
                    .is_some_and(|long| word.to_str().and_then(|w| w.strip_prefix("--")) == Some(long));
                let short = arg.get_short().map(|short| format!("-{short}"));
                long || short.is_some_and(|short| word.to_str() == Some(&short))
            })
    };
    if words.get(1).is_none_or(|verb| verb != "run") {
        return words;
    }
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        if bytes.len() > 2 && (bytes.starts_with(b"-m") || bytes.starts_with(b"-c")) {
            let (option, rest) = bytes.split_at(2);
            let both = [OsStr::from_bytes(option).to_owned(), OsStr::from_bytes(rest).to_owned()];
            words.splice(at..=at, both);
            break;
        }
        if !bytes.starts_with(b"-") || ["-m", "-c", "-", "--"].iter().any(|end| word == end) {
            break;
        }
        at += if takes_value(word) { 2 } else { 1 };
    }
    words
}

/// `deadweight run`.
#[derive(Args, Debug)]
#[command(override_usage = RUN_USAGE, after_help = RUN_NOTES)]
pub struct RunArgs {
    /// Folder for the capture; it must not exist yet [default: a new one in the current folder, named after the
    /// program]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace the folder given with --output if it is a capture
    #[arg(long)]
    pub force: bool,

    /// Record every block instead of a sample: exact figures, more overhead
    #[arg(long)]
    pub exact: bool,

    /// Take no heap snapshots. By default the program is copied when its memory has grown by a quarter, and the copy
    /// writes down who holds the memory, and what is garbage; the program pauses a few milliseconds for each
    #[arg(long)]
    pub no_snapshots: bool,

    /// The Python to use [default: the active virtual environment's, the one beside deadweight, or the first one on
    /// PATH]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,

    /// Treat a function as a region, without editing the program: the report says what it needs. Times are approximate
    /// [may be repeated]
    #[arg(long, value_name = "MODULE:FUNCTION", value_parser = parse_function)]
    pub region: Vec<String>,

    /// Average number of bytes between two samples
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = parse_size, conflicts_with = "exact")]
    pub interval: u64,

    /// Largest size of the capture on disk
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub max_size: u64,

    /// Record only: no diagnosis at the end
    #[arg(short, long)]
    pub quiet: bool,

    /// Run a module, as python -m does
    #[arg(short, value_name = "MODULE [ARGS]", num_args = 1.., allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["code", "script", "command"])]
    pub module: Vec<OsString>,

    /// Run a piece of code, as python -c does
    #[arg(short, value_name = "CODE [ARGS]", num_args = 1.., allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["script", "command"])]
    pub code: Vec<OsString>,

    /// Python script, folder or zip file with a __main__.py, and its arguments
    #[arg(value_name = "SCRIPT", num_args = 1.., allow_hyphen_values = true, conflicts_with = "command")]
    pub script: Vec<OsString>,

    /// Any command that starts Python, and its arguments
    #[arg(value_name = "COMMAND", num_args = 1.., last = true)]
    pub command: Vec<OsString>,
}

/// `deadweight watch`.
#[derive(Args, Debug)]
#[command(override_usage = WATCH_USAGE, after_help = WATCH_NOTES)]
pub struct WatchArgs {
    /// Folder for the capture; it must not exist yet [default: a new one in the current folder, named after the
    /// program]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace the folder given with --output if it is a capture
    #[arg(long)]
    pub force: bool,

    /// Time between two looks, such as 50ms or 2s [default: 20ms at first, 100ms after a minute, longer where a look is
    /// dear]
    #[arg(long, value_name = "TIME", value_parser = parse_interval)]
    pub interval: Option<Duration>,

    /// Measure with each look how the processes share memory (PSS and USS): exact sums, but the kernel visits every page
    #[arg(long)]
    pub pss: bool,

    /// No live line, and no plot at the end
    #[arg(short, long)]
    pub quiet: bool,

    /// A process id, or a command and its arguments
    #[arg(value_name = "PID|COMMAND", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub target: Vec<OsString>,
}

/// `deadweight report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The capture: the folder that `deadweight run` or `deadweight watch` made
    pub capture: PathBuf,

    /// Treat a function as a region, beside those that were named when the run was started [may be repeated]
    #[arg(long, value_name = "MODULE:FUNCTION", value_parser = parse_function)]
    pub region: Vec<String>,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// File to write to instead of standard output; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Overwrite the file given with --output
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// `deadweight explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The kind of finding, as the JSON report spells it: peak_spike, native_leak, ... Without it: a list
    pub kind: Option<String>,
}

/// `deadweight snapshot`.
#[derive(Args, Debug)]
pub struct SnapshotArgs {
    /// Process id of the program, or of the `deadweight run` that runs it
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: u32,

    /// How many seconds to wait for the program to reach a point where its heap can be read
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    pub timeout: Duration,
}

/// The views of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For reading in the terminal
    Text,
    /// All figures, for programs
    Json,
    /// One line for each stack, as flame graph tools want it
    Collapsed,
    /// A flame graph as a picture
    Svg,
    /// For speedscope.app
    Speedscope,
    /// The memory over time as a picture (SVG)
    Timeline,
}

/// Reads a time: a number with `ms` or `s`; a number alone is seconds.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time between 1ms and 1h: write for example 50ms or 2s".to_string();
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| wrong())? * factor;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn parse_top(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a number from 1 on".to_owned()),
        Ok(top) => Ok(top),
    }
}

/// Reads a number of seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..1e6).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "not a number of seconds: write for example 30".to_string())
}

/// Reads `module:function`.
fn parse_function(text: &str) -> Result<String, String> {
    if deadweight_analysis::is_function_name(text) {
        return Ok(text.to_owned());
    }
    Err("a function is named by its module and its qualified name, as in app.loading:Reader.read; the script that is run is \
         __main__"
        .to_owned())
}

/// Reads a size that is something.
fn parse_size(text: &str) -> Result<u64, String> {
    match units::parse_size(text)? {
        0 => Err("this size makes no sense here".to_owned()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<RunArgs, clap::Error> {
        let words = ["deadweight", "run"].into_iter().chain(line.split(' '));
        Cli::read(words.map(OsString::from)).map(|cli| match cli.verb {
            Verb::Run(args) => args,
            _ => unreachable!("the words begin with run"),
        })
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn after_the_script_everything_belongs_to_the_program() {
        let args = run("-o a.dw x.py -o b --exact -- -m -q").unwrap();
        assert_eq!(args.script, ["x.py", "-o", "b", "--exact", "--", "-m", "-q"]);
        assert_eq!(args.output, Some(PathBuf::from("a.dw")));
        assert!(!args.exact && !args.quiet && args.module.is_empty() && args.command.is_empty());
    }

    #[test]
    fn after_the_module_everything_belongs_to_the_program() {
        for line in [
            "-q -m pytest -x -o foo -- a --force",
            "-qm pytest -x -o foo -- a --force",
        ] {
            let args = run(line).unwrap();
            assert_eq!(
                args.module,
                ["pytest", "-x", "-o", "foo", "--", "a", "--force"],
                "{line}"
            );
            assert!(args.quiet && args.output.is_none() && !args.force);
        }
    }

    #[test]
    fn the_module_may_stick_to_its_option() {
        assert_eq!(run("-mpytest -x foo").unwrap().module, ["pytest", "-x", "foo"]);
        assert_eq!(run("-cpass").unwrap().code, ["pass"]);
    }

    #[test]
    fn after_two_dashes_comes_a_command() {
        let args = run("--exact -- gunicorn -m x -- y").unwrap();
        assert_eq!(args.command, ["gunicorn", "-m", "x", "--", "y"]);
        assert!(args.exact && args.script.is_empty() && args.module.is_empty());
    }

    #[test]
    fn a_misspelt_option_is_an_error() {
        assert!(run("--exat x.py").is_err());
    }

    #[test]
    fn what_is_watched_keeps_its_words() {
        let words = ["deadweight", "watch", "--interval", "50ms", "ls", "-q", "--", "-x"];
        let Ok(Verb::Watch(args)) = Cli::read(words.map(OsString::from)).map(|cli| cli.verb) else {
            panic!("no watch");
        };
        assert_eq!(args.target, ["ls", "-q", "--", "-x"]);
        assert_eq!(args.interval, Some(Duration::from_millis(50)));
        for wrong in [
            &["--exat", "ls"][..],
            &[],
            &["--interval", "0", "ls"],
            &["--interval", "x", "ls"],
        ] {
            let words = ["deadweight", "watch"].iter().chain(wrong).map(OsString::from);
            assert!(Cli::read(words).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        for wrong in ["", "12 parsecs", "-1", "0"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
