//! Names of types, and C strings.

use crate::heap::type_fields::{flags, offset};
use crate::heap::{Context, dict};
use crate::memory::{Memory, is_plausible, is_plausible_data};
use crate::unicode;

/// Writes the name of the type at `ty` as people know it, as in `collections.OrderedDict`, `json.decoder.JSONDecoder`
/// or `dict`; returns its length.
///
/// Heap types: `__module__` and `__qualname__`, without the module if that is `builtins` or not a string. Static
/// types: `tp_name`. What does not fit is cut off. 0 if there is nothing to read.
pub fn type_name<M: Memory>(ctx: Context<'_, M>, ty: u64, out: &mut [u8]) -> usize {
    if !is_plausible(ty) {
        return 0;
    }
    let is_heap_type = ctx
        .mem
        .u64(ty.wrapping_add(offset::FLAGS))
        .is_some_and(|flags| flags & flags::HEAP_TYPE != 0);
    if !is_heap_type {
        return tp_name(ctx.mem, ty, out).unwrap_or(0);
    }
    let mut len = 0;
    if let Some(module) = module_name(ctx, ty)
        && let Some(text) = unicode::utf8(ctx.mem, ctx.layout, module, out)
        && out.get(..text.len) != Some(b"builtins")
    {
        len = text.len;
        if let Some(dot) = out.get_mut(len) {
            *dot = b'.';
            len = len.wrapping_add(1);
        }
    }
    let rest = out.get_mut(len..).unwrap_or_default();
    let qualname = ctx
        .address(ty, ctx.layout.heap.heap_type.qualname.into())
        .and_then(|name| unicode::utf8(ctx.mem, ctx.layout, name, rest));
    match qualname {
        Some(text) => len.wrapping_add(text.len),
        None => tp_name(ctx.mem, ty, out).unwrap_or(0),
    }
}

/// The string `__module__` of a heap type.
fn module_name<M: Memory>(ctx: Context<'_, M>, ty: u64) -> Option<u64> {
    let found = dict::find(ctx, ctx.address(ty, offset::DICT)?, b"__module__")?;
    dict::is_str(ctx, found).then_some(found)
}

/// Writes the `tp_name` of the type at `ty`; returns its length.
pub(crate) fn tp_name<M: Memory>(mem: &M, ty: u64, out: &mut [u8]) -> Option<usize> {
    c_string(mem, mem.u64(ty.wrapping_add(offset::NAME))?, out)
}

/// Writes the C string at `addr` without its end; returns its length. What does not fit is cut off. `None` if it
/// cannot be read.
pub fn c_string<M: Memory>(mem: &M, addr: u64, out: &mut [u8]) -> Option<usize> {
    if !is_plausible_data(addr, 1) {
        return None;
    }
    let mut len = 0_usize;
    for (at, slot) in (addr..).zip(out) {
        match mem.u8(at)? {
            0 => break,
            byte => *slot = byte,
        }
        len = len.wrapping_add(1);
    }
    Some(len)
}
