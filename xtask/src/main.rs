//! The repository's own tool: `cargo xtask test` runs every check there is, on a machine that has Rust and Python.
//!
//! Each command can also be run alone. What a command needs beyond Rust and Python (a Debian chroot with newer Pythons,
//! a build environment for wheels) it makes itself, once, and reuses.

#![forbid(unsafe_code)]

mod architecture;
mod cargo_tests;
mod checkout;
mod programs;
mod pythons;
mod shell;
mod sid;
mod suite;
mod wheel;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A result whose error is a sentence for the terminal.
type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about = "The checks of this repository", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test, with all the set-up it needs
    Test {
        /// Runs these steps only
        #[arg(long, value_delimiter = ',', value_name = "STEP")]
        only: Vec<String>,
        /// Lists the steps and stops
        #[arg(long)]
        list: bool,
        /// Runs what is slow as well: every Python where two are enough, the JIT in every test
        #[arg(long)]
        long: bool,
    },
    /// Runs the quick checks, for every commit: format, architecture, lints, unit tests
    Check,
    /// Checks which crate and which folder depends on which, and the other rules about files
    Architecture {
        /// Prints which folder of each crate imports which, as it is, and checks nothing
        #[arg(long)]
        print: bool,
    },
    /// Writes the JSON Schemas in docs/schema anew, from the types that are serialized
    Schema,
    /// Lists the Pythons that the tests run
    Pythons,
    /// Makes the Debian sid chroot with Python 3.14 and 3.15, and says where it is; with arguments, runs them in it
    Sid {
        /// A program and its arguments, run in the chroot, with the repository at its usual path
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Builds the wheel and the sdist, and tries the wheel on every Python
    Wheel,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Fallible<ExitCode> {
    match command {
        Command::Test { list: true, .. } => suite::list(),
        Command::Test { only, long, .. } => return suite::run(&only, long),
        Command::Check => return suite::check(),
        Command::Architecture { print: true } => architecture::print()?,
        Command::Architecture { print: false } => architecture::check()?,
        Command::Schema => {
            let words = [
                "run",
                "--quiet",
                "--package",
                "deadweight-report",
                "--example",
                "json_schema",
                "docs/schema",
            ];
            shell::run(shell::cargo(&words))?;
        }
        Command::Pythons => {
            for python in pythons::find() {
                println!("{python}");
            }
        }
        Command::Sid { command } => {
            let chroot = sid::prepare().map_err(|problem| problem.to_string())?;
            if command.is_empty() {
                println!("{}", chroot.root().display());
            } else {
                shell::run(chroot.command(&checkout::root(), &command, &[]))?;
            }
        }
        Command::Wheel => wheel::check()?,
    }
    Ok(ExitCode::SUCCESS)
}
