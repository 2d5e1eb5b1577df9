//! `deadweight diff`: two captures, or two commands, side by side.

mod runs;
mod side;

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use deadweight_report::diff::{Diff, compare, flamegraph, json, markdown};
use deadweight_report::text;

use self::side::Side;
use crate::args::{DiffArgs, DiffFormat};
use crate::ui::output_file::write_out;

/// Compares, and writes the view.
///
/// # Errors
/// If a capture cannot be read, a command fails, or the two cannot be compared.
pub fn diff(args: &DiffArgs) -> Result<()> {
    if let Some(file) = args.output.as_deref().filter(|file| !args.force && file.exists()) {
        // Before anything is run for it.
        bail!(
            "{} exists already: choose another name with -o, or overwrite it with --force",
            file.display()
        );
    }
    if args.run {
        let ran = runs::run(args)?;
        show(args, &ran.before, &ran.after).map_err(|error| error.context(ran.kept_in()))?;
        return ran.end();
    }
    let (before, after) = (Path::new(&args.before), Path::new(&args.after));
    let name = |path: &Path| path.to_string_lossy().into_owned();
    if let (Ok(was), Ok(is)) = (before.canonicalize(), after.canonicalize())
        && was == is
    {
        bail!(
            "{} and {} are the same capture: name the one before and the one after a change",
            name(before),
            name(after)
        );
    }
    let before = Side::open(name(before), &[before.to_path_buf()])?;
    let after = Side::open(name(after), &[after.to_path_buf()])?;
    show(args, &before, &after)
}

fn show(args: &DiffArgs, before: &Side, after: &Side) -> Result<()> {
    let (before, after) = (before.input(), after.input());
    let diff = compare(&before, &after).map_err(|why| anyhow!("{why}"))?;
    if args.format == DiffFormat::Svg && diff.totals.peak_heap.change_bytes.is_none() {
        bail!(
            "a flame graph needs the allocations of both sides, and {} has none: use another format, or record the program \
             with `deadweight run`",
            without_allocations(&diff)
        );
    }
    write_out(args.output.as_deref(), args.force, |style, out| match args.format {
        DiffFormat::Text => text::diff(&diff, args.top, style, out),
        DiffFormat::Json => json(&diff, out),
        DiffFormat::Markdown => markdown::render(&diff, args.top, out),
        DiffFormat::Svg => flamegraph::render(&before, &after, &diff, out),
    })
}

fn without_allocations(diff: &Diff) -> &str {
    match diff.totals.peak_heap.before_bytes {
        None => &diff.before.name,
        Some(_) => &diff.after.name,
    }
}
