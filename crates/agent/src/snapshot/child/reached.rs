//! The set of objects that were reached, and of those that were written: two bits for each address where an object may begin.
//!
//! Objects lie at multiples of 8 bytes, close together. So the set is a table of regions with bitmaps, which take up 1/32 of the
//! memory that the objects lie in, however many they are.

use core::ptr::NonNull;

use crate::list::List;
use crate::memory::{Mapping, NoMemory, Zeroed};
use crate::table::Table;

/// Bytes of address space that a region covers, as a power of two.
const REGION_BITS: u32 = 16;
/// Objects begin at multiples of this, as a power of two.
const STEP_BITS: u32 = 3;
/// Words of a bitmap.
const WORDS: usize = 1 << (REGION_BITS - STEP_BITS - 6);
/// Regions that are mapped at a time.
const BATCH: usize = 64;

struct Region {
    reached: [u64; WORDS],
    written: [u64; WORDS],
}

// SAFETY: all fields are numbers, for which zero bytes are valid.
unsafe impl Zeroed for Region {}

/// The set.
pub struct Reached {
    /// By number of the region plus 1.
    regions: Table<u64, NonNull<Region>>,
    /// The region used last: consecutive calls mostly concern the same one.
    last: (u64, NonNull<Region>),
    spare: NonNull<Region>,
    spares: usize,
}

/// Word and bit of an address.
#[inline(always)]
fn place(address: u64) -> (usize, u64) {
    let step = address >> STEP_BITS;
    ((step >> 6) as usize & (WORDS - 1), 1 << (step & 63))
}

impl Reached {
    /// Bytes of address space that a region covers.
    pub const REGION_BYTES: u64 = 1 << REGION_BITS;

    /// The empty set.
    pub const fn new() -> Reached {
        Reached {
            regions: Table::new(),
            last: (0, NonNull::dangling()),
            spare: NonNull::dangling(),
            spares: 0,
        }
    }

    /// The region of an address, if it has one.
    #[inline]
    fn find(&mut self, address: u64) -> Option<&mut Region> {
        let key = (address >> REGION_BITS) + 1;
        if self.last.0 != key {
            self.last = (key, self.regions.get(key)?);
        }
        // SAFETY: `make` put only regions of mappings that stay for ever into the table, and `self`, which alone has them, is
        // borrowed as long as this is.
        Some(unsafe { self.last.1.as_mut() })
    }

    #[cold]
    fn make(&mut self, address: u64) -> Result<(), NoMemory> {
        if self.spares == 0 {
            self.spare = Mapping::zeroed(BATCH)?.leak();
            self.spares = BATCH;
        }
        self.regions.insert((address >> REGION_BITS) + 1, self.spare)?;
        self.spares -= 1;
        // SAFETY: one more than `spares` were left in the mapping, so the next place is inside of it or just behind its end.
        self.spare = unsafe { self.spare.add(1) };
        Ok(())
    }

    /// Whether an object was reached.
    #[inline]
    pub fn has(&mut self, address: u64) -> bool {
        let (word, bit) = place(address);
        let region = self.find(address);
        region.is_some_and(|region| region.reached.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Notes that an object was reached; returns whether for the first time.
    #[inline]
    pub fn reach(&mut self, address: u64) -> Result<bool, NoMemory> {
        if self.find(address).is_none() {
            self.make(address)?;
        }
        let (word, bit) = place(address);
        let region = self.find(address).ok_or(NoMemory)?;
        let word = region.reached.get_mut(word).ok_or(NoMemory)?;
        let is_new = *word & bit == 0;
        *word |= bit;
        Ok(is_new)
    }

    /// Notes that an object is being written; returns whether for the first time.
    #[inline]
    pub fn write(&mut self, address: u64) -> Result<bool, NoMemory> {
        self.reach(address)?;
        let (word, bit) = place(address);
        let region = self.find(address).ok_or(NoMemory)?;
        let word = region.written.get_mut(word).ok_or(NoMemory)?;
        let is_new = *word & bit == 0;
        *word |= bit;
        Ok(is_new)
    }

    /// The regions' first addresses, in order.
    pub fn regions(&self, out: &mut List<u64>) -> Result<(), NoMemory> {
        let mut outcome = Ok(());
        out.clear();
        self.regions.each(|key, _| {
            if outcome.is_ok() {
                outcome = out.push((key - 1) << REGION_BITS);
            }
        });
        out.as_mut_slice().sort_unstable();
        outcome
    }

    /// The first object at or after `address`, in the same region, that was reached and is not written yet.
    pub fn unwritten(&mut self, address: u64) -> Option<u64> {
        let base = address & !((1 << REGION_BITS) - 1);
        let (first, bit) = place(address);
        let region = self.find(address)?;
        let words = region.reached.iter().zip(&region.written).enumerate().skip(first);
        for (index, (reached, written)) in words {
            let mut open = reached & !written;
            if index == first {
                open &= !(bit - 1);
            }
            if open != 0 {
                let step = (index as u64) << 6 | u64::from(open.trailing_zeros());
                return Some(base | step << STEP_BITS);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_like_two_sets_of_addresses() {
        let mut set = Reached::new();
        let (mut reached, mut written) = (BTreeSet::new(), BTreeSet::new());
        let mut random = 7u64;
        for _ in 0..100_000 {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            // Three neighbourhoods of some regions each.
            let address = 0x7f00_0000_0000 * (random >> 62) + 0x1_0000 + ((random >> 30) & 0x3_ffff) * 8;
            assert_eq!(set.has(address), reached.contains(&address));
            if random & 0x30_0000 == 0 {
                assert_eq!(set.write(address).unwrap(), written.insert(address));
                reached.insert(address);
            } else {
                assert_eq!(set.reach(address).unwrap(), reached.insert(address));
            }
        }
        let mut regions = List::new();
        set.regions(&mut regions).unwrap();
        let mut open = Vec::new();
        for &region in regions.as_slice() {
            let mut at = region;
            while let Some(object) = set.unwritten(at) {
                open.push(object);
                set.write(object).unwrap();
                at = object;
            }
        }
        let expected: Vec<u64> = reached.difference(&written).copied().collect();
        assert!(expected.len() > 1000);
        assert_eq!(open, expected);
    }

    #[test]
    fn nothing_is_reached_at_first() {
        let mut set = Reached::new();
        assert!(!set.has(0x1000));
        assert_eq!(set.unwritten(0x1000), None);
    }
}
