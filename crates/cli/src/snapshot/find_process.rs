//! AttachedProcess processes that are running: which capture they write to.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use deadweight_capture::read::{ProcessId, Segment, SegmentHeader};
use deadweight_capture::wire::HEADER_BYTES;

use crate::launch::agent_library;
use crate::linux::procfs;

/// A recorded process, and the segment that it is writing.
#[derive(Debug)]
pub struct AttachedProcess {
    /// The process, as the capture names it: inside a container its id is another one than outside.
    pub process: ProcessId,
    /// Its id as it is seen from here.
    pub pid: u32,
    /// The segment's file, as it can be opened from here.
    pub segment: PathBuf,
    /// The capture's folder.
    pub folder: PathBuf,
}

/// What a process has mapped that concerns us.
#[derive(Debug, Default)]
struct Mapped {
    /// Its open segment: the path as the process sees it, device and inode.
    segment: Option<(PathBuf, u64)>,
    /// The agent's library.
    agent: bool,
}

/// Finds the process `pid`, or if that is `deadweight run`, the program that it runs.
///
/// # Errors
/// A sentence that says why there is none.
pub fn find(pid: u32) -> Result<AttachedProcess> {
    if let Some(recorded) = own(pid)? {
        return Ok(recorded);
    }
    if !is_supervisor(pid) {
        bail!(
            "process {pid} ({}) is not recorded: start the program with `deadweight run`, and name it or that `deadweight run`",
            named(pid)
        );
    }
    // The program itself, or where that is no Python (a shell script), the nearest Pythons that it started.
    let mut generation = children(&[pid]);
    while !generation.is_empty() {
        let mut found = Vec::new();
        for &child in &generation {
            // It may be gone by now, or not be ours to look at.
            found.extend(own(child).ok().flatten());
        }
        match found.len() {
            0 => generation = children(&generation),
            1 => return found.pop().context("one process was found"),
            _ => {
                let list: Vec<String> = found
                    .iter()
                    .map(|one| format!("{} ({})", one.pid, named(one.pid)))
                    .collect();
                bail!(
                    "deadweight run {pid} records several processes, name one of them: {}",
                    list.join(", ")
                );
            }
        }
    }
    bail!("deadweight run {pid} records no process now: its program is ending, or has not reached Python yet")
}

/// The process itself, if it is recorded.
fn own(pid: u32) -> Result<Option<AttachedProcess>> {
    let mapped = mapped(pid)?;
    let Some((path, inode)) = mapped.segment else {
        if mapped.agent && !is_supervisor(pid) {
            bail!(
                "process {pid} ({}) runs under deadweight, but is not being recorded: it has not reached Python yet, or its \
                 recording has stopped (`deadweight report` says why)",
                named(pid)
            );
        }
        return Ok(None);
    };
    let Some(segment) = visible(pid, &path, inode) else {
        bail!(
            "process {pid} writes to {}, which is no longer there: its capture was moved or removed",
            path.display()
        );
    };
    let header = header(&segment)?;
    let folder = segment.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Some(AttachedProcess {
        process: ProcessId {
            pid: header.pid,
            incarnation: header.incarnation,
        },
        pid,
        segment,
        folder,
    }))
}

/// Reads the header of a segment.
///
/// # Errors
/// If the file cannot be read, or is no segment.
pub fn header(segment: &Path) -> Result<SegmentHeader> {
    let read = || -> Result<SegmentHeader> {
        let mut bytes = [0; HEADER_BYTES];
        File::open(segment)?.read_exact(&mut bytes)?;
        Ok(*Segment::parse(&bytes)?.header())
    };
    read().with_context(|| format!("cannot read {}", segment.display()))
}

