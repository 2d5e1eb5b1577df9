//! Small unrecorded blocks through which an object owns recorded native memory.
//!
//! A sampled run records few small blocks. So an extension type whose data lie behind a small structure or two of C or C++
//! would not lead to the data, however large they are. Therefore addresses in objects and recorded blocks that may be such
//! a small block are followed for a few steps, as long as glibc's metadata confirm that there is a block: its size is in
//! front of it, and whether it is in use is in front of the next block (`malloc_chunk` in `malloc/malloc.c`). Blocks of other
//! allocators are not followed.
//!
//! Addresses of Python objects in these blocks are ignored: uninitialised memory may contain stale ones.

use core::ffi::c_int;

use deadweight_capture::Addr;
use deadweight_cpython::Memory;

use super::super::parts::Stopped;
use super::{Block, MAX_BODY, Walker};
use crate::arch;
use crate::list::List;
use crate::memory::NoMemory;
use crate::table::Table;

/// Number of steps from an object or a recorded block.
const MOST_STEPS: usize = 6;
/// Number of addresses that are followed from one of them.
const MOST_WAYS: usize = 64;
/// Number of blocks that are examined in total.
const MOST_CHUNKS: u32 = 1 << 20;
/// Largest block that is followed, bytes; larger ones are always recorded.
const LARGEST: u64 = 1 << 20;
const SMALLEST: u64 = 32;
/// Blocks begin at multiples of this.
const ALIGNMENT: u64 = 16;
/// Bytes of metadata in front of a block: the size of the block before it, and its own size with the flags.
const HEADER: u64 = 16;
/// Flags: the block before is in use; the block is a mapping; it is not from the main heap.
const BEFORE_IN_USE: u64 = 1;
const IS_MAPPING: u64 = 2;
const NOT_MAIN: u64 = 4;
const FLAGS: u64 = 7;
/// Address space is divided into parts of 16 MiB. A recorded block in the same part or in the next one is evidence that a
/// part belongs to the C library's allocator. Its main heap needs no such evidence.
const PART_BITS: u32 = 24;

/// The state of following unrecorded blocks.
pub struct Chunks {
    /// Parts of the address space that belong to the C library's allocator, by their number plus 1.
    parts: Table<u64, ()>,
    /// Addresses to be followed in the next step, and those of this one.
    ways: List<u64>,
    step: List<u64>,
    /// Where the block that is being examined leads to: offset and address.
    found: List<(u32, u64)>,
    looked_into: u32,
}

impl Chunks {
    pub const fn new() -> Chunks {
        Chunks {
            parts: Table::new(),
            ways: List::new(),
            step: List::new(),
            found: List::new(),
            looked_into: 0,
        }
    }

    /// Notes the extent of the C library's main heap.
    pub fn note_heap(&mut self, (start, end): (u64, u64)) -> Result<(), NoMemory> {
        for part in start >> PART_BITS..=end >> PART_BITS {
            self.note_part(part)?;
        }
        Ok(())
    }

    /// Notes the address of a recorded block.
    pub fn note(&mut self, block: &Block) -> Result<(), NoMemory> {
        let part = block.addr >> PART_BITS;
        for part in [part.saturating_sub(1), part, part + 1] {
            self.note_part(part)?;
        }
        Ok(())
    }

    fn note_part(&mut self, part: u64) -> Result<(), NoMemory> {
        match self.parts.get(part + 1) {
            Some(()) => Ok(()),
            None => self.parts.insert(part + 1, ()),
        }
    }

    /// Whether a block may begin at an address, as far as that can be told without reading there.
    #[inline]
    pub fn may_be_one(&self, address: u64) -> bool {
        address.is_multiple_of(ALIGNMENT) && self.parts.get((address >> PART_BITS) + 1).is_some()
    }

    /// Notes an address that may be that of a block; it is followed unless there are too many.
    #[inline]
    pub fn suspect(&mut self, address: u64) -> Result<(), NoMemory> {
        match self.ways.as_slice().len() < MOST_WAYS {
            true => self.ways.push(address),
            false => Ok(()),
        }
    }
}

