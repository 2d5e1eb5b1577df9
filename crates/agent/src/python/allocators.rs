//! Python's own allocators: they are wrapped with `PyMem_SetAllocator`, and put back when somebody has removed the wrappers.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::{Allocator, ArenaAllocator, Functions};

type Pointer = *mut c_void;

/// `PYMEM_DOMAIN_MEM` and `PYMEM_DOMAIN_OBJ` of `Include/cpython/pymem.h`.
pub const MEM: usize = 1;
/// See [`MEM`].
pub const OBJ: usize = 2;

/// What is put around Python's allocators: it passes every call on to what was there before.
pub struct Wrappers {
    /// Around the mem domain.
    pub mem: Allocator,
    /// Around the object domain.
    pub obj: Allocator,
    /// Around the source of pymalloc's arenas.
    pub arenas: ArenaAllocator,
}

// SAFETY: functions, the same in every thread, and contexts that are null.
unsafe impl Sync for Wrappers {}

impl Wrappers {
    fn of(&self, domain: usize) -> &Allocator {
        if domain == OBJ { &self.obj } else { &self.mem }
    }
}

/// The allocator that was there before the wrapper, by domain.
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

/// What a domain had before its wrapper.
pub const fn original(domain: usize) -> &'static Original {
    if domain == OBJ { &OBJ_ORIGINAL } else { &MEM_ORIGINAL }
}

/// The source of arenas that was there before the wrapper.
pub struct ArenaOriginal {
    pub ctx: AtomicPtr<c_void>,
    pub alloc: AtomicPtr<c_void>,
    pub free: AtomicPtr<c_void>,
}

/// The same of this process.
pub static ARENAS: ArenaOriginal = ArenaOriginal {
    ctx: AtomicPtr::new(null_mut()),
    alloc: AtomicPtr::new(null_mut()),
    free: AtomicPtr::new(null_mut()),
};

fn current(functions: &Functions, wrappers: &Wrappers, domain: usize) -> Allocator {
    let mut allocator = *wrappers.of(domain);
    // SAFETY: the place is valid for the answer; the function may be called at any time.
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
    // SAFETY: the place is valid for the answer.
    unsafe { (functions.get_arena_allocator)(&mut now) };
    if now.alloc as usize == wrapper.alloc as usize {
        return;
    }
    ARENAS.ctx.store(now.ctx, Ordering::Relaxed);
    ARENAS.alloc.store(now.alloc as Pointer, Ordering::Relaxed);
    ARENAS.free.store(now.free as Pointer, Ordering::Release);
    // SAFETY: the wrapper passes every call on; the interpreter copies the structure.
    unsafe { (functions.set_arena_allocator)(&mut wrapper) };
}

/// Wraps the object and mem domains, and the source of pymalloc's arenas. The calling thread has the GIL.
pub fn install(functions: &Functions, wrappers: &Wrappers) {
    wrap(functions, wrappers, MEM);
    wrap(functions, wrappers, OBJ);
    wrap_arenas(functions, wrappers);
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
pub fn note_probe() {
    PROBE_SEEN.store(true, Ordering::Relaxed);
}

fn is_unknown(functions: &Functions, wrappers: &Wrappers, domain: usize) -> bool {
    let now = current(functions, wrappers, domain).malloc as Pointer;
    now != wrappers.of(domain).malloc as Pointer && now != known_to_reach(domain).load(Ordering::Relaxed)
}

/// Whether somebody changed Python's allocators since the last look. Calls nothing but `PyMem_GetAllocator`, so it
/// may be asked from within any allocation.
pub fn has_changed(functions: &Functions, wrappers: &Wrappers) -> bool {
    is_unknown(functions, wrappers, MEM) || is_unknown(functions, wrappers, OBJ)
}

/// Puts a wrapper back if calls do not reach it any more, directly or through somebody else's. Returns whether they
/// did not.
fn put_back_if_lost(functions: &Functions, wrappers: &Wrappers, domain: usize) -> bool {
    if !is_unknown(functions, wrappers, domain) {
        return false;
    }
    let now = current(functions, wrappers, domain);
    PROBE_SEEN.store(false, Ordering::Relaxed);
    // SAFETY: the allocator that is set now, with its own context; the block is freed at once by the same one.
    let block = unsafe { (now.malloc)(now.ctx, 1) };
    if !block.is_null() {
        // SAFETY: as above.
        unsafe { (now.free)(now.ctx, block) };
    }
    if PROBE_SEEN.load(Ordering::Relaxed) {
        known_to_reach(domain).store(now.malloc as Pointer, Ordering::Relaxed);
        return false;
    }
    wrap(functions, wrappers, domain);
    true
}

/// Puts the wrappers back if somebody removed them (tracemalloc restores what it found when it was started). Returns
/// whether they had been lost.
///
/// It allocates through the allocator that is set now, which may not be in the midst of something: the calling
/// thread is at a safe point with the GIL, and inside the agent.
pub fn keep_installed(functions: &Functions, wrappers: &Wrappers) -> bool {
    let lost = [MEM, OBJ].map(|domain| put_back_if_lost(functions, wrappers, domain));
    lost.contains(&true)
}
