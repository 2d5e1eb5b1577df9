//! The folder of a capture: which processes wrote which segments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::manifest::{self, Manifest};

/// Name of the file with the folded beginning of a long run.
pub const FOLD_FILE: &str = "fold.dws";

/// A program that ran in a process: `exec` keeps the process id and increments the incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProcessId {
    /// Process id.
    pub pid: u32,
    /// Number of programs that ran in it before.
    pub incarnation: u32,
}

/// The name of a segment's file in the capture: `PID.INCARNATION.INDEX.dws`.
pub fn segment_file_name(process: ProcessId, index: u32) -> String {
    format!("{}.{}.{:06}.dws", process.pid, process.incarnation, index)
}

/// A segment's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentFile {
    /// Number of the segment in its incarnation.
    pub index: u32,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
}

/// The segments of one process, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessFiles {
    /// Whose they are.
    pub process: ProcessId,
    /// The files, by index.
    pub segments: Vec<SegmentFile>,
}

/// The files of one heap snapshot, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeapFiles {
    /// Whose heap it is.
    pub process: ProcessId,
    /// Number of the snapshot in its incarnation, as in `Event::Snapshot`.
    pub number: u32,
    /// The files, by index.
    pub segments: Vec<SegmentFile>,
}

/// The name of a file of a heap snapshot: `PID.INCARNATION.NUMBER.INDEX.dwh`.
pub fn heap_file_name(process: ProcessId, number: u32, index: u32) -> String {
    format!("{}.{}.{number}.{index:06}.dwh", process.pid, process.incarnation)
}

/// The folder of a capture as it is now; a running program may add to it.
#[derive(Clone, Debug)]
pub struct Capture {
    folder: PathBuf,
    processes: Vec<ProcessFiles>,
    heaps: Vec<HeapFiles>,
    fold: Option<PathBuf>,
}

impl Capture {
    /// Lists the folder.
    ///
    /// # Errors
    /// If it cannot be read, or holds neither a manifest nor a segment.
    pub fn open(folder: &Path) -> Result<Capture, Error> {
        let io = |source| Error::Io {
            path: folder.to_path_buf(),
            source,
        };
        if !std::fs::metadata(folder).map_err(io)?.is_dir() {
            return Err(Error::NotACapture {
                path: folder.to_path_buf(),
                missing: "it is a file, not a folder",
            });
        }
        let mut found: BTreeMap<ProcessId, Vec<SegmentFile>> = BTreeMap::new();
        let mut heaps: BTreeMap<(ProcessId, u32), Vec<SegmentFile>> = BTreeMap::new();
        let (mut fold, mut has_manifest) = (None, false);
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == FOLD_FILE {
                fold = Some(entry.path());
            } else if name == manifest::FILE {
                has_manifest = true;
            } else if let Some((process, index)) = parse_name(name) {
                // A segment that has been folded away since the folder was listed is not needed.
                let Ok(metadata) = entry.metadata() else { continue };
                found.entry(process).or_default().push(SegmentFile {
                    index,
                    path: entry.path(),
                    len: metadata.len(),
                });
            } else if let Some((process, number, index)) = parse_heap_name(name) {
                let Ok(metadata) = entry.metadata() else { continue };
                let file = SegmentFile {
                    index,
                    path: entry.path(),
                    len: metadata.len(),
                };
                heaps.entry((process, number)).or_default().push(file);
            }
        }
        if found.is_empty() && fold.is_none() && !has_manifest {
            return Err(Error::NotACapture {
                path: folder.to_path_buf(),
                missing: "there is no run.json and no segment (*.dws) in it",
            });
        }
        let processes = found
            .into_iter()
            .map(|(process, mut segments)| {
                segments.sort_by_key(|segment| segment.index);
                ProcessFiles { process, segments }
            })
            .collect();
        let heaps = heaps
            .into_iter()
            .map(|((process, number), mut segments)| {
                segments.sort_by_key(|segment| segment.index);
                HeapFiles {
                    process,
                    number,
                    segments,
                }
            })
            .collect();
        Ok(Capture {
            folder: folder.to_path_buf(),
            processes,
            heaps,
            fold,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recorded processes, by id.
    pub fn processes(&self) -> &[ProcessFiles] {
        &self.processes
    }

    /// The heap snapshots, by process and number.
    pub fn heaps(&self) -> &[HeapFiles] {
        &self.heaps
    }

    /// The folded beginning, if there is one.
    pub fn fold(&self) -> Option<&Path> {
        self.fold.as_deref()
    }

    /// Bytes of all segments and of the fold.
    pub fn len_bytes(&self) -> u64 {
        let fold = self
            .fold
            .as_ref()
            .and_then(|path| std::fs::metadata(path).ok())
            .map_or(0, |data| data.len());
        fold + self
            .processes
            .iter()
            .flat_map(|process| &process.segments)
            .map(|segment| segment.len)
            .sum::<u64>()
    }

    /// The manifest.
    ///
    /// # Errors
    /// See [`Manifest::read`].
    pub fn manifest(&self) -> Result<Manifest, Error> {
        Manifest::read(&self.folder)
    }
}

fn parse_name(name: &str) -> Option<(ProcessId, u32)> {
    let [pid, incarnation, index] = numbers(name.strip_suffix(".dws")?)?;
    Some((ProcessId { pid, incarnation }, index))
}

fn parse_heap_name(name: &str) -> Option<(ProcessId, u32, u32)> {
    let [pid, incarnation, number, index] = numbers(name.strip_suffix(".dwh")?)?;
    Some((ProcessId { pid, incarnation }, number, index))
}

/// Exactly `N` numbers with dots between them.
fn numbers<const N: usize>(text: &str) -> Option<[u32; N]> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = parts.next()??;
    }
    parts.next().is_none().then_some(numbers)
}