impl Walker<'_> {
    /// Follows the suspected addresses of the last object or block.
    #[inline]
    pub(super) fn follow(&mut self) -> Result<(), Stopped> {
        match self.chunks.ways.as_slice().is_empty() {
            true => Ok(()),
            false => self.follow_ways(),
        }
    }

    #[cold]
    fn follow_ways(&mut self) -> Result<(), Stopped> {
        for _ in 0..MOST_STEPS {
            core::mem::swap(&mut self.chunks.ways, &mut self.chunks.step);
            self.chunks.ways.clear();
            for index in 0.. {
                let Some(address) = self.chunks.step.get(index) else {
                    break;
                };
                if self.chunks.looked_into < MOST_CHUNKS && self.followed.reach(address)? {
                    self.look_into(address)?;
                }
            }
            if self.chunks.ways.as_slice().is_empty() {
                break;
            }
        }
        self.chunks.ways.clear();
        Ok(())
    }

    /// Writes the block at an address, if there is one and it leads to others.
    fn look_into(&mut self, address: u64) -> Result<(), Stopped> {
        let Some(size) = size_at(self.ctx.mem, address) else {
            return Ok(());
        };
        if !self.budget.lasts() {
            return Err(Stopped);
        }
        self.chunks.looked_into += 1;
        self.chunks.found.clear();
        self.guarded_search(address, size)?;
        if self.chunks.found.as_slice().is_empty() {
            return Ok(());
        }
        self.parts.put(|writer| writer.heap_chunk(Addr(address), size))?;
        for index in 0.. {
            let Some((offset, word)) = self.chunks.found.get(index) else {
                break;
            };
            self.parts.put(|writer| writer.heap_word(Addr(word), offset))?;
        }
        Ok(())
    }

    fn guarded_search(&mut self, address: u64, size: u64) -> Result<(), Stopped> {
        unsafe extern "C" fn search(walker: *mut Walker<'_>, address: u64, size: u64) -> c_int {
            // SAFETY: `guarded_search` passes itself and does not use itself during the call.
            i32::from(unsafe { &mut *walker }.search(address, size).is_err())
        }
        let place = &raw mut *self as usize;
        // SAFETY: `search` has these parameters; a fault in it leaves the list of addresses found valid.
        match unsafe { arch::guarded_call(search as *const () as usize, place, address as usize, size as usize) } {
            Some(1) => Err(Stopped),
            _ => Ok(()),
        }
    }

    fn search(&mut self, address: u64, size: u64) -> Result<(), NoMemory> {
        // Of several addresses in a row that lie in the same block, the first is enough.
        let mut last_block = None;
        for offset in (0..size.min(MAX_BODY)).step_by(8) {
            let word = self.ctx.mem.u64(address + offset).unwrap_or(0);
            if word <= 0xffff || word >= 1 << 47 || word.wrapping_sub(address) < size {
                continue;
            }
            if let Some(&Block { addr, .. }) = self.block_at(word) {
                if last_block.replace(addr) != Some(addr) {
                    self.chunks.found.push((offset as u32, word))?;
                }
            } else if self.chunks.may_be_one(word) && !self.reached.has(word) && size_at(self.ctx.mem, word).is_some() {
                self.chunks.found.push((offset as u32, word))?;
                self.chunks.suspect(word)?;
            }
        }
        Ok(())
    }
}

/// Size of the glibc block that begins at an address, if there is one and it is in use.
fn size_at(mem: &impl Memory, address: u64) -> Option<u64> {
    let own = mem.u64(address.checked_sub(HEADER / 2)?)?;
    let size = own & !FLAGS;
    if !size.is_multiple_of(ALIGNMENT) || !(SMALLEST..=LARGEST).contains(&size) || own & IS_MAPPING != 0 {
        return None;
    }
    let next = mem.u64(address.checked_add(size)?.checked_sub(HEADER / 2)?)?;
    let next_size = next & !FLAGS;
    let is_next = next & BEFORE_IN_USE != 0
        && (own ^ next) & NOT_MAIN == 0
        && next_size.is_multiple_of(ALIGNMENT)
        && (ALIGNMENT..1 << 40).contains(&next_size);
    // A block extends over the word in front of the next one's size.
    is_next.then(|| size - HEADER / 2)
}
