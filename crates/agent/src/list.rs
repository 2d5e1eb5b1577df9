//! A growing list in memory of the agent's own.

use core::mem::MaybeUninit;

use crate::memory::{Mapping, NoMemory};

const FIRST_ITEMS: usize = 4096;

/// A list of plain values; its memory doubles when it is full.
pub struct List<T: Copy> {
    /// The first `len` places are initialised.
    places: Mapping<MaybeUninit<T>>,
    len: usize,
}

impl<T: Copy> List<T> {
    /// An empty list, without memory.
    pub const fn new() -> List<T> {
        List {
            places: Mapping::empty(),
            len: 0,
        }
    }

    /// Appends an item.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), NoMemory> {
        if self.len == self.places.len() {
            self.grow()?;
        }
        self.places.get_mut(self.len).ok_or(NoMemory)?.write(item);
        self.len += 1;
        Ok(())
    }

    /// The item at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        self.as_slice().get(index).copied()
    }

    /// Removes the last item.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let last = self.get(self.len.wrapping_sub(1))?;
        self.len -= 1;
        Some(last)
    }

    /// All items.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        let written = self.places.get(..self.len).unwrap_or_default();
        // SAFETY: `push` has initialised the first `len` places, and `grow` copies them; `MaybeUninit<T>` has the layout of `T`.
        unsafe { core::slice::from_raw_parts(written.as_ptr().cast(), written.len()) }
    }

    /// All items, to be sorted or changed.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let written = self.places.get_mut(..self.len).unwrap_or_default();
        // SAFETY: as in `as_slice`; the list is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(written.as_mut_ptr().cast(), written.len()) }
    }

    /// Empties the list and keeps its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        let mut larger = Mapping::zeroed((self.places.len() * 2).max(FIRST_ITEMS))?;
        for (new, old) in larger.iter_mut().zip(self.places.iter()) {
            *new = *old;
        }
        self.places = larger;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_survive_growth() {
        let mut list = List::new();
        for item in 0..20_000u64 {
            list.push(item).unwrap();
        }
        assert_eq!(list.as_slice().len(), 20_000);
        assert_eq!(
            (list.get(4095), list.get(4096), list.pop()),
            (Some(4095), Some(4096), Some(19_999))
        );
        list.clear();
        assert_eq!(list.pop(), None);
    }

    #[test]
    fn items_that_zero_bytes_are_no_value_of_are_kept() {
        let words = ["one", "two", "three"];
        let mut list = List::new();
        assert_eq!(list.as_slice(), &[] as &[&str]);
        for word in words {
            list.push(word).unwrap();
        }
        assert_eq!(list.get(3), None, "memory that was not written is not read");
        list.as_mut_slice().sort_unstable();
        assert_eq!(list.as_slice(), ["one", "three", "two"]);
    }
}
