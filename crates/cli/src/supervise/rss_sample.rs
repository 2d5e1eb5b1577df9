//! An RSS sample of one process: its mappings, sorted by what they are.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use deadweight_capture::rss_samples::{Area, AreaKind, FileKind, MappedFile, PAGE, ProcessRssSample};

use crate::linux::procfs::page_bytes;
use crate::linux::smaps::{self, Deadline, Mapping};

/// glibc's arenas begin at multiples of this and reserve as much (`HEAP_MAX_SIZE` of `malloc/arena.c`).
const ARENA: u64 = 64 << 20;
/// An anonymous mapping right behind a library's data is its `.bss`, if it is not larger than this.
const LARGEST_BSS: u64 = 16 << 20;
/// Areas smaller than this are mostly touched.
const WORTH_A_MAP: u64 = 128 << 10;
/// Files smaller than this are summed up by kind.
const WORTH_A_NAME: u64 = 1 << 20;
/// The first unit of residency, in bytes; it doubles where an area would need more runs than `MOST_RUNS`.
const UNIT: u64 = 64 << 10;
const MOST_RUNS: usize = 2048;
/// Of very many areas the largest are kept.
const MOST_AREAS: usize = 2048;
/// Threads whose stack is asked for.
const MOST_THREADS: usize = 512;

/// A full sample of a process. `None` if it is gone or the deadline passed.
pub fn full(pid: u32, proportional: bool, capture: &Path, deadline: &Deadline) -> Option<ProcessRssSample> {
    let mappings = smaps::read(pid, deadline)?;
    let mut sorter = Sorter {
        pid,
        capture: capture.to_str().unwrap_or("\0"),
        stacks: stack_pointers(pid),
        code: mappings
            .iter()
            .filter(|one| one.is_executable)
            .map(|one| one.name.as_str())
            .collect(),
        files: BTreeMap::new(),
        areas: Vec::new(),
        rest: 0,
        proportional,
    };
    for (at, mapping) in mappings.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| mappings.get(at));
        sorter.add(mapping, before, mappings.get(at + 1));
    }
    let mut rest = sorter.rest;
    let mut areas = sorter.areas;
    if areas.len() > MOST_AREAS {
        areas.sort_by_key(|area| std::cmp::Reverse(area.rss));
        rest += areas
            .drain(MOST_AREAS..)
            .map(|area| counted(area.rss, area.pss, proportional))
            .sum::<u64>();
        areas.sort_by_key(|area| area.start);
    }
    for area in &mut areas {
        fill_in(pid, area, deadline);
    }
    let files = named(sorter.files);
    let counted = rest
        + areas
            .iter()
            .map(|area| counted(area.rss, area.pss, proportional))
            .sum::<u64>()
        + files
            .iter()
            .map(|file| counted(file.rss, file.pss, proportional))
            .sum::<u64>();
    Some(ProcessRssSample {
        pid,
        counted,
        proportional,
        areas,
        files,
        rest,
        copy_of: None,
    })
}

/// A coarse sample: what is known of a process that is too small for its mappings to be read.
pub fn coarse(pid: u32, resident: u64, shared: u64) -> ProcessRssSample {
    let file = MappedFile {
        kind: FileKind::Code,
        path: String::new(),
        rss: shared.min(resident),
        pss: shared.min(resident),
    };
    ProcessRssSample {
        pid,
        counted: resident,
        proportional: false,
        areas: Vec::new(),
        files: vec![file],
        rest: resident.saturating_sub(shared),
        copy_of: None,
    }
}

fn counted(rss: u64, pss: u64, proportional: bool) -> u64 {
    if proportional { pss } else { rss }
}

/// A mapping in two parts, as if its resident pages were spread evenly.
fn split(mapping: &Mapping, at: u64) -> (Mapping, Mapping) {
    let (part, whole) = (at - mapping.start, (mapping.end - mapping.start).max(1));
    let share = |bytes: u64| (u128::from(bytes) * u128::from(part) / u128::from(whole)) as u64;
    let (mut lower, mut upper) = (mapping.clone(), mapping.clone());
    (lower.end, upper.start) = (at, at);
    (lower.rss, lower.pss, lower.uss) = (share(mapping.rss), share(mapping.pss), share(mapping.uss));
    (upper.rss, upper.pss, upper.uss) = (
        mapping.rss - lower.rss,
        mapping.pss - lower.pss,
        mapping.uss - lower.uss,
    );
    (lower, upper)
}

