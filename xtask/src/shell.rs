//! Running other programs: always without standard input, and announced as a reader could type them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Fallible, checkout};

/// A command in the root of the checkout, free of what `cargo run` told this process about the package `xtask`.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(checkout::root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if of_package.iter().any(|prefix| name.starts_with(prefix)) || name == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
    command
}

/// A cargo command.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// A command that needs root: itself where we are root, else by sudo without a password.
pub fn as_root(program: &str) -> Command {
    if is_root() {
        return command(program);
    }
    let mut command = command("sudo");
    command.args(["-n", program]);
    command
}

/// Whether commands made by [`as_root`] can work.
pub fn can_be_root() -> bool {
    is_root() || quiet(as_root("true")).is_ok()
}

fn is_root() -> bool {
    output(command("id").arg_self("-u")).is_ok_and(|id| id == "0")
}

/// Runs a command with its output on ours; an error unless it succeeds.
pub fn run(mut command: Command) -> Fallible<()> {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| (name != "PATH").then_some((name, value?)));
    let variables = variables.map(|(name, value)| format!("{}={} ", name.display(), quote(value)));
    let shown = show(&command);
    println!("$ {}{shown}", variables.collect::<String>());
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown}: {status}").into())
    }
}

/// Runs a command and returns its standard output without the last line's end; the rest goes into the error.
pub fn output(mut command: Command) -> Fallible<String> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", show(&command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}\n{}", show(&command), output.status, said.trim_end()).into())
}

/// Runs a command whose output is of interest only when it fails.
pub fn quiet(command: Command) -> Fallible<()> {
    output(command).map(drop)
}

/// Whether a program is installed.
pub fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

/// A command's words.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(quote)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.contains('\n') {
        return "'...'".to_owned();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{word}'")
    }
}

/// Adds one argument to a command by value.
pub trait ArgSelf {
    /// The command with one more argument.
    fn arg_self(self, argument: impl AsRef<OsStr>) -> Self;
}

impl ArgSelf for Command {
    fn arg_self(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arg(argument);
        self
    }
}
