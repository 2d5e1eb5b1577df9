//! The allocator functions that the program would call without the agent.
//!
//! They are looked up with `dlsym(RTLD_NEXT)`, so an allocator that the user preloads behind the agent stays in use. `dlsym` may
//! itself allocate: until the functions are known, blocks come from a small arena of the agent's.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use crate::os;

type Pointer = *mut c_void;

/// A function that is looked up when it is first used.
pub struct Symbol {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Symbol {
    const fn new(name: &'static CStr) -> Symbol {
        Symbol {
            name,
            address: AtomicPtr::new(null_mut()),
        }
    }

    /// The function's address; null while it is being looked up, or if there is no such function.
    #[inline(always)]
    fn address(&self) -> Pointer {
        let address = self.address.load(Ordering::Relaxed);
        if address.is_null() { self.look_up() } else { address }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self) -> Pointer {
        if LOOKING_UP.swap(true, Ordering::Acquire) {
            // `dlsym` has called an allocator: the arena serves. (Two threads cannot meet here, since the constructor looks all
            // functions up.)
            return null_mut();
        }
        // SAFETY: the name is NUL-terminated; RTLD_NEXT is valid in a preloaded library.
        let address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(address, Ordering::Relaxed);
        LOOKING_UP.store(false, Ordering::Release);
        address
    }
}

static LOOKING_UP: AtomicBool = AtomicBool::new(false);

macro_rules! real_functions {
    ($($(#[$doc:meta])* $symbol:ident $function:ident $name:literal ($($argument:ident: $type:ty),*) -> $result:ty, else $fallback:expr;)*) => {
        $(static $symbol: Symbol = Symbol::new($name);)*

        /// Looks all functions up. Called once, by the constructor.
        pub fn look_all_up() {
            $($symbol.address();)*
        }

        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As for the C library's function of this name.
            #[inline(always)]
            pub unsafe fn $function($($argument: $type),*) -> $result {
                let address = $symbol.address();
                if address.is_null() {
                    return $fallback;
                }
                // SAFETY: the address is that of the C function of this name, whose signature this is.
                let function = unsafe { transmute::<Pointer, unsafe extern "C" fn($($type),*) -> $result>(address) };
                // SAFETY: the caller's arguments, which are right for the C library's function by the caller's promise.
                unsafe { function($($argument),*) }
            }
        )*
    };
}

real_functions! {
    /// `malloc`.
    MALLOC malloc c"malloc" (size: usize) -> Pointer, else arena::allocate(size, 16);
    /// `calloc`.
    CALLOC calloc c"calloc" (count: usize, size: usize) -> Pointer, else arena::allocate(count.saturating_mul(size), 16);
    /// `realloc`.
    REALLOC realloc c"realloc" (block: Pointer, size: usize) -> Pointer, else arena::reallocate(block, size);
    /// `reallocarray`.
    REALLOCARRAY reallocarray c"reallocarray" (block: Pointer, count: usize, size: usize) -> Pointer, else arena::reallocate(block, count.saturating_mul(size));
    /// `free`.
    FREE free c"free" (block: Pointer) -> (), else arena::leave(block);
    /// `posix_memalign`.
    POSIX_MEMALIGN posix_memalign c"posix_memalign" (place: *mut Pointer, alignment: usize, size: usize) -> c_int, else libc::ENOMEM;
    /// `aligned_alloc`.
    ALIGNED_ALLOC aligned_alloc c"aligned_alloc" (alignment: usize, size: usize) -> Pointer, else arena::allocate(size, alignment);
    /// `memalign`.
    MEMALIGN memalign c"memalign" (alignment: usize, size: usize) -> Pointer, else arena::allocate(size, alignment);
    /// `valloc`.
    VALLOC valloc c"valloc" (size: usize) -> Pointer, else arena::allocate(size, 4096);
    /// `pvalloc`.
    PVALLOC pvalloc c"pvalloc" (size: usize) -> Pointer, else arena::allocate(size.saturating_add(4095) & !4095, 4096);
    /// `mmap`.
    MMAP mmap c"mmap" (place: Pointer, len: usize, protection: c_int, flags: c_int, fd: c_int, offset: libc::off_t) -> Pointer, else libc::MAP_FAILED;
    /// `munmap`.
    MUNMAP munmap c"munmap" (place: Pointer, len: usize) -> c_int, else -1;
    /// `mremap`.
    MREMAP mremap c"mremap" (place: Pointer, old_len: usize, new_len: usize, flags: c_int, new_place: Pointer) -> Pointer, else libc::MAP_FAILED;
}

/// The arena for blocks that are allocated while the real functions are being looked up. They are never freed.
pub mod arena {
    use super::*;

    const BYTES: usize = 64 * 1024;
    const HEADER: usize = 16;

    #[repr(C, align(4096))]
    struct Memory(UnsafeCell<[u8; BYTES]>);

    // SAFETY: an atomic counter hands out each byte once.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; BYTES]));
    static USED: AtomicUsize = AtomicUsize::new(0);

    fn start() -> usize {
        MEMORY.0.get() as usize
    }

    /// Whether this block is from the arena.
    #[inline(always)]
    pub fn owns(block: Pointer) -> bool {
        (block as usize).wrapping_sub(start()) < BYTES
    }

    /// A zeroed block, with its size in front of it; null if the arena is used up.
    pub fn allocate(size: usize, alignment: usize) -> Pointer {
        let alignment = alignment.max(16);
        let Some(room) = size.checked_add(alignment + HEADER) else {
            return null_mut();
        };
        let used = USED.fetch_add(room, Ordering::Relaxed);
        if used.checked_add(room).is_none_or(|end| end > BYTES) {
            return null_mut();
        }
        let block = (start() + used + HEADER).next_multiple_of(alignment);
        // SAFETY: the 8 bytes in front of the block are within its share of the arena (`HEADER`), aligned to 8.
        unsafe { ((block - 8) as *mut usize).write(size) };
        block as Pointer
    }

    /// Frees a block while `free` is being looked up: the block just stays.
    pub fn leave(_block: Pointer) {}

    /// Moves a block of the arena to the real heap, or to a new place in the arena while there is no real heap.
    pub fn reallocate(block: Pointer, size: usize) -> Pointer {
        let new = if MALLOC.address.load(Ordering::Relaxed).is_null() {
            allocate(size, 16)
        } else {
            // SAFETY: `malloc` may be called with any size.
            unsafe { super::malloc(size) }
        };
        if owns(block) && !new.is_null() {
            // SAFETY: `allocate` has written the block's size into the 8 bytes in front of it.
            let old_size = unsafe { ((block as usize - 8) as *const usize).read() };
            // SAFETY: both blocks have at least that many bytes, and the new one does not overlap with the old one.
            unsafe { core::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), old_size.min(size)) };
        }
        new
    }
}

/// Ends the process without running handlers.
pub fn exit_now(status: c_int) -> ! {
    os::exit_group(status)
}
