//! Threads and their frames, as roots of a snapshot.

use crate::heap::{Context, Interpreters};
use crate::layout::FrameChain;
use crate::memory::{Memory, field, is_plausible};

/// `PyThreadState.next`, the same from 3.9 to 3.15.
const NEXT: u64 = 8;
/// More threads than this mean a cycle.
const MAX_THREADS: usize = 1 << 20;
/// More frames of one thread than this mean a cycle.
const MAX_FRAMES: usize = 1 << 24;

/// Gives each thread state of the interpreter at `interpreter` to `each`. False if the chain is broken.
pub fn each<M: Memory>(mem: &M, interpreters: &Interpreters, interpreter: u64, mut each: impl FnMut(u64)) -> bool {
    let mut next = interpreters.newest_thread(mem, interpreter);
    for _ in 0..MAX_THREADS {
        let Some(thread) = next else { return false };
        each(thread);
        match mem.u64(thread.wrapping_add(NEXT)) {
            Some(0) => return true,
            found => next = found.filter(|&addr| is_plausible(addr)),
        }
    }
    false
}

/// Gives the address of each frame of the thread state at `thread` to `each`, innermost first. False if the chain is
/// broken.
///
/// The interpreter's own frames are left out. Pass the addresses to [`variables::frame`].
///
/// [`variables::frame`]: crate::heap::variables::frame
pub fn frames<M: Memory>(ctx: Context<'_, M>, thread: u64, mut each: impl FnMut(u64)) -> bool {
    if !is_plausible(thread) {
        return false;
    }
    let mem = ctx.mem;
    let (first, back, hidden) = match &ctx.layout.frames {
        FrameChain::Objects(frames) => (mem.u64(field(thread, frames.current_frame)), frames.back, None),
        FrameChain::CFrame {
            cframe,
            current_frame,
            frames,
        } => {
            let first = ctx
                .address(thread, u64::from(*cframe))
                .and_then(|cframe| mem.u64(field(cframe, *current_frame)));
            (first, frames.previous, Some(frames))
        }
        FrameChain::Direct { current_frame, frames } => {
            (mem.u64(field(thread, *current_frame)), frames.previous, Some(frames))
        }
    };
    let Some(mut frame) = first else { return false };
    for _ in 0..MAX_FRAMES {
        if frame == 0 {
            return true;
        }
        if !is_plausible(frame) {
            return false;
        }
        let shown = match hidden {
            None => true,
            Some(frames) => mem
                .u8(field(frame, frames.owner))
                .is_some_and(|owner| owner < frames.hidden_owners_from),
        };
        if shown {
            each(frame);
        }
        match mem.u64(field(frame, back)) {
            Some(next) => frame = next,
            None => return false,
        }
    }
    false
}
