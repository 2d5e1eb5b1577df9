//! Native memory: the live blocks, and the addresses that lead to them from objects and from other blocks.

use core::ffi::c_int;

use deadweight_capture::{Addr, Allocator};
use deadweight_cpython::heap::refcount;
use deadweight_cpython::{Memory, is_plausible};

use super::super::parts::Stopped;
use super::memory::STACK_BYTES;
use super::objects::CLAIMED;
use super::reached::Reached;
use super::{Block, LARGE_BLOCK, MAX_BODY, MAX_SEARCHED, PAGE, SAMPLE_BYTES, Walker};
use crate::list::List;
use crate::live_block::LiveBlock;
use crate::table::Table;
use crate::{arch, os};

impl Walker<'_> {
    pub(super) fn list_blocks(&mut self, live: &Table<u64, LiveBlock>) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        live.each(|addr, block| {
            if outcome.is_ok() && !block.domain.is_python() {
                let block = Block {
                    addr,
                    size: block.size,
                    searched: block.size,
                };
                outcome = self.blocks.push(block).and_then(|()| self.chunks.note(&block));
            }
        });
        outcome?;
        if let Some(heap) = os::heap() {
            self.chunks.note_heap(heap)?;
        }
        self.blocks.as_mut_slice().sort_unstable_by_key(|block| block.addr);
        Ok(())
    }

    /// Gives back the pages of large blocks that hold data and no addresses. Otherwise each page that the program rewrites
    /// would be copied as long as the child has it too.
    pub(super) fn let_go_of_data(&mut self) {
        for index in 0.. {
            let Some(block) = self.blocks.get(index) else { break };
            if block.size >= LARGE_BLOCK && !self.holds_addresses(&block) {
                let from = (block.addr + SAMPLE_BYTES).next_multiple_of(PAGE);
                let to = (block.addr + block.size) & !(PAGE - 1);
                if from < to {
                    // SAFETY: this is the child; from here on only the block's bytes before `from` are read (`searched`).
                    unsafe { os::forget_pages(from, to - from) };
                }
                if let Some(block) = self.blocks.as_mut_slice().get_mut(index) {
                    block.searched = SAMPLE_BYTES;
                }
            }
        }
    }

    /// Gives back the pages that hold objects and native blocks, and whatever else of the program's is in the same regions.
    ///
    /// # Safety
    /// Nothing that the program had allocated is read after this.
    pub(super) unsafe fn let_go_of_objects(&mut self) {
        let mut regions: List<u64> = List::new();
        // If there is no memory for the list, the pages are given back when the process ends.
        let _ = self.reached.regions(&mut regions);
        let stack = &raw const regions as u64;
        // What the child has mapped itself since it began, these lists among it, is in no range.
        let forget = |from, to| {
            self.ctx.mem.each_within(from, to, |from, to| {
                // SAFETY: this is the child, and the caller gives up what the program had in these pages.
                unsafe { os::forget_pages(from, to - from) };
            });
        };
        let (mut from, mut to) = (0, 0);
        for &region in regions
            .as_slice()
            .iter()
            .filter(|region| region.abs_diff(stack) > STACK_BYTES)
        {
            if region != to {
                forget(from, to);
                from = region;
            }
            to = region + Reached::REGION_BYTES;
        }
        forget(from, to);
        for block in self.blocks.as_slice().iter().filter(|block| block.size >= LARGE_BLOCK) {
            let (from, to) = (
                block.addr.next_multiple_of(PAGE),
                (block.addr + block.size) & !(PAGE - 1),
            );
            // SAFETY: as above; the block is the program's.
            unsafe { os::forget_pages(from, to.saturating_sub(from)) };
        }
    }

    /// Whether a sample from the start of a large block looks like addresses: at least one word in 64.
    pub(super) fn holds_addresses(&self, block: &Block) -> bool {
        let words = SAMPLE_BYTES / 8;
        let addresses = (0..words).filter(|index| {
            let word = self.ctx.mem.u64(block.addr + index * 8).unwrap_or(0);
            word & 7 == 0 && (self.is_in_block(word) || self.is_near_objects(word))
        });
        addresses.count() as u64 * 64 >= words
    }

    /// Whether an address is in the same 64 GiB of address space as the first or the last block: objects lie near blocks.
    pub(super) fn is_near_objects(&self, address: u64) -> bool {
        let blocks = self.blocks.as_slice();
        let near = |block: Option<&Block>| block.is_some_and(|block| block.addr >> 36 == address >> 36);
        address > 0xffff && (near(blocks.first()) || near(blocks.last()))
    }

    /// Writes the live blocks, and the addresses found in native ones.
    pub(super) fn native_blocks(&mut self, live: &Table<u64, LiveBlock>) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        let mut searched = 0;
        live.each(|addr, block| {
            if outcome.is_ok() {
                outcome = self.native_block(addr, block, &mut searched);
            }
        });
        outcome
    }

    pub(super) fn native_block(&mut self, addr: u64, block: LiveBlock, searched: &mut u64) -> Result<(), Stopped> {
        self.parts.put(|writer| {
            if !writer.has_room() {
                return Err(deadweight_capture::write::Full);
            }
            writer.alloc(Addr(addr), block.size, block.stack, block.domain);
            Ok(())
        })?;
        if matches!(block.domain, Allocator::Malloc | Allocator::Aligned) && *searched < MAX_SEARCHED {
            let known = self.blocks.as_slice().binary_search_by_key(&addr, |block| block.addr);
            let bytes = known
                .ok()
                .and_then(|index| self.blocks.get(index))
                .map_or(0, |block| block.searched);
            *searched += bytes;
            self.guarded_words(addr, bytes)?;
            self.follow()?;
        }
        Ok(())
    }

    pub(super) fn guarded_words(&mut self, addr: u64, size: u64) -> Result<(), Stopped> {
        unsafe extern "C" fn write_words(walker: *mut Walker<'_>, addr: u64, size: u64) -> c_int {
            // SAFETY: `guarded_words` passes itself and does not use itself during the call.
            i32::from(unsafe { &mut *walker }.words(addr, 0, size, None).is_err())
        }
        let place = &raw mut *self as usize;
        // SAFETY: `write_words` has these parameters; a fault in it loses the rest of one block.
        match unsafe { arch::guarded_call(write_words as *const () as usize, place, addr as usize, size as usize) } {
            Some(1) => Err(Stopped),
            _ => Ok(()),
        }
    }

    /// Writes the words between two offsets from `start` that are addresses of native memory, or of objects that are not among
    /// the targets just visited. `owner` is the object whose body this is.
    pub(super) fn words(&mut self, start: u64, from: u64, to: u64, owner: Option<u64>) -> Result<(), Stopped> {
        // A small block or an object may lead to unrecorded blocks, too; two that lead to the same one belong together.
        let all = to - from.min(to) <= MAX_BODY;
        let mut offset = from;
        while offset + 8 <= to {
            let word = self.ctx.mem.u64(start + offset).unwrap_or(0);
            if word > 0xffff
                && word < 1 << 47
                && Some(word) != owner
                && self.leads_somewhere(word, owner.is_some(), all)?
            {
                self.parts.put(|writer| writer.heap_word(Addr(word), offset as u32))?;
            }
            offset += 8;
        }
        Ok(())
    }

    pub(super) fn leads_somewhere(&mut self, word: u64, in_object: bool, all: bool) -> Result<bool, Stopped> {
        if self.is_in_block(word) {
            return Ok(true);
        }
        if !is_plausible(word) {
            return Ok(false);
        }
        if self.reached.has(word) {
            let reported = in_object
                && self
                    .targets
                    .as_slice()
                    .iter()
                    .take(64)
                    .any(|&target| target & !CLAIMED == word);
            return Ok(!reported);
        }
        // An object to which only hidden references lead: its type is known, and its reference count is plausible.
        if in_object
            && self.is_near_objects(word)
            && self
                .ctx
                .mem
                .u64(word + 8)
                .is_some_and(|type_addr| self.types.get(type_addr).is_some())
            && refcount::read(self.ctx.mem, self.ctx.layout, word)
                .is_some_and(|count| !count.immortal && (1..1 << 24).contains(&count.count))
        {
            self.meet(word)?;
            return Ok(true);
        }
        if !all {
            return Ok(false);
        }
        let is_near = self.is_near_blocks(word);
        // An address that two native blocks have in common ties them together, which a stale address must not do.
        let may_be_one = (in_object || is_near) && self.chunks.may_be_one(word);
        if may_be_one {
            self.chunks.suspect(word)?;
        }
        Ok(may_be_one || is_near)
    }

    /// Whether an address lies between the first and the last native block.
    pub(super) fn is_near_blocks(&self, address: u64) -> bool {
        let blocks = self.blocks.as_slice();
        blocks.first().is_some_and(|first| first.addr <= address)
            && blocks.last().is_some_and(|last| address < last.addr + last.size)
    }

    /// Whether a native block begins here or has this address in it.
    pub(super) fn is_in_block(&self, address: u64) -> bool {
        self.block_at(address).is_some()
    }

    /// The native block that begins here or has this address in it.
    pub(super) fn block_at(&self, address: u64) -> Option<&Block> {
        let blocks = self.blocks.as_slice();
        let after = blocks.partition_point(|block| block.addr <= address);
        let block = blocks.get(after.checked_sub(1)?)?;
        (address - block.addr < block.size.max(1)).then_some(block)
    }
}
