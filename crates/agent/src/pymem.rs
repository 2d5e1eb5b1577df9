//! The wrappers of Python's allocators: small objects never reach `malloc`, so the object and mem domains are wrapped as well.
//! Blocks and their layout stay exactly as they were; the wrappers only observe.

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use deadweight_capture::Allocator as Domain;

use crate::python::allocators::{ARENAS, MEM, OBJ, Wrappers, note_probe, original};
use crate::python::{Allocator, ArenaAllocator};
use crate::recorder;
use crate::thread::Thread;

type Pointer = *mut c_void;
type Malloc = unsafe extern "C" fn(Pointer, usize) -> Pointer;
type Calloc = unsafe extern "C" fn(Pointer, usize, usize) -> Pointer;
type Realloc = unsafe extern "C" fn(Pointer, Pointer, usize) -> Pointer;
type Free = unsafe extern "C" fn(Pointer, Pointer);

const fn domain(number: usize) -> Domain {
    if number == OBJ { Domain::PyObject } else { Domain::PyMem }
}

/// The original function of a domain, called with the original's context.
macro_rules! original {
    ($domain:expr, $field:ident: $type:ty, $($argument:expr),*) => {{
        let original = const { original($domain) };
        // SAFETY: a wrapper runs only after `allocators::install` has stored a function of this type for its domain.
        let function = unsafe { transmute::<Pointer, $type>(original.$field.load(Ordering::Relaxed)) };
        // SAFETY: the caller's arguments are passed on unchanged, with the function's own context.
        unsafe { function(original.ctx.load(Ordering::Relaxed), $($argument),*) }
    }};
}

unsafe extern "C" fn malloc<const DOMAIN: usize>(_: Pointer, size: usize) -> Pointer {
    let thread = Thread::current();
    let Some(inside) = thread.enter_allocator() else {
        note_probe();
        return original!(DOMAIN, malloc: Malloc, size);
    };
    let block = original!(DOMAIN, malloc: Malloc, size);
    drop(inside);
    recorder::allocated(thread, block, size, const { domain(DOMAIN) });
    block
}

unsafe extern "C" fn calloc<const DOMAIN: usize>(_: Pointer, count: usize, size: usize) -> Pointer {
    let thread = Thread::current();
    let Some(inside) = thread.enter_allocator() else {
        return original!(DOMAIN, calloc: Calloc, count, size);
    };
    let block = original!(DOMAIN, calloc: Calloc, count, size);
    drop(inside);
    recorder::allocated(thread, block, count.wrapping_mul(size), const { domain(DOMAIN) });
    block
}

unsafe extern "C" fn realloc<const DOMAIN: usize>(_: Pointer, block: Pointer, size: usize) -> Pointer {
    recorder::reallocated(
        block,
        size,
        const { domain(DOMAIN) },
        || original!(DOMAIN, realloc: Realloc, block, size),
    )
}

unsafe extern "C" fn free<const DOMAIN: usize>(_: Pointer, block: Pointer) {
    recorder::freed(block, || original!(DOMAIN, free: Free, block));
}

// Arenas are pymalloc's own mappings. They must not be counted in addition to the objects in them; their addresses tell how
// much of their resident memory is free.

type ArenaAlloc = unsafe extern "C" fn(Pointer, usize) -> Pointer;
type ArenaFree = unsafe extern "C" fn(Pointer, Pointer, usize);

unsafe extern "C" fn arena_alloc(_: Pointer, size: usize) -> Pointer {
    let inside = Thread::current().enter();
    // SAFETY: this runs only after `allocators::install` has stored a function of this type.
    let alloc = unsafe { transmute::<Pointer, ArenaAlloc>(ARENAS.alloc.load(Ordering::Relaxed)) };
    // SAFETY: the context belongs to the function.
    let arena = unsafe { alloc(ARENAS.ctx.load(Ordering::Relaxed), size) };
    drop(inside);
    if !arena.is_null() {
        recorder::arena_mapped(arena, size);
    }
    arena
}

unsafe extern "C" fn arena_free(_: Pointer, arena: Pointer, size: usize) {
    recorder::arena_unmapped(arena, size);
    let _inside = Thread::current().enter();
    // SAFETY: this runs only after `allocators::install` has stored a function of this type.
    let free = unsafe { transmute::<Pointer, ArenaFree>(ARENAS.free.load(Ordering::Relaxed)) };
    // SAFETY: the context belongs to the function, and the arena to its allocator.
    unsafe { free(ARENAS.ctx.load(Ordering::Relaxed), arena, size) }
}

/// The wrappers; the recorder has them installed.
#[cfg_attr(test, expect(dead_code, reason = "used by the library's constructor"))]
pub static WRAPPERS: Wrappers = Wrappers {
    mem: wrapper::<MEM>(),
    obj: wrapper::<OBJ>(),
    arenas: ArenaAllocator {
        ctx: null_mut(),
        alloc: arena_alloc,
        free: arena_free,
    },
};

const fn wrapper<const DOMAIN: usize>() -> Allocator {
    Allocator {
        ctx: null_mut(),
        malloc: malloc::<DOMAIN>,
        calloc: calloc::<DOMAIN>,
        realloc: realloc::<DOMAIN>,
        free: free::<DOMAIN>,
    }
}
