//! Wrapping Python's allocators with `PyMem_SetAllocator`, and wrapping them again if the program has removed the wrappers.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::{Allocator, ArenaAllocator, Functions};

type Pointer = *mut c_void;

/// `PYMEM_DOMAIN_MEM` and `PYMEM_DOMAIN_OBJ` of `Include/cpython/pymem.h`.
pub const MEM: usize = 1;
/// See [`MEM`].
pub const OBJ: usize = 2;

/// The wrappers of Python's allocators. They pass every call on to the allocator that was there before.
pub struct Wrappers {
    /// For the mem domain.
    pub mem: Allocator,
    /// For the object domain.
    pub obj: Allocator,
    /// For the allocator of pymalloc's arenas.
    pub arenas: ArenaAllocator,
}

// SAFETY: the functions can be called from every thread, and the contexts are null.
unsafe impl Sync for Wrappers {}

impl Wrappers {
    fn of(&self, domain: usize) -> &Allocator {
        if domain == OBJ { &self.obj } else { &self.mem }
    }
}

/// The allocator of a domain before it was wrapped.
pub struct Original {
    pub ctx: AtomicPtr<c_void>,
    pub malloc: AtomicPtr<c_void>,
    pub calloc: AtomicPtr<c_void>,
    pub realloc: AtomicPtr<c_void>,
    pub free: AtomicPtr<c_void>,
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

/// The allocator that a domain had before it was wrapped.
pub const fn original(domain: usize) -> &'static Original {
    if domain == OBJ { &OBJ_ORIGINAL } else { &MEM_ORIGINAL }
}

/// The allocator of arenas before it was wrapped.
pub struct ArenaOriginal {
    pub ctx: AtomicPtr<c_void>,
    pub alloc: AtomicPtr<c_void>,
    pub free: AtomicPtr<c_void>,
}

/// The allocator of arenas that this process had before it was wrapped.
pub static ARENAS: ArenaOriginal = ArenaOriginal {
    ctx: AtomicPtr::new(null_mut()),
    alloc: AtomicPtr::new(null_mut()),
    free: AtomicPtr::new(null_mut()),
};

fn current(functions: &Functions, wrappers: &Wrappers, domain: usize) -> Allocator {
    let mut allocator = *wrappers.of(domain);
    // SAFETY: the function may be called at any time, and writes to the local variable.
    unsafe { (functions.get_allocator)(domain as c_int, &mut allocator) };
    allocator
}

fn wrap(functions: &Functions, wrappers: &Wrappers, domain: usize) {
    let now = current(functions, wrappers, domain);
    let mut wrapper = *wrappers.of(domain);
    if now.malloc as usize == wrapper.malloc as usize {
        return;
    }
    original(domain).keep(&now);
    // SAFETY: the wrapper passes every call on to what was there before; the interpreter copies the structure.
    unsafe { (functions.set_allocator)(domain as c_int, &mut wrapper) };
}

fn wrap_arenas(functions: &Functions, wrappers: &Wrappers) {
    let mut wrapper = wrappers.arenas;
    let mut now = wrapper;
    // SAFETY: the function may be called at any time, and writes to the local variable.
    unsafe { (functions.get_arena_allocator)(&mut now) };
    if now.alloc as usize == wrapper.alloc as usize {
        return;
    }
    ARENAS.ctx.store(now.ctx, Ordering::Relaxed);
    ARENAS.alloc.store(now.alloc as Pointer, Ordering::Relaxed);
    ARENAS.free.store(now.free as Pointer, Ordering::Release);
    // SAFETY: the wrapper passes every call on to what was there before; the interpreter copies the structure.
    unsafe { (functions.set_arena_allocator)(&mut wrapper) };
}

/// Wraps the object and mem domains, and the allocator of pymalloc's arenas. The calling thread holds the GIL.
pub fn install(functions: &Functions, wrappers: &Wrappers) {
    wrap(functions, wrappers, MEM);
    wrap(functions, wrappers, OBJ);
    wrap_arenas(functions, wrappers);
}

static PROBE_SEEN: AtomicBool = AtomicBool::new(false);

/// By domain: another wrapper's `malloc` function that is known to call ours (that of tracemalloc, for instance).
static REACHES_MEM: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static REACHES_OBJ: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

const fn known_to_reach(domain: usize) -> &'static AtomicPtr<c_void> {
    if domain == OBJ { &REACHES_OBJ } else { &REACHES_MEM }
}

/// Called when a wrapper runs while its thread is in the agent: a probe has reached it.
#[cold]
pub fn note_probe() {
    PROBE_SEEN.store(true, Ordering::Relaxed);
}

fn is_unknown(functions: &Functions, wrappers: &Wrappers, domain: usize) -> bool {
    let now = current(functions, wrappers, domain).malloc as Pointer;
    now != wrappers.of(domain).malloc as Pointer && now != known_to_reach(domain).load(Ordering::Relaxed)
}

/// Whether Python's allocators have changed since the last check. Calls only `PyMem_GetAllocator`, so it may be called within any
/// allocation.
pub fn has_changed(functions: &Functions, wrappers: &Wrappers) -> bool {
    is_unknown(functions, wrappers, MEM) || is_unknown(functions, wrappers, OBJ)
}

/// Wraps a domain again if calls do not reach the wrapper any more, neither directly nor through another wrapper. Returns whether
/// that was so.
fn put_back_if_lost(functions: &Functions, wrappers: &Wrappers, domain: usize) -> bool {
    if !is_unknown(functions, wrappers, domain) {
        return false;
    }
    let now = current(functions, wrappers, domain);
    PROBE_SEEN.store(false, Ordering::Relaxed);
    // SAFETY: this is the domain's present allocator, called with its own context while the GIL is held.
    let block = unsafe { (now.malloc)(now.ctx, 1) };
    if !block.is_null() {
        // SAFETY: as above; the block is from the same allocator.
        unsafe { (now.free)(now.ctx, block) };
    }
    if PROBE_SEEN.load(Ordering::Relaxed) {
        known_to_reach(domain).store(now.malloc as Pointer, Ordering::Relaxed);
        return false;
    }
    wrap(functions, wrappers, domain);
    true
}

/// Wraps the domains again whose wrappers were removed (tracemalloc restores the allocator that it found at its start). Returns
/// whether there were any.
///
/// This allocates through the present allocator, which must not be in the middle of something: the calling thread holds the
/// GIL at a safe point, and is inside the agent.
pub fn keep_installed(functions: &Functions, wrappers: &Wrappers) -> bool {
    let lost = [MEM, OBJ].map(|domain| put_back_if_lost(functions, wrappers, domain));
    lost.contains(&true)
}