/// Whether an arena that has used up its reserve begins here: its head has the address of the arena's state, the one of
/// the heap before, the size in use, and the size made accessible (`heap_info` of glibc's `malloc/arena.c`).
fn is_full_arena(pid: u32, start: u64) -> bool {
    let mut head = [0; 32];
    let read = File::open(format!("/proc/{pid}/mem")).and_then(|file| file.read_exact_at(&mut head, start));
    let word = |at: usize| {
        head.get(at..at + 8)
            .and_then(|word| word.try_into().ok())
            .map_or(0, u64::from_ne_bytes)
    };
    let (state, before, used, accessible) = (word(0), word(8), word(16), word(24));
    let is_address = |address: u64| address.is_multiple_of(8) && address >= ARENA;
    read.is_ok()
        && is_address(state)
        && (before == 0 || before.is_multiple_of(ARENA))
        && used > 0
        && used <= accessible
        && accessible == ARENA
}

struct Sorter<'a> {
    pid: u32,
    capture: &'a str,
    /// Stack pointers of the threads that wait for something.
    stacks: Vec<u64>,
    /// Names of files with executable mappings.
    code: HashSet<&'a str>,
    files: BTreeMap<(FileKind, &'a str), (u64, u64)>,
    areas: Vec<Area>,
    rest: u64,
    proportional: bool,
}

impl<'a> Sorter<'a> {
    fn add(&mut self, mapping: &'a Mapping, before: Option<&'a Mapping>, after: Option<&Mapping>) {
        if mapping.rss == 0 {
            return;
        }
        let neighbour = |one: Option<&'a Mapping>| one.filter(|one| one.end == mapping.start);
        match self.file_kind(mapping) {
            Some(kind) => self.file(kind, &mapping.name, mapping),
            None if mapping.name == "[heap]" => self.area(AreaKind::Heap, mapping),
            None if mapping.name == "[stack]" => self.area(AreaKind::Stack, mapping),
            None if !mapping.name.is_empty() && !mapping.name.starts_with("[anon:") => {
                self.rest += counted(mapping.rss, mapping.pss, self.proportional);
            }
            None if mapping.is_undumped => self.area(AreaKind::Deadweight, mapping),
            None if self.is_stack(mapping, neighbour(before)) => self.area(AreaKind::Stack, mapping),
            None => {
                let library = neighbour(before)
                    .filter(|one| one.inode != 0 && one.is_writable && !one.is_shared)
                    .filter(|_| mapping.end - mapping.start <= LARGEST_BSS);
                match library {
                    Some(library) => self.file(FileKind::Code, &library.name, mapping),
                    None => self.anonymous(mapping, after),
                }
            }
        }
    }

    /// `None` for anonymous memory.
    fn file_kind(&self, mapping: &Mapping) -> Option<FileKind> {
        let name = mapping.name.as_str();
        let shared = ["/dev/shm/", "/memfd:", "/SYSV", "/dev/zero", "[anon_shmem"];
        if mapping.is_shared && mapping.inode == 0 || shared.iter().any(|start| name.starts_with(start)) {
            return Some(FileKind::Shared);
        }
        if mapping.inode == 0 && !name.starts_with('/') {
            return None;
        }
        let ours = name
            .strip_prefix(self.capture)
            .is_some_and(|rest| rest.starts_with('/'));
        let agent = name.contains("/deadweight/agent-");
        Some(if ours || agent {
            FileKind::Deadweight
        } else if self.code.contains(name) || name.contains(".so") {
            FileKind::Code
        } else {
            FileKind::Data
        })
    }

    fn file(&mut self, kind: FileKind, name: &'a str, mapping: &Mapping) {
        let (rss, pss) = self.files.entry((kind, name)).or_default();
        *rss += mapping.rss;
        *pss += mapping.pss;
    }

    /// A thread's stack has its stack pointer in it, or a page without access below it, as the C library makes it.
    fn is_stack(&self, mapping: &Mapping, before: Option<&Mapping>) -> bool {
        let guarded =
            before.is_some_and(|one| !one.is_accessible && one.inode == 0 && one.end - one.start == page_bytes());
        guarded
            || self
                .stacks
                .iter()
                .any(|pointer| (mapping.start..mapping.end).contains(pointer))
    }

    /// Cuts the C library's arenas out of anonymous memory: the kernel shows neighbours of one kind as one mapping.
    fn anonymous(&mut self, mapping: &Mapping, after: Option<&Mapping>) {
        // The unused rest of an arena follows it.
        let reserve =
            after.filter(|one| one.start == mapping.end && !one.is_accessible && one.end.is_multiple_of(ARENA));
        let last = reserve.and_then(|one| one.end.checked_sub(ARENA));
        let mut rest = mapping.clone();
        let mut start = mapping.start.next_multiple_of(ARENA);
        while start < mapping.end {
            let end = (start + ARENA).min(mapping.end);
            if Some(start) == last || (end - start == ARENA && is_full_arena(self.pid, start)) {
                let (before, tail) = split(&rest, start);
                let (arena, tail) = split(&tail, end);
                self.area(AreaKind::Anonymous, &before);
                self.area(AreaKind::MallocArena, &arena);
                rest = tail;
            }
            start += ARENA;
        }
        self.area(AreaKind::Anonymous, &rest);
    }

