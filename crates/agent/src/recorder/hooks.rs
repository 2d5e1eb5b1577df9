//! The functions that the hooks call: the fast paths, and the slow paths from there to an event.

use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

use deadweight_capture::{Addr, Allocator, MapKind, StackId};

use super::begin::{enter_recording, recording};
use super::state::{ON, Recorder, STATE};
use crate::filter;
use crate::thread::Thread;

type Pointer = *mut c_void;

// ---- fast paths ---------------------------------------------------------------------------------

/// A block was allocated through a hook.
#[inline(always)]
pub fn allocated(thread: &'static Thread, block: Pointer, size: usize, domain: Allocator) {
    if thread.is_inside() {
        return;
    }
    let left = thread.countdown.get().wrapping_sub(size as i64);
    thread.countdown.set(left);
    if left < 0 {
        slow_allocated(thread, block, size, (domain, true));
    }
}

/// A block is about to be freed, by `real`.
#[inline(always)]
pub fn freed(block: Pointer, real: impl FnOnce()) {
    if filter::is_asked_for(block as u64) {
        return known_freed(block, real);
    }
    real();
}

/// A block is resized, by `real`.
#[inline(always)]
pub fn reallocated(block: Pointer, size: usize, domain: Allocator, real: impl FnOnce() -> Pointer) -> Pointer {
    let thread = Thread::current();
    if thread.is_inside() {
        let new = real();
        // This may be pymalloc's table of arenas, which was allocated before the wrappers were installed and so is known.
        if !new.is_null() && !block.is_null() && filter::is_asked_for(block as u64) {
            note_freed(thread, block);
        }
        return new;
    }
    if !block.is_null() && filter::is_asked_for(block as u64) {
        return known_reallocated(thread, block, size, domain, real);
    }
    let inside = thread.enter_allocator();
    let new = real();
    drop(inside);
    if !new.is_null() {
        let left = thread.countdown.get().wrapping_sub(size as i64);
        thread.countdown.set(left);
        if left < 0 {
            slow_allocated(thread, new, size, (domain, false));
        }
    }
    new
}

// ---- slow paths ---------------------------------------------------------------------------------

/// `is_new_block` is false for a block that was resized: its owner does not know its new place yet.
#[cold]
#[inline(never)]
fn slow_allocated(thread: &'static Thread, block: Pointer, size: usize, (domain, is_new_block): (Allocator, bool)) {
    let Some(inside) = thread.enter() else { return };
    let Some((mut agent, is_new)) = enter_recording(thread, &inside) else {
        return;
    };
    // A countdown that has only just begun does not include this block yet.
    let takes_part = if is_new {
        agent.counts_down(thread, size)
    } else {
        agent.takes_part(thread, size)
    };
    if takes_part && !block.is_null() {
        agent.record(thread, block as u64, size as u64, domain);
        if is_new_block && domain == Allocator::PyObject {
            agent.take_overdue(thread);
        }
    }
}

/// Not inlined, so that the fast path saves no registers.
#[cold]
#[inline(never)]
fn known_freed(block: Pointer, real: impl FnOnce()) {
    let thread = Thread::current();
    if !block.is_null() {
        note_freed(thread, block);
    }
    // The block that the allocator frees in turn is mostly the same one, which is not known any more.
    let _inside = thread.enter_allocator();
    real();
}

/// Records that a block is freed, unless the thread is in the agent itself.
#[cold]
#[inline(never)]
fn note_freed(thread: &'static Thread, block: Pointer) {
    if let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.record_free(thread, block as u64);
    }
}

