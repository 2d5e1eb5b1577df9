//! `/proc/PID/smaps`: the mappings of a process and what of them is resident. Read in pieces until a deadline, because
//! the kernel visits every page for it and holds up the process's own `mmap` and `brk` in that time.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

fn clock(id: ClockId) -> Duration {
    clock_gettime(id).map_or(Duration::ZERO, Duration::from)
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub fn now_nanos() -> u64 {
    clock(ClockId::CLOCK_MONOTONIC).as_nanos() as u64
}

/// Processor time that the calling thread has used.
pub fn spent_by_us() -> Duration {
    clock(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// An amount of the calling thread's processor time: on a busy machine others' time does not count.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Duration);

impl Deadline {
    /// When the thread has used so much more.
    pub fn after(time: Duration) -> Deadline {
        Deadline(spent_by_us() + time)
    }

    /// Whether it has.
    pub fn has_passed(&self) -> bool {
        spent_by_us() > self.0
    }
}

/// A mapping.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    /// Whether the process may access it at all.
    pub is_accessible: bool,
    pub is_writable: bool,
    pub is_executable: bool,
    /// Whether what it writes is seen by others.
    pub is_shared: bool,
    /// 0 for anonymous memory.
    pub inode: u64,
    /// File, or a word in brackets; empty for anonymous memory.
    pub name: String,
    /// Resident bytes.
    pub rss: u64,
    /// Resident bytes, pages of n processes counted as 1/n.
    pub pss: u64,
    /// Bytes of pages that no other process has.
    pub uss: u64,
    /// Whether it is left out of core dumps.
    pub is_undumped: bool,
}

/// All mappings of a process by address; `None` if it is gone or the deadline passed.
pub fn read(pid: u32, deadline: &Deadline) -> Option<Vec<Mapping>> {
    let mut file = File::open(format!("/proc/{pid}/smaps")).ok()?;
    let mut text = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).ok()? {
            0 => break,
            count => text.extend_from_slice(piece.get(..count)?),
        }
        if deadline.has_passed() {
            return None;
        }
    }
    Some(parse(&String::from_utf8_lossy(&text)))
}

fn parse(text: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        // A field begins with a capital letter, a mapping with a digit of its address.
        if line.starts_with(|first: char| first.is_ascii_uppercase()) {
            let Some(mapping) = mappings.last_mut() else { continue };
            if let Some(value) = line.strip_prefix("Rss:") {
                mapping.rss = kib(value);
            } else if let Some(value) = line.strip_prefix("Pss:") {
                mapping.pss = kib(value);
            } else if let Some(value) = line
                .strip_prefix("Private_Clean:")
                .or(line.strip_prefix("Private_Dirty:"))
            {
                mapping.uss += kib(value);
            } else if let Some(flags) = line.strip_prefix("VmFlags:") {
                mapping.is_undumped = flags.split_ascii_whitespace().any(|flag| flag == "dd");
            }
        } else if let Some(mapping) = parse_head(line) {
            // Between two pieces of the text a mapping may have grown past where the kernel was: then it is told of again, from its
            // start.
            while mappings
                .last()
                .is_some_and(|before| before.end > mapping.start && before.start >= mapping.start)
            {
                mappings.pop();
            }
            mappings.push(mapping);
        }
    }
    mappings
}

fn kib(value: &str) -> u64 {
    let number = value.split_ascii_whitespace().next();
    number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// `55fff57f4000-55fff57f5000 r--p 00000000 fe:00 18504      /usr/bin/python3.11`
fn parse_head(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_start();
        let (word, left) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        rest = left;
        word
    };
    let (start, end) = word().split_once('-')?;
    let permissions = word().as_bytes().to_vec();
    let (_offset, _device) = (word(), word());
    let inode = word().parse().ok()?;
    let may = |at: usize, letter: u8| permissions.get(at) == Some(&letter);
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        is_accessible: permissions.get(..3) != Some(b"---"),
        is_writable: may(1, b'w'),
        is_executable: may(2, b'x'),
        is_shared: may(3, b's'),
        inode,
        name: rest.trim_start().to_owned(),
        ..Mapping::default()
    })
}

/// Size of the C library's main heap: 0 if it has none. It is among the first mappings, so no more of them is read.
pub fn heap_bytes(pid: u32) -> u64 {
    let mut text = vec![0; 4096];
    let read = File::open(format!("/proc/{pid}/maps")).and_then(|mut file| file.read(&mut text));
    text.truncate(read.unwrap_or(0));
    let heap = String::from_utf8_lossy(&text)
        .lines()
        .filter_map(parse_head)
        .find(|one| one.name == "[heap]");
    heap.map_or(0, |heap| heap.end - heap.start)
}

/// Bit 63 of an entry of `/proc/PID/pagemap`: the page is resident.
const PRESENT: u64 = 1 << 63;