/// The file as it can be opened from here: in a container the process may see another file system than we do.
fn visible(pid: u32, path: &Path, inode: u64) -> Option<PathBuf> {
    let mut inside = PathBuf::from(format!("/proc/{pid}/root"));
    inside.push(path.strip_prefix("/").unwrap_or(path));
    let places = [path.to_path_buf(), inside];
    let is_it = |path: &&PathBuf| fs::metadata(path).is_ok_and(|data| data.ino() == inode);
    // Some file systems (overlayfs) tell the kernel another number than us.
    let found = places.iter().find(is_it).or(places.iter().find(|path| path.exists()));
    found.cloned()
}

fn mapped(pid: u32) -> Result<Mapped> {
    let text = match fs::read(format!("/proc/{pid}/maps")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
            "no permission to look at process {pid} ({}): it belongs to another user, who can take the snapshot, as root can",
            named(pid)
        ),
        // A process that ends has no memory any more.
        Err(error) if procfs::stat(pid).is_some() => {
            return Err(error).with_context(|| format!("cannot look at process {pid}"));
        }
        Err(_) => {
            bail!("there is no process {pid}: `pgrep -af \"deadweight run\"` lists the runs, with their process ids")
        }
    };
    if text.is_empty() && procfs::stat(pid).is_none_or(|stat| stat.has_ended) {
        bail!("process {pid} has ended");
    }
    let mut mapped = Mapped::default();
    for line in text.split(|&byte| byte == b'\n') {
        let Some((path, inode)) = mapped_file(line) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().as_bytes();
        if agent_library::is_library_name(name) {
            mapped.agent = true;
        } else if path.extension().is_some_and(|extension| extension == "dws") {
            // While one segment follows another, both are mapped for a moment.
            mapped.segment = mapped.segment.max(Some((path, inode)));
        }
    }
    Ok(mapped)
}

/// The file of a line of `/proc/PID/maps`: its path and inode.
fn mapped_file(line: &[u8]) -> Option<(PathBuf, u64)> {
    let slash = line.iter().position(|&byte| byte == b'/')?;
    let (columns, path) = line.split_at(slash);
    let inode = std::str::from_utf8(columns)
        .ok()?
        .split_ascii_whitespace()
        .nth(4)?
        .parse()
        .ok()?;
    // The kernel writes a line's end inside of a name so, and nothing else.
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let path = String::from_utf8_lossy(path).replace("\\012", "\n");
    Some((PathBuf::from(path), inode))
}

/// Whether the process is a `deadweight`: it has the program of ours open, or one of its name.
fn is_supervisor(pid: u32) -> bool {
    procfs::program(pid).is_some_and(|name| name == "deadweight" || name == "deadweight (deleted)")
}

fn children(parents: &[u32]) -> Vec<u32> {
    let is_child = |pid: &u32| procfs::stat(*pid).is_some_and(|stat| parents.contains(&stat.parent) && !stat.is_silent);
    procfs::ids().into_iter().filter(is_child).collect()
}

/// What a process runs, for people.
fn named(pid: u32) -> String {
    let words = procfs::argv(pid).unwrap_or_default().join(" ");
    match words.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &words[..at]),
        None if words.is_empty() => procfs::program(pid).unwrap_or_else(|| "its program is hidden".to_string()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_maps_names_its_file() {
        let line = b"7f00-7f10 rw-s 00000000 fe:01 4711                       /tmp/a b.dw/12.0.000003.dws";
        assert_eq!(
            mapped_file(line),
            Some((PathBuf::from("/tmp/a b.dw/12.0.000003.dws"), 4711))
        );
        let gone = [&line[..], b" (deleted)"].concat();
        assert_eq!(mapped_file(&gone), mapped_file(line));
        assert_eq!(mapped_file(b"7f00-7f10 rw-p 00000000 00:00 0 [heap]"), None);
        assert_eq!(mapped_file(b""), None);
    }

    #[test]
    fn this_test_is_not_recorded() {
        let error = find(std::process::id()).unwrap_err().to_string();
        assert!(error.contains("is not recorded"), "{error}");
        let error = find(u32::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("there is no process"), "{error}");
    }
}
