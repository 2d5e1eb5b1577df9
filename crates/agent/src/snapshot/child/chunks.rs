//! Small blocks that were not recorded, between an object and the native memory that it has by way of them.
//!
//! In a sampled run few small blocks are recorded. An extension type that keeps its data behind a structure or two of C or C++
//! would not lead to the data, however large. So addresses in objects and recorded blocks that may be such a block are followed
//! a few steps, as long as glibc's own notes say that there is a block: its size stands in front of it, and in front of the
//! next block whether it is in use (`malloc_chunk` of `malloc/malloc.c`). Other allocators are not followed.
//!
//! Addresses of Python's objects in them are passed over: memory that was not cleared may have stale ones.

use core::ffi::c_int;

use deadweight_capture::Addr;
use deadweight_cpython::Memory;

use super::super::parts::Stopped;
use super::{Block, MAX_BODY, Walker};
use crate::arch;
use crate::list::List;
use crate::memory::NoMemory;
use crate::table::Table;

/// Steps from an object or a recorded block.
const MOST_STEPS: usize = 6;
/// Addresses that are followed from one of them.
const MOST_WAYS: usize = 64;
/// Blocks that are looked into, in all.
const MOST_CHUNKS: u32 = 1 << 20;
/// Larger blocks are always recorded.
const LARGEST: u64 = 1 << 20;
const SMALLEST: u64 = 32;
/// Blocks begin at multiples of this.
const ALIGNMENT: u64 = 16;
/// What stands in front of a block: the size of the one before it, its own size with the flags.
const HEADER: u64 = 16;
/// Flags: the block before is in use; it is a mapping; it is not from the main heap.
const BEFORE_IN_USE: u64 = 1;
const IS_MAPPING: u64 = 2;
const NOT_MAIN: u64 = 4;
const FLAGS: u64 = 7;
/// A recorded block in the same part of the address space, or in the next, is evidence that the C library's allocator has it:
/// 16 MiB. Its main heap needs none.
const PART_BITS: u32 = 24;

/// What is followed.
pub struct Chunks {
    /// Parts of the address space in or beside which recorded blocks are, by their number plus 1.
    parts: Table<u64, ()>,
    /// Addresses to be followed next, and those of the step before.
    ways: List<u64>,
    step: List<u64>,
    /// What the block that is being looked into leads to: its offset and the address.
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

    /// Notes where the C library's main heap is.
    pub fn note_heap(&mut self, (start, end): (u64, u64)) -> Result<(), NoMemory> {
        for part in start >> PART_BITS..=end >> PART_BITS {
            self.note_part(part)?;
        }
        Ok(())
    }

    /// Notes where a recorded block is.
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

    /// Whether a block may begin at an address: what can be told without reading there.
    #[inline]
    pub fn may_be_one(&self, address: u64) -> bool {
        address.is_multiple_of(ALIGNMENT) && self.parts.get((address >> PART_BITS) + 1).is_some()
    }

    /// Notes an address that may be that of a block: it is followed, if there are not too many.
    #[inline]
    pub fn suspect(&mut self, address: u64) -> Result<(), NoMemory> {
        match self.ways.as_slice().len() < MOST_WAYS {
            true => self.ways.push(address),
            false => Ok(()),
        }
    }
}

impl Walker<'_> {
    /// Follows what the last object or block has of suspected addresses.
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
            // SAFETY: the caller below passes itself and touches nothing of it during the call.
            i32::from(unsafe { &mut *walker }.search(address, size).is_err())
        }
        let place = &raw mut *self as usize;
        // SAFETY: `search` has these parameters; after a fault the list of what was found is whole.
        match unsafe { arch::guarded_call(search as *const () as usize, place, address as usize, size as usize) } {
            Some(1) => Err(Stopped),
            _ => Ok(()),
        }
    }

    fn search(&mut self, address: u64, size: u64) -> Result<(), NoMemory> {
        // Of a row of addresses in one block, the first is enough.
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

/// Bytes of the block of glibc's that begins at an address and is in use, if that is what is there.
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
    // The last word of a block is in front of the next one's size.
    is_next.then(|| size - HEADER / 2)
}
