//! The program's memory as the snapshot child reads it: guessed addresses are allowed, and no read faults.
//!
//! The child follows words that may be addresses into objects and blocks of any library. So every address is checked, before
//! anything is read there, against the ranges that were readable when the child began. They stay readable: the child has one
//! thread, and unmaps only what it has mapped itself since. Nothing that it writes to lies in these ranges: its own
//! mappings were made later, and the part of the stack that it uses is left out. (A page beyond the end of a truncated file
//! is in a range but cannot be read; [`crate::arch::guarded_call`] recovers from that.)

use core::cell::Cell;
use core::ptr::with_exposed_provenance;

use deadweight_cpython::Memory;

use super::PAGE;
use crate::list::List;
use crate::memory::NoMemory;
use crate::os;

/// Bytes of stack that the child may use, below the frame that called it.
pub const STACK_BYTES: u64 = 1 << 20;
/// Entries of the cache of ranges: the last range found for each MiB of address space, modulo this number.
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

/// The program's memory.
pub struct ProgramMemory {
    /// The readable ranges, ascending, with gaps between them.
    ranges: List<Range>,
    /// The largest of them, in which most objects are.
    largest: Range,
    recent: [Cell<Range>; RECENT],
}

impl ProgramMemory {
    /// Called when the child begins; all its variables lie below `stack` on the stack.
    pub fn of_copy(stack: u64) -> Result<ProgramMemory, NoMemory> {
        let mut memory = ProgramMemory {
            ranges: List::new(),
            largest: Range { start: 0, bytes: 0 },
            recent: [const { Cell::new(Range { start: 0, bytes: 0 }) }; RECENT],
        };
        let own = (stack.saturating_sub(STACK_BYTES) & !(PAGE - 1))..stack;
        let mut outcome = Ok(());
        os::each_line(b"/proc/self/maps\0", |line| {
            if let (Ok(()), Some((start, end))) = (outcome, readable(line)) {
                outcome = memory.add(start, end.min(own.start));
                outcome = outcome.and_then(|()| memory.add(start.max(own.end), end));
            }
        });
        let largest = memory.ranges.as_slice().iter().max_by_key(|range| range.bytes);
        memory.largest = largest.copied().unwrap_or(memory.largest);
        outcome.map(|()| memory)
    }

    /// Adds a range behind all others, unless it is empty.
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

    /// Shows what of an address range can be read.
    pub fn each_within(&self, from: u64, to: u64, mut show: impl FnMut(u64, u64)) {
        let ranges = self.ranges.as_slice();
        let first = ranges.partition_point(|range| range.start + range.bytes <= from);
        let meeting = ranges.iter().skip(first).take_while(|range| range.start < to);
        for range in meeting {
            show(range.start.max(from), (range.start + range.bytes).min(to));
        }
    }

    /// Whether these bytes can be read.
    #[inline(always)]
    fn has(&self, address: u64, bytes: u64) -> bool {
        self.largest.has(address, bytes) || self.has_beside(address, bytes)
    }

    /// The same, outside of the largest range.
    #[inline(always)]
    fn has_beside(&self, address: u64, bytes: u64) -> bool {
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

    /// Fills `out` from `address`, by volatile loads.
    ///
    /// # Safety
    /// [`ProgramMemory::has`] has said that these bytes can be read.
    #[inline(always)]
    unsafe fn load(&self, address: u64, out: &mut [u8]) {
        let mut at = address as usize;
        let (words, rest) = out.as_chunks_mut::<8>();
        for word in words {
            // SAFETY: the caller has checked the range; it stays readable, and no reference through which the child writes
            // covers it (see the module). Any bytes are a number, and `Loose` needs no alignment.
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

/// A number without alignment.
#[repr(C, packed)]
struct Loose<T>(T);

impl Memory for ProgramMemory {
    #[inline(always)]
    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        if !self.has(address, N as u64) {
            return None;
        }
        let mut out = [0; N];
        // SAFETY: checked above.
        unsafe { self.load(address, &mut out) };
        Some(out)
    }

    fn read_into(&self, address: u64, out: &mut [u8]) -> bool {
        let has = self.has(address, out.len() as u64);
        if has {
            // SAFETY: checked above.
            unsafe { self.load(address, out) };
        }
        has
    }
}

/// Start and end of a readable mapping, from its line of `/proc/PID/maps` (proc_pid_maps(5)).
fn readable(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = line.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let (range, rights) = (core::str::from_utf8(fields.next()?).ok()?, fields.next()?);
    // `[vvar]` and `[vsyscall]`: the kernel's, and not plain memory.
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
    fn what_lies_within_bounds_is_shown_range_by_range() {
        let memory = memory(&[(0x1000, 0x3000), (0x8000, 0x9000)]);
        let within = |from, to| {
            let mut found = Vec::new();
            memory.each_within(from, to, |from, to| found.push((from, to)));
            found
        };
        assert_eq!(within(0, 0x10000), [(0x1000, 0x3000), (0x8000, 0x9000)]);
        assert_eq!(within(0x2000, 0x8001), [(0x2000, 0x3000), (0x8000, 0x8001)]);
        assert_eq!(within(0x3000, 0x8000), []);
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