/// Which pages of a range are resident; `None` if the process is gone or the deadline passed.
pub fn resident_pages(pid: u32, start: u64, end: u64, page: u64, deadline: &Deadline) -> Option<Vec<bool>> {
    const ENTRY: usize = 8;
    let file = File::open(format!("/proc/{pid}/pagemap")).ok()?;
    let mut pages = Vec::with_capacity(((end - start) / page) as usize);
    let mut piece = vec![0; 1 << 17];
    let mut at = start / page;
    while at < end / page {
        let want = piece.len().min((end / page - at) as usize * ENTRY);
        let count = file.read_at(piece.get_mut(..want)?, at * ENTRY as u64).ok()?;
        let entries = piece.get(..count)?.chunks_exact(ENTRY);
        if entries.len() == 0 || deadline.has_passed() {
            return None;
        }
        at += entries.len() as u64;
        pages.extend(entries.map(|entry| {
            entry
                .try_into()
                .is_ok_and(|bytes| u64::from_ne_bytes(bytes) & PRESENT != 0)
        }));
    }
    Some(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_with_their_amounts() {
        let text = "\
7f1c6c000000-7f1c6c021000 rw-p 00000000 00:00 0 \n\
Size:                132 kB\n\
Rss:                   8 kB\n\
Pss:                   4 kB\n\
VmFlags: rd wr mr mw me dd ac sd \n\
7f1c6c021000-7f1c70000000 ---p 00000000 00:00 0 \n\
Rss:                   0 kB\n\
7f1c71000000-7f1c71100000 rw-s 00001000 00:1b 77                         /dev/shm/a name (deleted)\n\
Rss:                1024 kB\n";
        let found = parse(text);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].start, found[0].end), (0x7f1c_6c00_0000, 0x7f1c_6c02_1000));
        assert_eq!((found[0].rss, found[0].pss, found[0].is_undumped), (8192, 4096, true));
        assert!(found[0].name.is_empty() && !found[1].is_accessible);
        assert_eq!(found[2].name, "/dev/shm/a name (deleted)");
        assert!(found[2].is_shared && found[2].is_writable && found[2].inode == 77 && found[2].rss == 1 << 20);
    }

    #[test]
    fn a_mapping_that_grew_while_it_was_read_counts_once() {
        let text = "\
7f1c6c000000-7f1c6d000000 rw-p 00000000 00:00 0 \n\
Rss:               16384 kB\n\
7f1c6c000000-7f1c6e000000 rw-p 00000000 00:00 0 \n\
Rss:               32768 kB\n\
7f1c6e000000-7f1c70000000 ---p 00000000 00:00 0 \n\
Rss:                   0 kB\n";
        let found = parse(text);
        let bounds: Vec<(u64, u64, u64)> = found.iter().map(|one| (one.start, one.end, one.rss)).collect();
        let (start, edge, end) = (0x7f1c_6c00_0000, 0x7f1c_6e00_0000, 0x7f1c_7000_0000);
        assert_eq!(bounds, [(start, edge, 32 << 20), (edge, end, 0)]);
    }

    #[test]
    fn our_own_mappings_add_up_to_what_the_kernel_says() {
        let us = std::process::id();
        let deadline = Deadline::after(Duration::from_secs(10));
        let sum: u64 = read(us, &deadline).unwrap().iter().map(|mapping| mapping.rss).sum();
        let resident = crate::linux::procfs::resident(us).unwrap();
        // The kernel's own counter lags by a few pages for each thread.
        assert!(sum.abs_diff(resident) < resident / 5, "{sum} {resident}");
    }

    #[test]
    fn the_heap_is_found() {
        let us = std::process::id();
        let all = read(us, &Deadline::after(Duration::from_secs(10))).unwrap();
        let heap = all.iter().find(|mapping| mapping.name == "[heap]");
        assert_eq!(heap_bytes(us), heap.map_or(0, |heap| heap.end - heap.start));
        assert_eq!(heap_bytes(u32::MAX), 0);
    }

    #[test]
    fn touched_pages_are_told_from_untouched_ones() {
        let page = crate::linux::procfs::page_bytes();
        let mut block = vec![0u8; 64 * page as usize];
        for at in [10, 20] {
            block[at * page as usize + page as usize] = 1;
        }
        let start = (block.as_ptr() as u64).next_multiple_of(page);
        let deadline = Deadline::after(Duration::from_secs(10));
        let pages = resident_pages(std::process::id(), start, start + 60 * page, page, &deadline).unwrap();
        assert_eq!(pages.len(), 60);
        assert!(pages.iter().filter(|resident| **resident).count() >= 2);
        // The thread has used more than no time at all.
        assert!(resident_pages(std::process::id(), start, start + page, page, &Deadline(Duration::ZERO)).is_none());
        drop(block);
    }
}
