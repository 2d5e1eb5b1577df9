//! The program's memory, as its copy may read it: guessed addresses too, and none that faults.
//!
//! The copy follows words that may be addresses, into objects and blocks of any library. So an address is compared with
//! the ranges that were readable when the copy began, before anything is read there. They stay readable: the copy has one
//! thread, and unmaps only what it has mapped since. What it writes to lies in none of them: mappings that it has made
//! since, and the part of its stack that it uses. (A page behind the end of a shortened file is in a range and cannot be
//! read; [`crate::arch::guarded_call`] sees to that.)

use core::cell::Cell;
use core::ptr::with_exposed_provenance;

use deadweight_cpython::Memory;

use crate::list::List;
use crate::memory::NoMemory;
use crate::os;

/// So much of the stack below the place where the copy began is its own.
pub const STACK_BYTES: u64 = 1 << 20;
/// The range found last is kept for each MiB of address space, modulo their number.
const RECENT: usize = 64;
const RECENT_SHIFT: u32 = 20;

#[derive(Clone, Copy)]
struct Range {
    start: u64,
    bytes: u64,
}

impl Range {
    #[inline(always)]
    fn has(&self, address: u64, bytes: u64) -> bool {
        bytes <= self.bytes && address.wrapping_sub(self.start) <= self.bytes - bytes
    }
}

/// The memory.
pub struct ProgramMemory {
    /// In order, with gaps between them.
    ranges: List<Range>,
    recent: [Cell<Range>; RECENT],
}

impl ProgramMemory {
    /// The memory of this copy, which has just begun and whose stack frames lie below `stack`.
    pub fn of_copy(stack: u64) -> Result<ProgramMemory, NoMemory> {
        let mut memory = ProgramMemory {
            ranges: List::new(),
            recent: [const { Cell::new(Range { start: 0, bytes: 0 }) }; RECENT],
        };
        let own = stack.saturating_sub(STACK_BYTES)..stack;
        let mut outcome = Ok(());
        os::each_line(b"/proc/self/maps\0", |line| {
            if let (Ok(()), Some((start, end))) = (outcome, readable(line)) {
                outcome = memory.add(start, end.min(own.start));
                outcome = outcome.and_then(|()| memory.add(start.max(own.end), end));
            }
        });
        outcome.map(|()| memory)
    }

    /// Adds a range that lies behind all others, if there is anything in it.
    fn add(&mut self, start: u64, end: u64) -> Result<(), NoMemory> {
        let Some(bytes) = end.checked_sub(start).filter(|&bytes| bytes > 0) else {
            return Ok(());
        };
        match self.ranges.as_mut_slice().last_mut() {
            Some(last) if last.start + last.bytes == start => {
                last.bytes += bytes;
                Ok(())
            }
            _ => self.ranges.push(Range { start, bytes }),
        }
    }

    /// Whether these bytes can be read.
    #[inline(always)]
    fn has(&self, address: u64, bytes: u64) -> bool {
        match self.recent.get((address >> RECENT_SHIFT) as usize % RECENT) {
            Some(recent) => recent.get().has(address, bytes) || self.look_up(recent, address, bytes),
            None => false,
        }
    }

    #[cold]
    fn look_up(&self, recent: &Cell<Range>, address: u64, bytes: u64) -> bool {
        let ranges = self.ranges.as_slice();
        let behind = ranges.partition_point(|range| range.start <= address);
        let found = behind.checked_sub(1).and_then(|index| ranges.get(index));
        found.is_some_and(|range| {
            recent.set(*range);
            range.has(address, bytes)
        })
    }

    /// Fills `out` from `address`, by loads that the compiler takes as they are.
    ///
    /// # Safety
    /// [`ProgramMemory::has`] these bytes.
    #[inline(always)]
    unsafe fn load(&self, address: u64, out: &mut [u8]) {
        let mut at = address as usize;
        let (words, rest) = out.as_chunks_mut::<8>();
        for word in words {
            // SAFETY: the bytes can be read by the caller's promise and what the module says, any of them are a number, and
            // they may begin anywhere. The program's memory is no object of Rust's.
            let Loose(number) = unsafe { with_exposed_provenance::<Loose<u64>>(at).read_volatile() };
            *word = number.to_ne_bytes();
            at += 8;
        }
        let (halves, rest) = rest.as_chunks_mut::<4>();
        for half in halves {
            // SAFETY: as above.
            let Loose(number) = unsafe { with_exposed_provenance::<Loose<u32>>(at).read_volatile() };
            *half = number.to_ne_bytes();
            at += 4;
        }
        for byte in rest {
            // SAFETY: as above.
            *byte = unsafe { with_exposed_provenance::<u8>(at).read_volatile() };
            at += 1;
        }
    }
}

