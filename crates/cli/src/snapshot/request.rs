//! A request for a heap snapshot, and the answer to it.
//!
//! The request is a number in the header of the segment that the process is writing (`docs/format.md`, Requests). The agent
//! sees it at its next event and takes the snapshot where Python lets it: no signal is sent, nothing is stopped.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use deadweight_capture::wire::{self, State};
use nix::fcntl::{Flock, FlockArg};

use crate::linux::procfs;
use crate::snapshot::find_process::{self, AttachedProcess};

/// How often the answer is looked for.
const POLL: Duration = Duration::from_millis(5);
/// How often the process is looked for again, which goes on in another segment now and then.
const FOLLOW: Duration = Duration::from_millis(100);
/// A process that is ending may look strange for this long.
const ENDING: Duration = Duration::from_millis(500);
/// What takes longer is said.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A request on its way.
pub struct Request {
    /// The process that is asked.
    pub recorded: AttachedProcess,
    /// Its number: it is answered once the process has answered as many.
    ticket: u32,
    stage: Stage,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Asked,
    /// The agent has seen it, and waits for Python's main thread.
    Noticed,
    Answered {
        answer: u32,
    },
}

impl Request {
    /// Asks the process.
    ///
    /// # Errors
    /// If its segment cannot be written.
    pub fn new(recorded: AttachedProcess) -> Result<Request> {
        let ticket = ask(&recorded, None)?;
        Ok(Request {
            recorded,
            ticket,
            stage: Stage::Asked,
        })
    }

    /// Waits for the answer: the number of the snapshot.
    pub fn wait(&mut self, timeout: Duration) -> Result<u32> {
        let start = Instant::now();
        let (mut looked, mut said) = (start, false);
        loop {
            let header = find_process::header(&self.recorded.segment)?;
            self.stage = stage(&header.requests, self.ticket);
            if let Stage::Answered { answer } = self.stage {
                return self.number(answer);
            }
            if header.state != State::Recording || looked.elapsed() > FOLLOW {
                looked = Instant::now();
                self.follow()?;
            }
            if start.elapsed() > timeout {
                withdraw(&self.recorded, self.ticket)?;
                // It may have been answered in this very moment.
                let header = find_process::header(&self.recorded.segment)?;
                if let Stage::Answered { answer } = stage(&header.requests, self.ticket) {
                    return self.number(answer);
                }
                bail!(
                    "no snapshot of process {} within {} s: {}. Nothing was changed in the program. Give it more time with \
                     --timeout",
                    self.recorded.pid,
                    timeout.as_secs_f64(),
                    self.why()
                );
            }
            if start.elapsed() > PATIENCE && !said {
                said = true;
                say(&format!(
                    "waiting for process {} to reach a point where its heap can be read",
                    self.recorded.pid
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    fn number(&self, answer: u32) -> Result<u32> {
        let pid = self.recorded.pid;
        match answer {
            wire::ANSWER_IMPOSSIBLE => bail!(
                "no snapshot of process {pid}: deadweight does not know its Python well enough to read the heap (the report says why)"
            ),
            wire::ANSWER_NO_PROCESS => {
                bail!(
                    "no snapshot of process {pid}: there is no memory or no process to be had for the copy that writes it"
                )
            }
            answer => answer.checked_sub(1).context("the answer makes no sense"),
        }
    }

    /// Finds the process again: it goes on in another segment, in another program (`exec`), or it is gone.
    fn follow(&mut self) -> Result<()> {
        let pid = self.recorded.pid;
        let now = match find_process::find(pid) {
            Ok(now) => now,
            Err(_) if procfs::ends_within(pid, ENDING) => {
                bail!("process {pid} ended before a snapshot could be taken")
            }
            Err(error) => {
                let state = find_process::header(&self.recorded.segment).map(|header| header.state);
                if let Some(reason) = state.ok().and_then(State::stopped_because) {
                    bail!("process {pid} is no longer recorded, so there is no snapshot of it: {reason}");
                }
                return Err(error).with_context(|| format!("no snapshot was taken of process {pid}"));
            }
        };
        if now.segment != self.recorded.segment {
            let same = now.process == self.recorded.process;
            self.recorded = now;
            self.ticket = ask(&self.recorded, same.then_some(self.ticket))?;
        }
        Ok(())
    }

    /// Why there is no answer yet, as far as it can be told.
    fn why(&self) -> &'static str {
        match self.stage {
            Stage::Asked => {
                "it has allocated next to nothing since then, so it is idle or waits for something; let it do some work \
                 (send it a request)"
            }
            _ => {
                "its main thread has not come back to Python code, so it is inside of a long call of an extension module, or \
                 waits there for something"
            }
        }
    }
}

fn stage(requests: &deadweight_capture::write::Requests, ticket: u32) -> Stage {
    let reached = |count: u32| count.wrapping_sub(ticket) as i32 >= 0;
    if reached(requests.answered) {
        Stage::Answered {
            answer: requests.answer,
        }
    } else if reached(requests.noticed) {
        Stage::Noticed
    } else {
        Stage::Asked
    }
}

/// Counts a request in the segment, or makes sure that the one with this number is there. Returns its number.
fn ask(recorded: &AttachedProcess, ticket: Option<u32>) -> Result<u32> {
    let file = lock(&recorded.segment)?;
    let requests = find_process::header(&recorded.segment)?.requests;
    let behind = |count: u32, ticket: u32| (count.wrapping_sub(ticket) as i32) < 0;
    let ticket = ticket.unwrap_or_else(|| {
        let last = if behind(requests.asked, requests.answered) {
            requests.answered
        } else {
            requests.asked
        };
        last.wrapping_add(1)
    });
    if behind(requests.asked, ticket) {
        write_asked(&file, ticket)?;
    }
    Ok(ticket)
}

/// Takes the request back, unless others have asked since then.
fn withdraw(recorded: &AttachedProcess, ticket: u32) -> Result<()> {
    let file = lock(&recorded.segment)?;
    let requests = find_process::header(&recorded.segment)?.requests;
    if requests.asked == ticket
        && stage(&requests, ticket)
            != (Stage::Answered {
                answer: requests.answer,
            })
    {
        write_asked(&file, ticket.wrapping_sub(1))?;
    }
    Ok(())
}

/// Opens the segment, for us alone among those who ask.
fn lock(segment: &Path) -> Result<Flock<File>> {
    let file = OpenOptions::new().read(true).write(true).open(segment);
    let file = file.with_context(|| {
        format!(
            "no permission to write to {}: the user who started `deadweight run` can take the snapshot",
            segment.display()
        )
    })?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", segment.display()))
}

fn write_asked(file: &File, asked: u32) -> Result<()> {
    file.write_all_at(&asked.to_le_bytes(), wire::HEADER_ASKED as u64)
        .context("cannot write the request into the segment")
}

/// Says how it goes.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "deadweight: {what}"); // nobody may be listening
}