    fn area(&mut self, kind: AreaKind, mapping: &Mapping) {
        if mapping.start >= mapping.end {
            return;
        }
        self.areas.push(Area {
            kind,
            start: mapping.start,
            end: mapping.end,
            rss: mapping.rss,
            pss: mapping.pss,
            uss: mapping.uss,
            runs: Vec::new(),
            unit: 0,
        });
    }
}

/// Where the threads' stacks are, of those that the kernel tells: the ones that wait for something.
fn stack_pointers(pid: u32) -> Vec<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let pointer = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("syscall")).ok()?;
        let word = text.split_ascii_whitespace().rev().nth(1)?.strip_prefix("0x")?;
        u64::from_str_radix(word, 16).ok()
    };
    tasks.take(MOST_THREADS).filter_map(pointer).collect()
}

/// Finds out which parts of an area are resident.
fn fill_in(pid: u32, area: &mut Area, deadline: &Deadline) {
    let size = area.end - area.start;
    let is_heap = matches!(area.kind, AreaKind::Heap | AreaKind::MallocArena | AreaKind::Anonymous);
    // Of a huge reservation of which little is used, reading the map would take too long.
    let is_sparse = size > 32 * area.rss + (64 << 20);
    if !is_heap || size < WORTH_A_MAP || area.rss >= size - size / 64 || is_sparse {
        return;
    }
    let page = page_bytes();
    let Some(pages) = smaps::resident_pages(pid, area.start, area.end, page, deadline) else {
        return;
    };
    (area.unit, area.runs) = runs(&pages, page);
}

/// Pages in runs of units that have equally many of them.
fn runs(pages: &[bool], page: u64) -> (u64, Vec<(u32, u32)>) {
    let mut unit = UNIT.max(page);
    loop {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for part in pages.chunks((unit / page) as usize) {
            let resident = part.iter().filter(|resident| **resident).count() as u64 * page / PAGE;
            match runs.last_mut() {
                Some((units, pages)) if u64::from(*pages) == resident => *units += 1,
                _ => runs.push((1, resident as u32)),
            }
        }
        if runs.len() <= MOST_RUNS {
            return (unit, runs);
        }
        unit *= 2;
    }
}

/// The files, those that are small or make up the program summed up.
fn named(files: BTreeMap<(FileKind, &str), (u64, u64)>) -> Vec<MappedFile> {
    let mut list: Vec<MappedFile> = Vec::new();
    let mut sums: BTreeMap<FileKind, (u64, u64)> = BTreeMap::new();
    for ((kind, path), (rss, pss)) in files {
        if rss >= WORTH_A_NAME && kind != FileKind::Deadweight {
            list.push(MappedFile {
                kind,
                path: path.to_owned(),
                rss,
                pss,
            });
        } else {
            let sum = sums.entry(kind).or_default();
            *sum = (sum.0 + rss, sum.1 + pss);
        }
    }
    list.extend(sums.into_iter().map(|(kind, (rss, pss))| MappedFile {
        kind,
        path: String::new(),
        rss,
        pss,
    }));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn runs_become_coarser_until_they_are_few() {
        let pages: Vec<bool> = (0..1 << 20).map(|page| (page / 16) % 2 == 0).collect();
        let (unit, runs) = runs(&pages, 4096);
        assert_eq!((unit, runs.len()), (UNIT * 2, 1));
        assert_eq!(runs[0].1, 16);
    }

    #[test]
    fn we_add_up() {
        let us = std::process::id();
        let found = full(
            us,
            false,
            Path::new("/nowhere"),
            &Deadline::after(Duration::from_secs(10)),
        )
        .unwrap();
        let resident = crate::linux::procfs::resident(us).unwrap();
        assert!(
            found.counted.abs_diff(resident) < resident / 5,
            "{} {resident}",
            found.counted
        );
        assert!(found.areas.iter().any(|area| area.kind == AreaKind::Stack));
        assert!(found.files.iter().any(|file| file.kind == FileKind::Code));
    }

    #[test]
    fn a_process_that_is_gone_gives_no_sample() {
        assert!(
            full(
                u32::MAX,
                false,
                Path::new("/nowhere"),
                &Deadline::after(Duration::from_secs(10))
            )
            .is_none()
        );
    }
}
