//! A hash table in memory of the agent's own: open addressing with linear probing, no tombstones.

use core::mem::size_of;
use core::ptr::NonNull;

use crate::os;

/// What may be a key of a [`Table`]. One value means "no entry" and is never inserted.
pub trait Key: Copy + PartialEq {
    /// The value that no entry has; all its bytes are zero.
    const NONE: Self;
    /// Spreads the key over 64 bits.
    fn hash(self) -> u64;
}

/// Spreads 64 bits: the high half of a product with an odd constant (Fibonacci hashing, Knuth 6.4) folded back in.
#[inline(always)]
pub fn spread(value: u64) -> u64 {
    let product = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

impl Key for u64 {
    const NONE: u64 = 0;
    #[inline(always)]
    fn hash(self) -> u64 {
        spread(self)
    }
}

#[derive(Clone, Copy)]
struct Entry<K, V> {
    key: K,
    value: V,
}

/// The table. Its memory comes from `mmap`, doubles when it is three quarters full, and is never returned while
/// the table is in use.
pub struct Table<K: Key + 'static, V: Copy + 'static> {
    entries: &'static mut [Entry<K, V>],
    len: usize,
}

/// There was no memory to grow a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

const FIRST_ENTRIES: usize = 1024;

impl<K: Key, V: Copy> Table<K, V> {
    /// An empty table, without memory.
    pub const fn new() -> Table<K, V> {
        Table {
            entries: &mut [],
            len: 0,
        }
    }

    /// Number of entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// The slot of `key`, or the free slot where it would go; `None` only without memory.
    #[inline(always)]
    fn slot(&self, key: K) -> Option<usize> {
        let mask = self.mask();
        let mut slot = key.hash() as usize & mask;
        loop {
            let found = self.entries.get(slot)?.key;
            if found == key || found == K::NONE {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        let entry = self.entries.get(self.slot(key)?)?;
        (entry.key == key && key != K::NONE).then_some(entry.value)
    }

    /// The value of `key`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let slot = self.slot(key)?;
        let entry = self.entries.get_mut(slot)?;
        (entry.key == key && key != K::NONE).then_some(&mut entry.value)
    }

    /// Shows all entries, in no order.
    pub fn each(&self, mut show: impl FnMut(K, V)) {
        for entry in self.entries.iter().filter(|entry| entry.key != K::NONE) {
            show(entry.key, entry.value);
        }
    }

    /// Inserts or replaces.
    #[inline]
    pub fn insert(&mut self, key: K, value: V) -> Result<(), NoMemory> {
        if self.len * 4 >= self.entries.len() * 3 {
            self.grow()?;
        }
        let slot = self.slot(key).ok_or(NoMemory)?;
        let entry = self.entries.get_mut(slot).ok_or(NoMemory)?;
        self.len += usize::from(entry.key == K::NONE);
        *entry = Entry { key, value };
        Ok(())
    }

    /// Removes `key` and returns its value. Entries behind it move up, so that no gap cuts them off.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let mut gap = self.slot(key)?;
        let removed = *self.entries.get(gap)?;
        if removed.key != key || key == K::NONE {
            return None;
        }
        let mask = self.mask();
        let mut slot = gap;
        loop {
            slot = (slot + 1) & mask;
            let entry = *self.entries.get(slot)?;
            if entry.key == K::NONE {
                break;
            }
            // The entry may fill the gap unless its own place lies behind the gap.
            let home = entry.key.hash() as usize & mask;
            if slot.wrapping_sub(home) & mask >= slot.wrapping_sub(gap) & mask {
                *self.entries.get_mut(gap)? = entry;
                gap = slot;
            }
        }
        self.entries.get_mut(gap)?.key = K::NONE;
        self.len -= 1;
        Some(removed.value)
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        let count = (self.entries.len() * 2).max(FIRST_ENTRIES);
        let larger = map_entries(count).ok_or(NoMemory)?;
        let old = core::mem::replace(&mut self.entries, larger);
        for entry in old.iter().filter(|entry| entry.key != K::NONE) {
            if let Some(place) = self.slot(entry.key).and_then(|slot| self.entries.get_mut(slot)) {
                *place = *entry;
            }
        }
        unmap_entries(old);
        Ok(())
    }

    /// Empties the table; a small one keeps its memory.
    pub fn empty(&mut self) {
        if self.entries.len() > 4 * FIRST_ENTRIES {
            return self.clear();
        }
        for entry in self.entries.iter_mut() {
            entry.key = K::NONE;
        }
        self.len = 0;
    }

    /// Empties the table and gives its memory back.
    pub fn clear(&mut self) {
        unmap_entries(core::mem::take(&mut self.entries));
        self.len = 0;
    }
}

fn map_entries<K: Key, V: Copy>(count: usize) -> Option<&'static mut [Entry<K, V>]> {
    let place = os::map_private(count.checked_mul(size_of::<Entry<K, V>>())?)?;
    // SAFETY: the mapping is fresh, zeroed, page-aligned and of that size; zero bytes are `K::NONE`, and `V` is
    // only read where a key was written with it. It is unmapped only by `unmap_entries`, which takes the slice.
    Some(unsafe { core::slice::from_raw_parts_mut(place.cast().as_ptr(), count) })
}

fn unmap_entries<K: Key, V: Copy>(entries: &'static mut [Entry<K, V>]) {
    if let Some(place) = NonNull::new(entries.as_mut_ptr()).filter(|_| !entries.is_empty()) {
        // SAFETY: the slice came from `map_entries`, is taken by value, and is not used again.
        unsafe { os::unmap(place.cast(), size_of_val(entries)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn behaves_like_a_map_under_random_work() {
        let mut table: Table<u64, u32> = Table::new();
        let mut model = HashMap::new();
        let mut random = 1u64;
        for turn in 0..200_000u32 {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            // Few keys that collide a lot, in growing numbers.
            let key = 16 + ((random >> 33) % (64 + u64::from(turn) / 16)) * 16;
            if random & 0x1_0000 == 0 {
                table.insert(key, turn).unwrap();
                model.insert(key, turn);
            } else {
                assert_eq!(table.remove(key), model.remove(&key));
            }
            assert_eq!(table.get(key), model.get(&key).copied());
            assert_eq!(table.len(), model.len());
        }
        for (key, value) in model {
            assert_eq!(table.get(key), Some(value));
        }
    }

    #[test]
    fn an_empty_table_has_nothing() {
        let mut table: Table<u64, u32> = Table::new();
        assert_eq!((table.get(8), table.remove(8)), (None, None));
        table.insert(8, 1).unwrap();
        table.clear();
        assert_eq!(table.get(8), None);
    }
}
