//! The command line as it is written: nothing here looks at the system. [`crate::plan`] does.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

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
    /// Show a capture that `run` made.
    Report(ReportArgs),
}

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
            let mut definition = Cli::command();
            let run = definition
                .find_subcommand_mut("run")
                .expect("there is a subcommand run");
            return Err(run.error(ErrorKind::UnknownArgument, what));
        }
        Ok(cli)
    }
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

    /// Take heap snapshots while the program runs (experimental): who holds the memory, and what is garbage. The
    /// program pauses a few milliseconds for each; while one is written, pages that the program changes are copied
    #[arg(long)]
    pub snapshots: bool,

    /// The Python to use [default: the active virtual environment's, the one beside deadweight, or the first one on
    /// PATH]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,

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

/// `deadweight report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The capture: the folder that `deadweight run` made
    pub capture: PathBuf,

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
}

/// Reads a size: a number with an optional unit (`64MiB`, `1.5G`, `500kB`). K, M, G, T count by 1024, as KiB do.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err("not a size: write a number with a unit, for example 64MiB".to_string()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "not a size: write for example 64MiB".to_string())?;
    let bytes = number * factor as f64;
    if !(1.0..1e18).contains(&bytes) {
        return Err("this size makes no sense here".to_string());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<RunArgs, clap::Error> {
        let words = ["deadweight", "run"].into_iter().chain(line.split(' '));
        Cli::read(words.map(OsString::from)).map(|cli| match cli.verb {
            Verb::Run(args) => args,
            Verb::Report(_) => unreachable!("the words begin with run"),
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
    fn sizes_have_units() {
        assert_eq!(parse_size("65536"), Ok(65536));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5g"), Ok(3 << 29));
        assert_eq!(parse_size("500kB"), Ok(500_000));
        for wrong in ["", "MiB", "12 parsecs", "-1", "0", "1e40", "1.2.3"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
