//! Python's own allocators: small objects never reach `malloc`, so the object and mem domains are wrapped with
//! `PyMem_SetAllocator`. Blocks and their layout are exactly what they were; the wrappers only look.

use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use deadweight_capture::Allocator as Domain;

use crate::python::{Allocator, ArenaAllocator, Functions};
use crate::recorder;
use crate::thread::Thread;

type Pointer = *mut c_void;
type Malloc = unsafe extern "C" fn(Pointer, usize) -> Pointer;
type Calloc = unsafe extern "C" fn(Pointer, usize, usize) -> Pointer;
type Realloc = unsafe extern "C" fn(Pointer, Pointer, usize) -> Pointer;
type Free = unsafe extern "C" fn(Pointer, Pointer);

/// `PYMEM_DOMAIN_MEM` and `PYMEM_DOMAIN_OBJ` of `Include/cpython/pymem.h`.
const MEM: usize = 1;
const OBJ: usize = 2;

const fn domain(number: usize) -> Domain {
    if number == OBJ { Domain::PyObject } else { Domain::PyMem }
}

/// The allocator that was there before the wrapper, by domain.
struct Original {
    ctx: AtomicPtr<c_void>,
    malloc: AtomicPtr<c_void>,
    calloc: AtomicPtr<c_void>,
    realloc: AtomicPtr<c_void>,
    free: AtomicPtr<c_void>,
}

impl Original {
    const fn none() -> Original {
        Original {
            ctx: AtomicPtr::new(null_mut()),
            malloc: AtomicPtr::new(null_mut()),
            calloc: AtomicPtr::new(null_mut()),
            realloc: AtomicPtr::new(null_mut()),
            free: AtomicPtr::new(null_mut()),
        }
    }

    fn keep(&self, allocator: &Allocator) {
        self.ctx.store(allocator.ctx, Ordering::Relaxed);
        self.malloc.store(allocator.malloc as Pointer, Ordering::Relaxed);
        self.calloc.store(allocator.calloc as Pointer, Ordering::Relaxed);
        self.realloc.store(allocator.realloc as Pointer, Ordering::Relaxed);
        self.free.store(allocator.free as Pointer, Ordering::Release);
    }
}

static MEM_ORIGINAL: Original = Original::none();
static OBJ_ORIGINAL: Original = Original::none();

const fn original(domain: usize) -> &'static Original {
    if domain == OBJ { &OBJ_ORIGINAL } else { &MEM_ORIGINAL }
}

