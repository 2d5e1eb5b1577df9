//! The size of one object from its address on.

use crate::heap::type_fields::{flags, offset};
use crate::heap::{Context, Kind, TypeFacts, variables};
use crate::memory::Memory;

/// Where the digits of an `int` begin.
const INT_DIGITS: u64 = 24;
/// Bytes of the fixed part and the items of the object at `object`, without values of attributes.
#[inline]
pub(crate) fn body<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<u64> {
    match facts.kind {
        Kind::Str => return str_body(ctx, facts, object),
        Kind::Type => {
            let flags = ctx.mem.u64(object.wrapping_add(offset::FLAGS))?;
            if flags & flags::HEAP_TYPE == 0 {
                return Some(ctx.layout.heap.static_type_size.into());
            }
        }
        _ => {}
    }
    if facts.item_size == 0 {
        return Some(facts.basic_size);
    }
    let items = match facts.kind {
        // Zero has room for one digit, too.
        Kind::Int if ctx.layout.heap.tagged_ints => (ctx.mem.u64(object.wrapping_add(16))? >> 3).max(1),
        Kind::Frame | Kind::Generator | Kind::Coroutine | Kind::AsyncGenerator if ctx.layout.minor >= 11 => {
            variables::room(ctx, facts.kind, object).unwrap_or(0)
        }
        _ => ctx.var_size(object)?.unsigned_abs(),
    };
    // `bool` states a larger size than it has.
    let is_exact_int = facts.kind == Kind::Int && !facts.has(flags::HEAP_TYPE);
    let fixed = if is_exact_int { INT_DIGITS } else { facts.basic_size };
    Some(fixed.saturating_add(items.saturating_mul(facts.item_size)))
}

/// `state` of a string.
pub(crate) fn str_state<M: Memory>(ctx: Context<'_, M>, object: u64) -> Option<(u64, bool, bool)> {
    let state = ctx.mem.u32(object.wrapping_add(ctx.layout.unicode.state.into()))?;
    Some((u64::from(state >> 2 & 7), state & 0x20 != 0, state & 0x40 != 0))
}

/// Bytes of a string and of the characters inside it.
fn str_body<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<u64> {
    let (kind, compact, ascii) = str_state(ctx, object)?;
    let layout = &ctx.layout.unicode;
    if !compact {
        return Some(facts.basic_size);
    }
    let data = if ascii { layout.ascii_data } else { layout.compact_data };
    let length = ctx.mem.u64(object.wrapping_add(layout.length.into()))?;
    Some(
        length
            .saturating_add(1)
            .saturating_mul(kind)
            .saturating_add(data.into()),
    )
}
