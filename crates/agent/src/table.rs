//! A hash table in memory of the agent's own: open addressing with linear probing, no tombstones.

use core::mem::MaybeUninit;

use crate::memory::{Mapping, NoMemory, Zeroed};

/// What may be a key of a [`Table`]. One value means "no entry" and is never inserted.
///
/// # Safety
/// Zero bytes are the value [`Key::NONE`].
pub unsafe trait Key: Copy + PartialEq {
    /// The value that no entry has.
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

// SAFETY: zero bytes are 0.
unsafe impl Key for u64 {
    const NONE: u64 = 0;
    #[inline(always)]
    fn hash(self) -> u64 {
        spread(self)
    }
}

#[derive(Clone, Copy)]
struct Entry<K, V: Copy> {
    key: K,
    /// Initialised if there is a key.
    value: MaybeUninit<V>,
}

// SAFETY: zero bytes are `K::NONE` by the promise of `Key`, and any bytes are valid for a `MaybeUninit`.
unsafe impl<K: Key, V: Copy> Zeroed for Entry<K, V> {}

/// The table. Its memory doubles when it is three quarters full, and is never returned while the table is in use.
pub struct Table<K: Key, V: Copy> {
    entries: Mapping<Entry<K, V>>,
    len: usize,
}

const FIRST_ENTRIES: usize = 1024;

impl<K: Key, V: Copy> Table<K, V> {
    /// An empty table, without memory.
    pub const fn new() -> Table<K, V> {
        Table {
            entries: Mapping::empty(),
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
        // SAFETY: the entry has a key, and `insert` has written a value with it.
        (entry.key == key && key != K::NONE).then(|| unsafe { entry.value.assume_init() })
    }

    /// The value of `key`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let slot = self.slot(key)?;
        let entry = self.entries.get_mut(slot)?;
        // SAFETY: the entry has a key, and `insert` has written a value with it.
        (entry.key == key && key != K::NONE).then(|| unsafe { entry.value.assume_init_mut() })
    }

    /// Shows all entries, in no particular order.
    pub fn each(&self, mut show: impl FnMut(K, V)) {
        for entry in self.entries.iter().filter(|entry| entry.key != K::NONE) {
            // SAFETY: the entry has a key, and `insert` has written a value with it.
            show(entry.key, unsafe { entry.value.assume_init() });
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
        *entry = Entry {
            key,
            value: MaybeUninit::new(value),
        };
        Ok(())
    }

    /// Removes `key` and returns its value. Entries behind it are moved up, so that the gap does not cut them off.
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
        // SAFETY: the entry had a key, and `insert` has written a value with it.
        Some(unsafe { removed.value.assume_init() })
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        let larger = Mapping::zeroed((self.entries.len() * 2).max(FIRST_ENTRIES))?;
        let old = core::mem::replace(&mut self.entries, larger);
        for entry in old.iter().filter(|entry| entry.key != K::NONE) {
            if let Some(place) = self.slot(entry.key).and_then(|slot| self.entries.get_mut(slot)) {
                *place = *entry;
            }
        }
        Ok(())
    }

    /// Empties the table; a small table keeps its memory.
    pub fn empty(&mut self) {
        if self.entries.len() > 4 * FIRST_ENTRIES {
            return self.clear();
        }
        for entry in self.entries.iter_mut() {
            entry.key = K::NONE;
        }
        self.len = 0;
    }

    /// Empties the table and frees its memory.
    pub fn clear(&mut self) {
        self.entries = Mapping::empty();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Miri takes a thousand times as long.
    const TURNS: u32 = if cfg!(miri) { 5_000 } else { 200_000 };

    #[test]
    fn behaves_like_a_map_under_random_work() {
        let mut table: Table<u64, u32> = Table::new();
        let mut model = HashMap::new();
        let mut random = 1u64;
        for turn in 0..TURNS {
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

    #[test]
    fn values_that_zero_bytes_are_no_value_of_are_kept() {
        let mut table: Table<u64, &str> = Table::new();
        table.insert(8, "eight").unwrap();
        *table.get_mut(8).unwrap() = "8";
        assert_eq!((table.get(8), table.get(16)), (Some("8"), None));
        let mut all = Vec::new();
        table.each(|key, value| all.push((key, value)));
        assert_eq!(all, [(8, "8")]);
        table.empty();
        assert_eq!((table.len(), table.get(8)), (0, None));
        assert_eq!((table.remove(8), table.get_mut(8)), (None, None));
    }
}