/// The original function of a domain, called with the original's context.
macro_rules! original {
    ($domain:expr, $field:ident: $type:ty, $($argument:expr),*) => {{
        let original = const { original($domain) };
        // SAFETY: a wrapper only runs after `keep` stored a function of this type for its domain.
        let function = unsafe { transmute::<Pointer, $type>(original.$field.load(Ordering::Relaxed)) };
        // SAFETY: the caller's arguments, passed on unchanged, and the context that belongs to the function.
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

fn wrapper<const DOMAIN: usize>() -> Allocator {
    Allocator {
        ctx: null_mut(),
        malloc: malloc::<DOMAIN>,
        calloc: calloc::<DOMAIN>,
        realloc: realloc::<DOMAIN>,
        free: free::<DOMAIN>,
    }
}

fn current(functions: &Functions, domain: usize) -> Allocator {
    let mut allocator = wrapper::<OBJ>();
    // SAFETY: the place is valid for the answer; the function may be called at any time.
    unsafe { (functions.get_allocator)(domain as c_int, &mut allocator) };
    allocator
}

fn wrap<const DOMAIN: usize>(functions: &Functions) {
    let now = current(functions, DOMAIN);
    let mut wrapper = wrapper::<DOMAIN>();
    if now.malloc as usize == wrapper.malloc as usize {
        return;
    }
    original(DOMAIN).keep(&now);
    // SAFETY: the wrapper passes every call on to what was there before; the interpreter copies the structure.
    unsafe { (functions.set_allocator)(DOMAIN as c_int, &mut wrapper) };
}

/// Wraps the object and mem domains, and the source of pymalloc's arenas. The calling thread has the GIL.
pub fn install(functions: &Functions) {
    wrap::<MEM>(functions);
    wrap::<OBJ>(functions);
    install_arenas(functions);
}

static PROBE_SEEN: AtomicBool = AtomicBool::new(false);

/// Somebody else's `malloc` function that was seen to call ours, by domain (tracemalloc's, say).
static REACHES_MEM: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static REACHES_OBJ: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

const fn known_to_reach(domain: usize) -> &'static AtomicPtr<c_void> {
    if domain == OBJ { &REACHES_OBJ } else { &REACHES_MEM }
}

/// Called when a wrapper runs while its thread is inside the agent: then the probe reached us.
#[cold]
fn note_probe() {
    PROBE_SEEN.store(true, Ordering::Relaxed);
}

fn is_unknown<const DOMAIN: usize>(functions: &Functions) -> bool {
    let now = current(functions, DOMAIN).malloc as Pointer;
    now != wrapper::<DOMAIN>().malloc as Pointer && now != known_to_reach(DOMAIN).load(Ordering::Relaxed)
}

/// Whether somebody changed Python's allocators since the last look. Calls nothing but `PyMem_GetAllocator`, so it
/// may be asked from within any allocation.
pub fn has_changed(functions: &Functions) -> bool {
    is_unknown::<MEM>(functions) || is_unknown::<OBJ>(functions)
}

/// Puts a wrapper back if calls do not reach it any more, directly or through somebody else's. Returns whether they
/// did not.
fn put_back_if_lost<const DOMAIN: usize>(functions: &Functions) -> bool {
    if !is_unknown::<DOMAIN>(functions) {
        return false;
    }
    let now = current(functions, DOMAIN);
    PROBE_SEEN.store(false, Ordering::Relaxed);
    // SAFETY: the allocator that is set now, with its own context; the block is freed at once by the same one.
    let block = unsafe { (now.malloc)(now.ctx, 1) };
    if !block.is_null() {
        // SAFETY: as above.
        unsafe { (now.free)(now.ctx, block) };
    }
    if PROBE_SEEN.load(Ordering::Relaxed) {
        known_to_reach(DOMAIN).store(now.malloc as Pointer, Ordering::Relaxed);
        return false;
    }
    wrap::<DOMAIN>(functions);
    true
}

/// Puts the wrappers back if somebody removed them (tracemalloc restores what it found when it was started). Returns
/// whether they had been lost.
///
/// It allocates through the allocator that is set now, which may not be in the midst of something: the calling
/// thread is at a safe point with the GIL, and inside the agent.
pub fn keep_installed(functions: &Functions) -> bool {
    let lost = [put_back_if_lost::<MEM>(functions), put_back_if_lost::<OBJ>(functions)];
    lost.contains(&true)
}

// Arenas: pymalloc's own mappings, which must not count beside the objects in them. Where they are tells how much
// of their resident memory is free.

struct ArenaOriginal {
    ctx: AtomicPtr<c_void>,
    alloc: AtomicPtr<c_void>,
    free: AtomicPtr<c_void>,
}

static ARENAS: ArenaOriginal = ArenaOriginal {
    ctx: AtomicPtr::new(null_mut()),
    alloc: AtomicPtr::new(null_mut()),
    free: AtomicPtr::new(null_mut()),
};

type ArenaAlloc = unsafe extern "C" fn(Pointer, usize) -> Pointer;
type ArenaFree = unsafe extern "C" fn(Pointer, Pointer, usize);

unsafe extern "C" fn arena_alloc(_: Pointer, size: usize) -> Pointer {
    let inside = Thread::current().enter();
    // SAFETY: `install_arenas` stored a function of this type.
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
    // SAFETY: `install_arenas` stored a function of this type.
    let free = unsafe { transmute::<Pointer, ArenaFree>(ARENAS.free.load(Ordering::Relaxed)) };
    // SAFETY: the context belongs to the function, and the arena to its allocator.
    unsafe { free(ARENAS.ctx.load(Ordering::Relaxed), arena, size) }
}

fn install_arenas(functions: &Functions) {
    let mut ours = ArenaAllocator {
        ctx: null_mut(),
        alloc: arena_alloc,
        free: arena_free,
    };
    let mut now = ours;
    // SAFETY: the place is valid for the answer.
    unsafe { (functions.get_arena_allocator)(&mut now) };
    if now.alloc as usize == ours.alloc as usize {
        return;
    }
    ARENAS.ctx.store(now.ctx, Ordering::Relaxed);
    ARENAS.alloc.store(now.alloc as Pointer, Ordering::Relaxed);
    ARENAS.free.store(now.free as Pointer, Ordering::Release);
    // SAFETY: the wrapper passes every call on; the interpreter copies the structure.
    unsafe { (functions.set_arena_allocator)(&mut ours) };
}