#[cold]
#[inline(never)]
fn known_reallocated(
    thread: &'static Thread,
    block: Pointer,
    size: usize,
    domain: Allocator,
    real: impl FnOnce() -> Pointer,
) -> Pointer {
    let mut real = Some(real);
    let mut call = || real.take().map_or(core::ptr::null_mut(), |real| real());
    // Python's allocators are called with the GIL, so no other thread gets the old address before the events are written. They
    // may take locks of their own, so they are called without the agent's.
    let done = domain.is_python().then(|| {
        let _inside = thread.enter_allocator();
        call()
    });
    let Some(inside) = thread.enter() else {
        return done.unwrap_or_else(call);
    };
    let Some(mut agent) = recording(thread, &inside) else {
        return done.unwrap_or_else(call);
    };
    // Other allocators are called with the lock held: another thread may get the old address at once, and its event must come
    // later.
    let new = done.unwrap_or_else(call);
    if !new.is_null() || (size == 0 && domain == Allocator::Malloc) {
        agent.record_free(thread, block as u64);
    }
    if !new.is_null() && agent.counts_down(thread, size) {
        agent.record(thread, new as u64, size as u64, domain);
    }
    new
}

// ---- mappings -----------------------------------------------------------------------------------

/// The program has mapped memory.
pub fn mapped(place: Pointer, len: usize, protection: c_int, flags: c_int) {
    with_agent(|agent, thread| {
        let kind = if flags & libc::MAP_ANONYMOUS == 0 {
            MapKind::File
        } else if protection == libc::PROT_NONE || flags & libc::MAP_NORESERVE != 0 {
            MapKind::Reserved
        } else {
            MapKind::Anonymous
        };
        let stack = agent.current_stack(thread);
        agent.output.clock();
        agent.mark_region(thread);
        if let Some(writer) = agent.output.writer(0) {
            writer.map(Addr(place as u64), page_up(len), kind, stack);
        }
    });
}

/// The program is about to unmap a range.
pub fn unmapped(place: Pointer, len: usize) {
    with_agent(|agent, thread| {
        agent.output.clock();
        agent.mark_region(thread);
        if let Some(writer) = agent.output.writer(0) {
            writer.unmap(Addr(place as u64), page_up(len));
        }
    });
}

/// The program moves or resizes a mapping, by `real`. That is called with the lock held, since another thread may get the old range
/// at once.
pub fn remapped(place: Pointer, old_len: usize, new_len: usize, real: impl FnOnce() -> Pointer) -> Pointer {
    let thread = Thread::current();
    if STATE.load(Ordering::Acquire) != ON || thread.is_inside() {
        return real();
    }
    let Some(inside) = thread.enter() else { return real() };
    let Some(mut agent) = recording(thread, &inside) else {
        return real();
    };
    let new = real();
    if new != libc::MAP_FAILED {
        let stack = agent.current_stack(thread);
        agent.output.clock();
        agent.mark_region(thread);
        if let Some(writer) = agent.output.writer(0) {
            let (old, new) = (Addr(place as u64), Addr(new as u64));
            writer.remap(old, page_up(old_len), new, page_up(new_len), stack);
        }
        agent.after_event();
    }
    new
}

/// pymalloc has mapped an arena. It is in the middle of an allocation, so only the range is recorded.
pub fn arena_mapped(place: Pointer, len: usize) {
    in_allocator(|agent| {
        if let Some(writer) = agent.output.writer(0) {
            writer.map(Addr(place as u64), page_up(len), MapKind::Arena, StackId::NONE);
        }
    });
}

/// pymalloc is about to unmap an arena.
pub fn arena_unmapped(place: Pointer, len: usize) {
    in_allocator(|agent| {
        if let Some(writer) = agent.output.writer(0) {
            writer.unmap(Addr(place as u64), page_up(len));
        }
    });
}

/// Like [`with_agent`], but also if the thread is in an allocator that was called through a wrapper: the agent's lock is not held
/// there.
#[cold]
fn in_allocator(write: impl FnOnce(&mut Recorder)) {
    let thread = Thread::current();
    if STATE.load(Ordering::Acquire) == ON
        && let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
    {
        agent.output.clock();
        write(&mut agent);
    }
}

fn with_agent(write: impl FnOnce(&mut Recorder, &Thread)) {
    let thread = Thread::current();
    if STATE.load(Ordering::Acquire) == ON
        && !thread.is_inside()
        && let Some(inside) = thread.enter()
        && let Some(mut agent) = recording(thread, &inside)
    {
        write(&mut agent, thread);
        agent.after_event();
    }
}

/// The kernel maps whole pages.
fn page_up(len: usize) -> u64 {
    (len as u64).saturating_add(4095) & !4095
}
