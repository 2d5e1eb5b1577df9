//! `deadweight`: runs a Python program, records where its memory comes from, and says so.
//!
//! The exit status of `run` is the program's own; errors of `deadweight` itself end with status 2.

mod account;
mod agent;
mod args;
mod diagnosis;
mod elf;
mod fold;
mod heaps;
mod inherited;
mod launch;
mod limits;
mod output;
mod plan;
mod process;
mod python;
mod report;
mod run;
mod snapshots;
mod supervise;
mod terminal;
mod tree;
mod watch;

use std::process::ExitCode;

use args::{Cli, Verb};

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // help to a closed pipe: nobody is reading
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.verb {
        Verb::Run(args) => run::run(args).map(supervise::exit_code),
        Verb::Report(args) => report::report(&args).map(|()| 0),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("deadweight: {error:#}");
            ExitCode::from(2)
        }
    }
}
