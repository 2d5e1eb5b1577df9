//! `deadweight`: runs a Python program, records where its memory comes from, and says so.
//!
//! The exit status of `run` is the program's own; errors of `deadweight` itself end with status 2.

mod args;
mod commands;
mod launch;
mod linux;
mod load;
mod snapshot;
mod supervise;
mod ui;

use std::process::ExitCode;

use args::{Cli, Verb};
use commands::{baseline, check, diff, explain, heap, report, run, watch};
use supervise::signals;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // help to a closed pipe: nobody is reading
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.verb {
        Verb::Run(args) => run::run(args).map(signals::exit_code),
        Verb::Snapshot(args) => commands::snapshot::snapshot(&args).map(|()| 0),
        Verb::Watch(args) => watch::watch(&args).map(|status| status.map_or(0, signals::exit_code)),
        Verb::Report(args) => report::report(&args).map(|()| 0),
        Verb::Heap(args) => heap::heap(&args).map(|()| 0),
        Verb::Check(args) => check::check(&args),
        Verb::Baseline(args) => baseline::baseline(&args).map(|()| 0),
        Verb::Diff(args) => diff::diff(&args).map(|()| 0),
        Verb::Explain(args) => explain::explain(&args).map(|()| 0),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("deadweight: {error:#}");
            ExitCode::from(2)
        }
    }
}
