//! Variables and evaluation stacks of frames, running or suspended.

use crate::heap::edge::{Edge, Label, fields};
use crate::heap::{Context, Kind, sequences};
use crate::layout::{FrameChain, StackTop, VariablesLayout};
use crate::memory::{Memory, field, is_plausible};

/// `co_localspluskinds` (3.11 on).
pub(crate) const KINDS: u64 = 104;
/// `CO_FAST_FREE`.
pub(crate) const FREE: u8 = 0x80;
/// `FRAME_OWNED_BY_FRAME_OBJECT`: the frame object holds the references of the frame.
const OWNED_BY_FRAME_OBJECT: u8 = 2;
/// More variables of a code object, or a deeper stack of a frame, are taken for damage.
const MAX_ENTRIES: u64 = 1 << 24;
/// Tags of entries from 3.14 on.
const TAG: u64 = 3;

/// The code that a frame runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameCode {
    /// Address of the code object.
    pub code: u64,
    /// Address of its qualified name, or of its name before 3.11: a `str`.
    pub qualified_name: u64,
}

/// The object that an entry of a frame refers to.
///
/// From 3.14 on entries are tagged: 3 is a number, 1 a borrowed reference or, alone, nothing; 2 is no object.
#[inline]
fn untag(entry: u64, tagged: bool) -> Option<u64> {
    let object = if !tagged {
        entry
    } else if entry & TAG <= 1 {
        entry & !TAG
    } else {
        return None;
    };
    is_plausible(object).then_some(object)
}

/// Item `index` of the tuple at `tuple`.
#[inline]
pub(crate) fn tuple_item<M: Memory>(ctx: Context<'_, M>, tuple: u64, index: u64) -> Option<u64> {
    if index >= sequences::length(ctx, tuple)? {
        return None;
    }
    let first = tuple.wrapping_add(ctx.layout.heap.tuple_items.into());
    ctx.address(first, index.wrapping_mul(8))
}

/// Gives what the frame at `frame` refers to, to `each`: code, globals, each variable, the evaluation stack.
///
/// `frame` comes from [`threads::frames`]. The stack of a frame that runs right now is not known before 3.14: there
/// is only what callers' frames have on theirs. `None` if the frame makes no sense.
///
/// [`threads::frames`]: crate::heap::threads::frames
pub fn frame<M: Memory>(ctx: Context<'_, M>, frame: u64, each: &mut impl FnMut(Edge)) -> Option<FrameCode> {
    if !is_plausible(frame) {
        return None;
    }
    let (at, tag) = match &ctx.layout.frames {
        FrameChain::Objects(frames) => (frames.code, 0),
        FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } => (frames.code, frames.code_tag),
    };
    let code = ctx.mem.u64(field(frame, at))? & !tag;
    if ctx.type_of(code)? != ctx.known.code_type() {
        return None;
    }
    let qualified_name = ctx.layout.code.qualname.unwrap_or(ctx.layout.code.name);
    let found = FrameCode {
        code,
        qualified_name: ctx.address(code, qualified_name.into())?,
    };
    match ctx.layout.heap.variables {
        VariablesLayout::Objects {
            locals,
            stack,
            top,
            members,
            names,
        } => {
            fields(ctx, frame, members, each);
            let first = field(frame, locals);
            let mut index = 0_u64;
            for names in names {
                let names = ctx.address(code, names.into())?;
                for name in 0..sequences::length(ctx, names)?.min(MAX_ENTRIES) {
                    let value = ctx.address(first, index.wrapping_mul(8));
                    if let (Some(to), Some(name)) = (value, tuple_item(ctx, names, name)) {
                        each(Edge {
                            to,
                            label: Label::Local(name),
                        });
                    }
                    index = index.wrapping_add(1);
                }
            }
            let bottom = ctx.mem.u64(field(frame, stack))?;
            if is_plausible(bottom) {
                stack_entries(ctx, bottom, stack_depth(ctx, frame, top, bottom, index)?, false, each);
            }
        }
        VariablesLayout::Interpreter {
            locals,
            top,
            members,
            tagged,
            count,
            names,
            ..
        } => {
            for (name, offset) in members {
                let entry = ctx.mem.u64(field(frame, *offset))?;
                if let Some(to) = untag(entry, tagged) {
                    each(Edge {
                        to,
                        label: Label::MemberName(name),
                    });
                }
            }
            let count = u64::from(ctx.mem.u32(field(code, count))?).min(MAX_ENTRIES);
            let names = ctx.address(code, names.into())?;
            let first = field(frame, locals);
            for index in 0..count {
                let entry = ctx.mem.u64(first.wrapping_add(index.wrapping_mul(8)))?;
                if let (Some(to), Some(name)) = (untag(entry, tagged), tuple_item(ctx, names, index)) {
                    each(Edge {
                        to,
                        label: Label::Local(name),
                    });
                }
            }
            let bottom = first.wrapping_add(count.wrapping_mul(8));
            stack_entries(ctx, bottom, stack_depth(ctx, frame, top, bottom, count)?, tagged, each);
        }
    }
    Some(found)
}

