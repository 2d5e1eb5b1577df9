//! The Python stack of one thread, read from its frames.
//!
//! | version | thread state to frame | instruction | hidden |
//! |---|---|---|---|
//! | 3.9, 3.10 | `frame` | `f_lasti`, in bytes and in units of 2 | nothing |
//! | 3.11, 3.12 | `cframe`, `current_frame` | `prev_instr` | incomplete; from 3.12 the entry shims of C callers |
//! | 3.13 to 3.15 | `current_frame` | `instr_ptr` | the same; the code pointer is tagged from 3.14 |
//!
//! A frame is **incomplete** until its instruction pointer reaches `_co_firsttraceable`: its cells and its generator
//! are still being created. `sys._getframe` does not show such frames, nor does the walk, except for the innermost one.
//! The trampoline that cleans up after `__init__` (3.13 on) can never become complete and is always hidden.

use crate::layout::{FrameChain, FrameObjects, InterpreterFrames, Layout};
use crate::memory::{Memory, field, is_plausible};

/// `FRAME_OWNED_BY_GENERATOR` (Include/internal/pycore_frame.h): such frames are always complete.
const OWNED_BY_GENERATOR: u8 = 1;

/// Hidden frames allowed per visible one. Each has at most an entry shim and a trampoline; more means a cycle.
const HIDDEN_PER_SHOWN: usize = 4;
/// Hidden frames allowed in any case.
const HIDDEN_AT_LEAST: usize = 64;

/// One Python frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawFrame {
    /// Address of the code object.
    pub code: u64,
    /// Offset in bytes of the instruction inside the bytecode, what Python calls `f_lasti`; -1 if the frame has not
    /// begun to run (or its instruction pointer is invalid).
    pub offset: i32,
    /// Whether the frame has not reached its first traceable instruction: its line is `co_firstlineno`. Only the
    /// innermost frame can be so.
    pub incomplete: bool,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The chain ended, or `out` was full.
    Complete,
    /// A frame or a code object was invalid, or the chain is a cycle: the frames before it are good, the rest is unknown.
    BadFrame,
}

/// The outcome of a [`walk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Number of frames written.
    pub len: usize,
    /// Whether there are more frames, which did not fit into `out`.
    pub truncated: bool,
    /// Why the walk ended.
    pub end: End,
}

/// Writes the frames of the thread state at `thread_state` to `out`, innermost first.
///
/// `code_type` is the address of `PyCode_Type`: every code object is checked to be one, which turns a wrong layout
/// into a truncated stack. Only frame links, instruction pointers, owners, and the type pointer and first traceable
/// instruction of each code object are read.
#[inline]
pub fn walk<M: Memory>(mem: &M, layout: &Layout, code_type: u64, thread_state: u64, out: &mut [RawFrame]) -> Walk {
    let mut len = 0;
    let outcome = if is_plausible(thread_state) {
        let ob_type = layout.object.ob_type;
        match &layout.frames {
            FrameChain::Objects(frames) => objects(mem, frames, ob_type, code_type, thread_state, out, &mut len),
            FrameChain::CFrame {
                cframe,
                current_frame,
                frames,
            } => {
                let first = || {
                    let cframe = mem
                        .u64(field(thread_state, *cframe))
                        .filter(|&addr| is_plausible(addr))?;
                    mem.u64(field(cframe, *current_frame))
                };
                first().and_then(|first| interpreter(mem, layout, frames, code_type, first, out, &mut len))
            }
            FrameChain::Direct { current_frame, frames } => mem
                .u64(field(thread_state, *current_frame))
                .and_then(|first| interpreter(mem, layout, frames, code_type, first, out, &mut len)),
        }
    } else {
        None
    };
    match outcome {
        Some(truncated) => Walk {
            len,
            truncated,
            end: End::Complete,
        },
        None => Walk {
            len,
            truncated: false,
            end: End::BadFrame,
        },
    }
}

/// The chain of frame objects of 3.9 and 3.10. `Some(truncated)` if it is sound.
#[inline]
fn objects<M: Memory>(
    mem: &M,
    frames: &FrameObjects,
    ob_type: u16,
    code_type: u64,
    thread_state: u64,
    out: &mut [RawFrame],
    len: &mut usize,
) -> Option<bool> {
    let unit = i32::from(frames.instruction_unit);
    let mut frame = mem.u64(field(thread_state, frames.current_frame))?;
    while frame != 0 {
        if !is_plausible(frame) {
            return None;
        }
        let code = code_object(mem, mem.u64(field(frame, frames.code))?, ob_type, code_type)?;
        let last = mem.i32(field(frame, frames.last_instruction))?;
        let Some(slot) = out.get_mut(*len) else {
            return Some(true);
        };
        let offset = last.checked_mul(unit).unwrap_or(-1).max(-1);
        *slot = RawFrame {
            code,
            offset,
            incomplete: offset < 0,
        };
        *len = len.wrapping_add(1);
        frame = mem.u64(field(frame, frames.back))?;
    }
    Some(false)
}

/// The chain of interpreter frames of 3.11 and later, from `frame` on. `Some(truncated)` if it is sound.
#[inline]
fn interpreter<M: Memory>(
    mem: &M,
    layout: &Layout,
    frames: &InterpreterFrames,
    code_type: u64,
    mut frame: u64,
    out: &mut [RawFrame],
    len: &mut usize,
) -> Option<bool> {
    // A local copy, so that its fields stay in registers whatever `mem` might change.
    let frames = *frames;
    let ob_type = layout.object.ob_type;
    let mut budget = out
        .len()
        .saturating_mul(HIDDEN_PER_SHOWN)
        .saturating_add(HIDDEN_AT_LEAST);
    while frame != 0 {
        budget = budget.checked_sub(1)?;
        if !is_plausible(frame) {
            return None;
        }
        let owner = mem.u8(field(frame, frames.owner))?;
        if owner < frames.hidden_owners_from {
            let code = mem.u64(field(frame, frames.code))? & !frames.code_tag;
            let code = code_object(mem, code, ob_type, code_type)?;
            let instruction = mem.u64(field(frame, frames.instruction))?;
            let offset = instruction.wrapping_sub(field(code, frames.bytecode)) as i64;
            let first_traceable = i64::from(mem.i32(field(code, frames.first_traceable))?);
            let incomplete = owner != OWNED_BY_GENERATOR && offset < first_traceable.wrapping_mul(2);
            if !incomplete || *len == 0 && first_traceable < mem.i64(field(code, layout.object.var_size))? {
                let Some(slot) = out.get_mut(*len) else {
                    return Some(true);
                };
                let offset = i32::try_from(offset).unwrap_or(-1).max(-1);
                *slot = RawFrame {
                    code,
                    offset,
                    incomplete,
                };
                *len = len.wrapping_add(1);
            }
        }
        frame = mem.u64(field(frame, frames.previous))?;
    }
    Some(false)
}

/// `code` if it is the address of a code object.
#[inline(always)]
fn code_object<M: Memory>(mem: &M, code: u64, ob_type: u16, code_type: u64) -> Option<u64> {
    (is_plausible(code) && mem.u64(field(code, ob_type))? == code_type).then_some(code)
}

#[cfg(test)]
mod tests;
