//! Writes a view to the file that was asked for, or to standard output.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use deadweight_report::text::Style;

use crate::ui::terminal;

/// Writes a view to the file, or else to standard output.
///
/// # Errors
/// If that fails, or the file exists already.
pub fn write_out(
    file: Option<&Path>,
    force: bool,
    render: impl Fn(&Style, &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    match file {
        None => {
            let stdout = io::stdout();
            let style = terminal::style(&stdout);
            let mut out = BufWriter::new(stdout.lock());
            match render(&style, &mut out).and_then(|()| out.flush()) {
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
            write_file(path, force, |out| render(&style, out))
        }
    }
}

/// Opens the file before anything is rendered into it; one that is new is taken away again if that fails.
fn write_file(path: &Path, force: bool, render: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already: choose another name with -o, or overwrite it with --force",
                path.display()
            )
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let done = render(&mut out).and_then(|()| out.flush());
    if done.is_err() && !force {
        let _ = std::fs::remove_file(path); // the error below says what happened
    }
    done.with_context(|| format!("cannot write {}", path.display()))
}
