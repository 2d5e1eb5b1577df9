//! A growing list in memory of the agent's own.

use core::ptr::NonNull;

use crate::os;
use crate::table::NoMemory;

const FIRST_ITEMS: usize = 4096;

/// A list of plain values; its memory doubles when it is full and is never given back.
pub struct List<T: Copy + 'static> {
    items: &'static mut [T],
    len: usize,
}

impl<T: Copy> List<T> {
    /// An empty list, without memory.
    pub const fn new() -> List<T> {
        List { items: &mut [], len: 0 }
    }

    /// Appends an item.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), NoMemory> {
        if self.len == self.items.len() {
            self.grow()?;
        }
        let place = self.items.get_mut(self.len).ok_or(NoMemory)?;
        *place = item;
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
        self.items.get(..self.len).unwrap_or_default()
    }

    /// All items, to be put in order.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or_default()
    }

    /// Empties the list and keeps its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        let count = (self.items.len() * 2).max(FIRST_ITEMS);
        let bytes = count.checked_mul(size_of::<T>()).ok_or(NoMemory)?;
        let place = os::map_private(bytes).ok_or(NoMemory)?.cast::<T>();
        // SAFETY: a fresh, zeroed, page-aligned mapping of that size, unmapped only below when it is replaced. The
        // types used are plain numbers or are read only where they were written.
        let larger = unsafe { core::slice::from_raw_parts_mut(place.as_ptr(), count) };
        for (new, old) in larger.iter_mut().zip(self.items.iter()) {
            *new = *old;
        }
        let old = core::mem::replace(&mut self.items, larger);
        if let Some(place) = NonNull::new(old.as_mut_ptr()).filter(|_| !old.is_empty()) {
            // SAFETY: the slice came from `map_private` above in an earlier call and is not used again.
            unsafe { os::unmap(place.cast(), size_of_val(old)) };
        }
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
}
