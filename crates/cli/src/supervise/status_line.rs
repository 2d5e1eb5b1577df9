//! A line at the bottom of the terminal while a long run goes on.
//!
//! The program writes to the same terminal whenever it likes, and what it wrote must stay as it is. So the last row is
//! taken out of the part that scrolls (DECSTBM, as package managers do it), and nothing else is ever touched. The line
//! stays away where it could disturb: no terminal, a small one, a program in the background, or one that reads single
//! keys (a debugger, an editor, a prompt).
//!
//! Source: ECMA-48 and DEC STD 070 (IND, CUU, DECSC, DECRC, DECSTBM).

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use deadweight_report::units;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, tcgetattr, tcgetpgrp};
use terminal_size::{Height, Width, terminal_size_of};

use crate::supervise::memory_limits::Of;
use crate::supervise::process_tree::ProcessTree;

/// Short runs have no line.
const FIRST: Duration = Duration::from_secs(5);
/// Time between two updates.
const PAUSE: Duration = Duration::from_secs(1);
/// The growth rate is that of the last 30 s, in milliseconds.
const PACE: u64 = 30_000;
/// A limit that is further away at this pace is no news.
const FAR: f64 = 3600.0;
const LEAST_ROWS: u16 = 8;
const LEAST_COLUMNS: u16 = 50;

/// The line. When it is dropped, the terminal is as it was.
#[derive(Debug)]
pub struct StatusLine {
    shown: Option<Duration>,
    /// Rows and columns of the terminal whose last row we have.
    taken: Option<(u16, u16)>,
}

impl StatusLine {
    /// `None` if standard error is no terminal that can show it.
    pub fn new() -> Option<StatusLine> {
        let term = std::env::var_os("TERM").filter(|term| !term.is_empty() && term != "dumb");
        (io::stderr().is_terminal() && term.is_some()).then_some(StatusLine {
            shown: None,
            taken: None,
        })
    }

    /// Shows what the tree's last poll has seen, if it is time for that.
    pub fn show(&mut self, tree: &ProcessTree, now: Duration) {
        if now < FIRST || self.shown.is_some_and(|last| now.saturating_sub(last) < PAUSE) {
            return;
        }
        self.shown = Some(now);
        let size = size().filter(|_| may_draw());
        if self.taken != size {
            self.give_back();
        }
        let Some((rows, columns)) = size else { return };
        let mut out = String::new();
        if self.taken.is_none() {
            // One row down and up again, so that the cursor is not on the last row; the column stays.
            out.push_str(&format!("\x1bD\x1b[1A\x1b7\x1b[1;{}r\x1b8", rows - 1));
            self.taken = Some((rows, columns));
        }
        let text: String = text(tree, now).chars().take(usize::from(columns) - 1).collect();
        out.push_str(&format!("\x1b7\x1b[{rows};1H\x1b[2K\x1b[7m{text}\x1b[0m\x1b8"));
        write(&out);
    }

    fn give_back(&mut self) {
        if let Some((rows, _)) = self.taken.take() {
            write(&format!("\x1b7\x1b[{rows};1H\x1b[2K\x1b[r\x1b8"));
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()); // a terminal that is gone shows nothing
}

fn size() -> Option<(u16, u16)> {
    let (Width(columns), Height(rows)) = terminal_size_of(io::stderr())?;
    (rows >= LEAST_ROWS && columns >= LEAST_COLUMNS).then_some((rows, columns))
}

/// Whether we are in the foreground, and the program takes lines and not single keys.
fn may_draw() -> bool {
    let stderr = io::stderr();
    let is_foreground = tcgetpgrp(&stderr).is_ok_and(|group| group == getpgrp());
    let takes_lines = tcgetattr(&stderr).is_ok_and(|modes| {
        let usual = LocalModes::ICANON | LocalModes::ECHO;
        modes.local_modes.contains(usual)
    });
    is_foreground && takes_lines
}

fn text(tree: &ProcessTree, now: Duration) -> String {
    let (current, (peak, _)) = (tree.current(), tree.peak());
    let mut text = format!(" deadweight: {} now, {} peak", units::size(current), units::size(peak));
    let limit = tree.limit();
    if let Some(bytes) = limit.bytes {
        let whose = match limit.of {
            Of::Group => "limit",
            Of::Machine => "machine",
        };
        text.push_str(&format!(", {whose} {}", units::size(bytes)));
        if let Some(seconds) = time_left(tree, bytes).filter(|seconds| *seconds < FAR) {
            text.push_str(&format!(
                " in {} at this pace",
                units::duration(seconds.max(1.0).round())
            ));
        }
    }
    let running = tree.running() as u64;
    text.push_str(&format!(
        "; {}, {}",
        units::count(running, "process", "processes"),
        units::duration(now.as_secs_f64().round())
    ));
    if let Some(pid) = tree.last_killed() {
        text.push_str(&format!("; PID {pid} was KILLED: memory ran out"));
    }
    text.push(' ');
    text
}

/// Seconds until the limit is reached if memory goes on growing as in the last half minute.
fn time_left(tree: &ProcessTree, limit: u64) -> Option<f64> {
    let points = &tree.timeline().points;
    let newest = points.last()?;
    let begin = newest.ms.saturating_sub(PACE);
    let oldest = points.iter().rev().take_while(|point| point.ms >= begin).last()?;
    let grown = newest.total.checked_sub(oldest.total).filter(|&bytes| bytes > 0)?;
    let seconds = (newest.ms - oldest.ms) as f64 / 1e3;
    (seconds > 1.0).then(|| limit.saturating_sub(newest.total) as f64 * seconds / grown as f64)
}
