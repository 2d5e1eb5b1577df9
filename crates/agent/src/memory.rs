//! The agent's own memory: zeroed, from `mmap`. In tests it comes from std's allocator instead, so that sanitizers and Miri see
//! every access outside of it.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Memory could not be allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

/// A type for which all-zero bytes are a valid value.
///
/// # Safety
/// `size_of::<Self>()` zero bytes are a valid value, and `align_of::<Self>()` is at most 4096.
pub unsafe trait Zeroed {}

// SAFETY: zero bytes are the number 0.
unsafe impl Zeroed for u64 {}
// SAFETY: zero bytes are the number 0.
unsafe impl Zeroed for core::sync::atomic::AtomicU32 {}
// SAFETY: any bytes are valid; no type that the agent uses is aligned to more than a page.
unsafe impl<T> Zeroed for MaybeUninit<T> {}
// SAFETY: each item is valid by the promise of its type.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}

/// Gives back the pages of a leaked item except the first one; they read as zeros from then on.
///
/// # Safety
/// `place` came from [`Mapping::leak`], of a mapping of one item. Whoever reads beyond the first page copes with zeros that
/// appear there at any time.
pub unsafe fn zero_all_but_first_page<T>(place: NonNull<T>) {
    // SAFETY: by the caller's promise.
    unsafe { source::zero_all_but_first_page(place.cast(), size_of::<T>()) };
}

/// A slice in a mapping of its own, which is unmapped when it is dropped.
pub struct Mapping<T> {
    place: NonNull<T>,
    count: usize,
    owned: PhantomData<T>,
}

// SAFETY: a mapping owns its items as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Mapping<T> {}
// SAFETY: a mapping owns its items as a `Box<[T]>` does.
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

    /// The place of the first item; the memory is never unmapped.
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
        // SAFETY: `zeroed` has mapped memory for `count` items, aligned to pages and valid from the start (`T: Zeroed`), and this
        // value owns it; `empty` has an aligned dangling place and no items.
        unsafe { core::slice::from_raw_parts(self.place.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Mapping<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `self` is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.place.as_ptr(), self.count) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        const { assert!(!core::mem::needs_drop::<T>()) };
        if self.count > 0 {
            // SAFETY: `zeroed` has mapped that many bytes at this place, and nothing borrows from a value that is dropped.
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
    /// As for the function of this name above; the mapping has `bytes` bytes.
    pub unsafe fn zero_all_but_first_page(place: NonNull<u8>, bytes: usize) {
        const PAGE: usize = 4096;
        if bytes > PAGE {
            // SAFETY: the mapping is longer than a page.
            let rest = unsafe { place.add(PAGE) };
            // SAFETY: the mapping is the agent's, and zeros may appear here by the caller's promise.
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