/// How many entries of the stack that begins at `bottom` are in use; 0 if that is not known.
fn stack_depth<M: Memory>(ctx: Context<'_, M>, frame: u64, top: StackTop, bottom: u64, locals: u64) -> Option<u64> {
    let depth = match top {
        StackTop::Address(at) => match ctx.mem.u64(field(frame, at))? {
            top if top >= bottom && is_plausible(top) => top.wrapping_sub(bottom) / 8,
            _ => 0,
        },
        StackTop::Depth(at) => u64::try_from(ctx.mem.i32(field(frame, at))?).unwrap_or(0),
        StackTop::Total(at) => u64::try_from(ctx.mem.i32(field(frame, at))?)
            .unwrap_or(0)
            .saturating_sub(locals),
    };
    Some(if depth <= MAX_ENTRIES { depth } else { 0 })
}

fn stack_entries<M: Memory>(ctx: Context<'_, M>, bottom: u64, depth: u64, tagged: bool, each: &mut impl FnMut(Edge)) {
    for index in 0..depth {
        let entry = ctx.mem.u64(bottom.wrapping_add(index.wrapping_mul(8)));
        if let Some(to) = entry.and_then(|entry| untag(entry, tagged)) {
            each(Edge {
                to,
                label: Label::Stack(index as u32),
            });
        }
    }
}

/// The references of the frame object at `object`. A frame that runs belongs to its thread, not to its object.
pub(crate) fn frame_object<M: Memory>(ctx: Context<'_, M>, object: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let VariablesLayout::Interpreter {
        object_frame,
        object_members,
        ..
    } = ctx.layout.heap.variables
    else {
        frame(ctx, object, each)?;
        return Some(());
    };
    fields(ctx, object, object_members, each);
    let inner = ctx.address(object, object_frame.into())?;
    let owner = match &ctx.layout.frames {
        FrameChain::Objects(_) => return None,
        FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } => frames.owner,
    };
    if ctx.mem.u8(field(inner, owner))? == OWNED_BY_FRAME_OBJECT {
        frame(ctx, inner, each)?;
    }
    Some(())
}

/// How many entries of variables and evaluation stack the generator, coroutine or frame object at `object` has room for,
/// from 3.11 on: these have items, but no `ob_size` that counts them. `None` if its code is gone.
pub(crate) fn room<M: Memory>(ctx: Context<'_, M>, kind: Kind, object: u64) -> Option<u64> {
    let VariablesLayout::Interpreter {
        count, object_frame, ..
    } = ctx.layout.heap.variables
    else {
        return None;
    };
    let generator = &ctx.layout.heap.generator;
    let own_code = generator.members.iter().find(|(name, _)| *name == "gi_code");
    let code = match (kind, own_code) {
        (Kind::Generator | Kind::Coroutine | Kind::AsyncGenerator, Some((_, at))) => {
            ctx.address(object, (*at).into())?
        }
        _ => {
            let frame = match kind {
                Kind::Frame => ctx.address(object, object_frame.into())?,
                _ => field(object, generator.frame?.frame),
            };
            let (FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. }) = &ctx.layout.frames else {
                return None;
            };
            ctx.mem.u64(field(frame, frames.code))? & !frames.code_tag
        }
    };
    if !is_plausible(code) || ctx.type_of(code)? != ctx.known.code_type() {
        return None;
    }
    // `co_stacksize` stands before `co_firstlineno` in all versions.
    let stack = ctx.mem.u32(field(code, ctx.layout.code.first_line).wrapping_sub(4))?;
    let variables = ctx.mem.u32(field(code, count))?;
    let room = u64::from(stack).saturating_add(variables.into());
    (room <= MAX_ENTRIES).then_some(room)
}

/// The references of the generator or coroutine at `object`: also those of its frame, if it has one.
pub(crate) fn generator<M: Memory>(
    ctx: Context<'_, M>,
    kind: Kind,
    object: u64,
    each: &mut impl FnMut(Edge),
) -> Option<()> {
    let layout = &ctx.layout.heap.generator;
    for (name, offset) in layout.members {
        if let Some(to) = ctx.address(object, u64::from(*offset)) {
            let name = match (kind, *name) {
                // The object is shorter, or the field is not set.
                (Kind::Generator, "cr_origin") => continue,
                (Kind::AsyncGenerator, "cr_origin") => "ag_finalizer",
                (Kind::Coroutine, "gi_frame") => "cr_frame",
                (Kind::Coroutine, "gi_code") => "cr_code",
                (Kind::AsyncGenerator, "gi_frame") => "ag_frame",
                (Kind::AsyncGenerator, "gi_code") => "ag_code",
                (_, name) => name,
            };
            each(Edge {
                to,
                label: Label::MemberName(name),
            });
        }
    }
    if let Some(inner) = layout.frame {
        let state = ctx.mem.u8(field(object, inner.state))? as i8;
        let inner_frame = field(object, inner.frame);
        if state < inner.cleared {
            frame(ctx, inner_frame, each)?;
        } else if let FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } = &ctx.layout.frames
            && ctx.layout.minor >= 12
        {
            // From 3.12 on a generator that has ended keeps its code, and nothing else.
            let code = ctx.mem.u64(field(inner_frame, frames.code))? & !frames.code_tag;
            if is_plausible(code) {
                each(Edge {
                    to: code,
                    label: Label::MemberName("f_code"),
                });
            }
        }
    }
    Some(())
}
