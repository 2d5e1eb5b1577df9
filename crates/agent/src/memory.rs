//! Zeroed memory of the agent's own, from `mmap`. In tests it comes from std's allocator, so that sanitizers and Miri
//! see every access outside of it.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// There was no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

/// A type of which zero bytes are a value.
///
/// # Safety
/// `size_of::<Self>()` zero bytes are a valid value, and `align_of::<Self>()` is at most 4096.
pub unsafe trait Zeroed {}

// SAFETY: 0 is a number.
unsafe impl Zeroed for u64 {}
// SAFETY: as above.
unsafe impl Zeroed for core::sync::atomic::AtomicU32 {}
// SAFETY: any bytes will do, and the types used are aligned to less than a page.
unsafe impl<T> Zeroed for MaybeUninit<T> {}
// SAFETY: each item is a value by the item's own promise.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}

/// Gives back the pages of a leaked item but the first one; all that was in them reads as zero from then on.
///
/// # Safety
/// `place` is from [`Mapping::leak`], of a mapping of one item. Whoever reads what lies behind the first page may find
/// zeros there at any time.
pub unsafe fn zero_all_but_first_page<T>(place: NonNull<T>) {
    // SAFETY: by the caller's promise.
    unsafe { source::zero_all_but_first_page(place.cast(), size_of::<T>()) };
}

/// A slice in a mapping of its own, which goes with it.
pub struct Mapping<T> {
    place: NonNull<T>,
    count: usize,
    owned: PhantomData<T>,
}

// SAFETY: a mapping owns its items as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Mapping<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Mapping<T> {}

impl<T> Mapping<T> {
    /// No items, no memory.
    pub const fn empty() -> Mapping<T> {
        Mapping {
            place: NonNull::dangling(),
            count: 0,
            owned: PhantomData,
        }
    }
}

impl<T: Zeroed> Mapping<T> {
    /// `count` zeroed items. Pages that are not touched cost nothing.
    pub fn zeroed(count: usize) -> Result<Mapping<T>, NoMemory> {
        let bytes = count.checked_mul(size_of::<T>()).filter(|&bytes| bytes > 0);
        let place = source::zeroed(bytes.ok_or(NoMemory)?).ok_or(NoMemory)?;
        Ok(Mapping {
            place: place.cast(),
            count,
            owned: PhantomData,
        })
    }

    /// The first item; the memory stays for ever.
    pub fn leak(self) -> NonNull<T> {
        let place = self.place;
        core::mem::forget(self);
        place
    }
}

impl<T> Deref for Mapping<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `zeroed` got memory for `count` items, all of them values from the start (`T: Zeroed`), page-aligned,
        // and this value owns it; an empty one has a dangling place that is aligned.
        unsafe { core::slice::from_raw_parts(self.place.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Mapping<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed alone.
        unsafe { core::slice::from_raw_parts_mut(self.place.as_ptr(), self.count) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        const { assert!(!core::mem::needs_drop::<T>()) };
        if self.count > 0 {
            // SAFETY: `zeroed` got that many bytes at this place, and nothing borrows from this value any more.
            unsafe { source::give_back(self.place.cast(), self.count * size_of::<T>()) };
        }
    }
}

#[cfg(not(test))]
mod source {
    use core::ptr::NonNull;

    use crate::os;
    pub use crate::os::{map_private as zeroed, unmap as give_back};

    /// # Safety
    /// As of the function of this name above; the mapping has `bytes` bytes.
    pub unsafe fn zero_all_but_first_page(place: NonNull<u8>, bytes: usize) {
        const PAGE: usize = 4096;
        if bytes > PAGE {
            // SAFETY: the mapping has more than a page.
            let rest = unsafe { place.add(PAGE) };
            // SAFETY: the agent made the mapping, and zeros may come here by the caller's promise.
            unsafe { os::advise(rest, bytes - PAGE, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(test)]
mod source {
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    fn layout(bytes: usize) -> Option<Layout> {
        Layout::from_size_align(bytes, 4096).ok()
    }

    pub fn zeroed(bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: `bytes` is not 0 (`Mapping::zeroed`).
        NonNull::new(unsafe { alloc_zeroed(layout(bytes)?) })
    }

    /// # Safety
    /// `place` came from [`zeroed`] with that size, and nothing refers to it any more.
    pub unsafe fn give_back(place: NonNull<u8>, bytes: usize) {
        if let Some(layout) = layout(bytes) {
            // SAFETY: by the caller's promise.
            unsafe { dealloc(place.as_ptr(), layout) };
        }
    }

    /// Leaves everything as it is.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn zero_all_but_first_page(_: NonNull<u8>, _: usize) {}
}
