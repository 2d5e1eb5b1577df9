//! The functions that the dynamic linker finds here before the C library's. They call the real function and tell the recorder.

use core::ffi::{c_int, c_void};

use deadweight_capture::Allocator::{Aligned, Malloc};

use crate::real::{self, arena};
use crate::recorder::{allocated, freed, mapped, reallocated, remapped, unmapped};
use crate::thread::Thread;

type Pointer = *mut c_void;

// Not exported in tests: a test binary must keep its own allocator.
macro_rules! export {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block)*) => {
        $(
            $(#[$attribute])*
            ///
            /// # Safety
            /// As for the C library's function of this name.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> $result $body
        )*
    };
}

/// Calls the real allocator with the caller's own arguments, and tells the recorder about the block.
macro_rules! born {
    ($domain:expr, $size:expr, $real:expr) => {{
        // SAFETY: the caller's arguments, passed on unchanged.
        let block = unsafe { $real };
        if !block.is_null() {
            allocated(Thread::current(), block, $size, $domain);
        }
        block
    }};
}

export! {
    /// `malloc`.
    fn malloc(size: usize) -> Pointer {
        born!(Malloc, size, real::malloc(size))
    }

    /// `calloc`.
    fn calloc(count: usize, size: usize) -> Pointer {
        born!(Malloc, count.wrapping_mul(size), real::calloc(count, size))
    }

    /// `realloc`.
    fn realloc(block: Pointer, size: usize) -> Pointer {
        if arena::owns(block) {
            return arena::reallocate(block, size);
        }
        // SAFETY: the caller's arguments, passed on unchanged.
        reallocated(block, size, Malloc, || unsafe { real::realloc(block, size) })
    }

    /// `reallocarray`.
    fn reallocarray(block: Pointer, count: usize, size: usize) -> Pointer {
        if arena::owns(block) {
            return arena::reallocate(block, count.saturating_mul(size));
        }
        let bytes = count.wrapping_mul(size);
        // SAFETY: the caller's arguments, passed on unchanged.
        reallocated(block, bytes, Malloc, || unsafe { real::reallocarray(block, count, size) })
    }

    /// `free`.
    fn free(block: Pointer) -> () {
        if arena::owns(block) {
            return;
        }
        // SAFETY: the caller's argument, passed on unchanged.
        freed(block, || unsafe { real::free(block) });
    }

    /// `free_sized` of C23: the size is a hint that no C library needs.
    fn free_sized(block: Pointer, _size: usize) -> () {
        // SAFETY: by the caller's promise, a block of the malloc family.
        unsafe { free(block) };
    }

    /// `free_aligned_sized` of C23.
    fn free_aligned_sized(block: Pointer, _alignment: usize, _size: usize) -> () {
        // SAFETY: by the caller's promise, a block of the malloc family.
        unsafe { free(block) };
    }

    /// `posix_memalign`.
    fn posix_memalign(place: *mut Pointer, alignment: usize, size: usize) -> c_int {
        // SAFETY: the caller's arguments, passed on unchanged.
        let result = unsafe { real::posix_memalign(place, alignment, size) };
        if result == 0 {
            // SAFETY: the call succeeded, so `place` holds the block.
            let block = unsafe { *place };
            if !block.is_null() {
                allocated(Thread::current(), block, size, Aligned);
            }
        }
        result
    }

    /// `aligned_alloc`.
    fn aligned_alloc(alignment: usize, size: usize) -> Pointer {
        born!(Aligned, size, real::aligned_alloc(alignment, size))
    }

    /// `memalign`.
    fn memalign(alignment: usize, size: usize) -> Pointer {
        born!(Aligned, size, real::memalign(alignment, size))
    }

    /// `valloc`.
    fn valloc(size: usize) -> Pointer {
        born!(Aligned, size, real::valloc(size))
    }

    /// `pvalloc`.
    fn pvalloc(size: usize) -> Pointer {
        born!(Aligned, size, real::pvalloc(size))
    }

    /// `mmap`.
    fn mmap(place: Pointer, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off_t) -> Pointer {
        // SAFETY: the caller's arguments, passed on unchanged.
        let mapping = unsafe { real::mmap(place, len, protection, flags, fd, offset) };
        if mapping != libc::MAP_FAILED {
            mapped(mapping, len, protection, flags);
        }
        mapping
    }

    /// `mmap64`: the same on 64-bit systems.
    fn mmap64(place: Pointer, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off_t) -> Pointer {
        // SAFETY: the caller's arguments, passed on unchanged.
        unsafe { mmap(place, len, protection, flags, fd, offset) }
    }

    /// `munmap`.
    fn munmap(place: Pointer, len: usize) -> c_int {
        unmapped(place, len);
        // SAFETY: the caller's arguments, passed on unchanged.
        unsafe { real::munmap(place, len) }
    }

    /// `mremap`. In C it is variadic; the fifth argument is read by the kernel only with `MREMAP_FIXED`.
    fn mremap(place: Pointer, old_len: usize, new_len: usize, flags: c_int, new_place: Pointer) -> Pointer {
        // SAFETY: the caller's arguments, passed on unchanged.
        remapped(place, old_len, new_len, || unsafe { real::mremap(place, old_len, new_len, flags, new_place) })
    }

    /// `_exit`: ends the process without exit handlers, as a forked worker does.
    fn _exit(status: c_int) -> () {
        crate::recorder::finish_at_once();
        real::exit_now(status)
    }

    /// `_Exit`: the same in C99.
    #[allow(non_snake_case, reason = "the C library's name")]
    fn _Exit(status: c_int) -> () {
        crate::recorder::finish_at_once();
        real::exit_now(status)
    }
}