/// A number at any address.
#[repr(C, packed)]
struct Loose<T>(T);

impl Memory for ProgramMemory {
    #[inline(always)]
    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        if !self.has(address, N as u64) {
            return None;
        }
        let mut out = [0; N];
        // SAFETY: as asked above.
        unsafe { self.load(address, &mut out) };
        Some(out)
    }

    fn read_into(&self, address: u64, out: &mut [u8]) -> bool {
        let has = self.has(address, out.len() as u64);
        if has {
            // SAFETY: as asked above.
            unsafe { self.load(address, out) };
        }
        has
    }
}

/// Start and end of a mapping that can be read, by its line in `/proc/PID/maps` (proc_pid_maps(5)).
fn readable(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = line.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let (range, rights) = (core::str::from_utf8(fields.next()?).ok()?, fields.next()?);
    // The kernel's own: its data for the clock is no plain memory.
    let is_kernels = fields.nth(3).is_some_and(|name| name.starts_with(b"[v"));
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    (rights.first() == Some(&b'r') && !is_kernels).then_some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(ranges: &[(u64, u64)]) -> ProgramMemory {
        let mut memory = ProgramMemory::of_copy(0).unwrap();
        memory.ranges.clear();
        for &(start, end) in ranges {
            memory.add(start, end).unwrap();
        }
        memory
    }

    #[test]
    fn lines_of_the_kernel_are_understood() {
        let line = b"7ffff7d28000-7ffff7d50000 r--p 00000000 fd:01 1234                       /usr/lib/libc.so.6";
        assert_eq!(readable(line), Some((0x7fff_f7d2_8000, 0x7fff_f7d5_0000)));
        assert_eq!(readable(b"5000-7000 rw-p 00000000 00:00 0 "), Some((0x5000, 0x7000)));
        assert_eq!(readable(b"5000-7000 ---p 00000000 00:00 0 "), None);
        assert_eq!(readable(b"5000-7000 -w-p 00000000 00:00 0 "), None);
        assert_eq!(
            readable(b"7ffff7fc5000-7ffff7fc9000 r--p 00000000 00:00 0   [vvar]"),
            None
        );
        for odd in [&b""[..], b"5000", b"5000-7000", b"x-y r--p", b"5000 r--p"] {
            assert_eq!(readable(odd), None);
        }
    }

    #[test]
    fn bytes_are_readable_as_far_as_the_ranges_go() {
        let memory = memory(&[(0x1000, 0x3000), (0x3000, 0x4000), (0x8000, 0x9000), (0xa000, 0xa000)]);
        assert_eq!(
            memory.ranges.as_slice().len(),
            2,
            "neighbours are one range, an empty one is none"
        );
        for _ in 0..2 {
            assert!(memory.has(0x1000, 0x3000) && !memory.has(0x1000, 0x3001));
            assert!(memory.has(0x3ff8, 8) && !memory.has(0x3ff9, 8) && !memory.has(0xfff, 8));
            assert!(memory.has(0x8fff, 1) && !memory.has(0x9000, 1) && !memory.has(0x7fff, 1));
            assert!(!memory.has(u64::MAX, 8) && !memory.has(0, 1) && !memory.has(0x8000, u64::MAX));
        }
    }

    #[test]
    fn this_process_reads_itself_but_for_the_stack_in_use() {
        let bytes: Vec<u8> = (0..64).collect();
        let here = 0u64;
        let place = &raw const here as u64;
        let memory = ProgramMemory::of_copy(place + 8).unwrap();
        let start = bytes.as_ptr() as u64;
        assert_eq!(memory.read::<8>(start + 3), Some([3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(memory.read::<7>(start), Some([0, 1, 2, 3, 4, 5, 6]));
        assert_eq!(memory.u16(start + 2), Some(0x0302));
        let mut out = [0; 21];
        assert!(memory.read_into(start + 1, &mut out));
        assert_eq!(out[..], bytes[1..22]);
        assert_eq!(memory.u64(place), None);
        assert_eq!(memory.u64(0x10), None);
    }
}
