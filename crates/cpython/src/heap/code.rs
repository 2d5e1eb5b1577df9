//! Closures of functions, and the caches of `functools.lru_cache`.

use crate::heap::edge::{Edge, Label, fields};
use crate::heap::{Context, TypeFacts, variables};
use crate::layout::VariablesLayout;
use crate::memory::{Memory, is_plausible};

/// Cells of one closure that are read at most.
const MAX_CELLS: u64 = 256;

/// The name of cell `index` of the closure of the function at `function`: address of a `str`.
pub fn closure_name<M: Memory>(ctx: Context<'_, M>, function: u64, index: u64) -> Option<u64> {
    let code = is_plausible(function).then(|| ctx.address(function, ctx.layout.heap.function.code.into()))??;
    if ctx.type_of(code)? != ctx.known.code_type() {
        return None;
    }
    match ctx.layout.heap.variables {
        VariablesLayout::Objects { names: [.., free], .. } => {
            variables::tuple_item(ctx, ctx.address(code, free.into())?, index)
        }
        VariablesLayout::Interpreter { count, names, .. } => {
            // The free variables are the last ones.
            let total = u64::from(ctx.mem.u32(code.wrapping_add(count.into()))?);
            let names = ctx.address(code, names.into())?;
            let kinds = ctx.address(code, variables::KINDS)?;
            let data = kinds.wrapping_add(ctx.layout.bytes.data.into());
            let mut free = 0_u64;
            for at in 0..total.min(1 << 20) {
                if ctx.mem.u8(data.wrapping_add(at))? & variables::FREE != 0 {
                    if free == index {
                        return variables::tuple_item(ctx, names, at);
                    }
                    free = free.wrapping_add(1);
                }
            }
            None
        }
    }
}

/// Gives the cells of the closure of the function at `function`, each with its variable's name (address of a `str`), to
/// `each`. Reads nothing more of a function without a closure.
pub fn closure<M: Memory>(ctx: Context<'_, M>, function: u64, each: &mut impl FnMut(u64, u64)) -> Option<()> {
    let members = ctx.layout.heap.function.members;
    let (_, offset) = members.iter().find(|(name, _)| *name == "__closure__")?;
    let cells = ctx.address(function, u64::from(*offset))?;
    for index in 0..u64::try_from(ctx.var_size(cells)?).ok()?.min(MAX_CELLS) {
        if let (Some(cell), Some(name)) = (
            variables::tuple_item(ctx, cells, index),
            closure_name(ctx, function, index),
        ) {
            each(cell, name);
        }
    }
    Some(())
}

/// The references of the `lru_cache` wrapper at `wrapper`: its function, its dict of entries, and the entries'
/// values and keys, which are in links of a ring that begins inside the wrapper. It owns the links, too, though
/// `tp_traverse` does not visit them (`bounded_lru_cache_wrapper` of `Modules/_functoolsmodule.c`): without that
/// reference, every entry would seem to be held by something unknown.
pub(crate) fn lru_cache<M: Memory>(
    ctx: Context<'_, M>,
    facts: &TypeFacts,
    wrapper: u64,
    each: &mut impl FnMut(Edge),
) -> Option<()> {
    // The last field before `__dict__`; from 3.10 there are two more before it.
    if facts.dict_offset == 120 {
        fields(ctx, wrapper, &[("cache_info_type", 112)], each);
    } else {
        let last = [("kwd_mark", 112), ("lru_list_elem_type", 120), ("cache_info_type", 128)];
        fields(ctx, wrapper, &last, each);
    }
    fields(ctx, wrapper, &[("__wrapped__", 88), ("cache", 72)], each);
    let mut previous = wrapper;
    loop {
        let link = ctx.address(previous, 24)?;
        // A broken ring might not end.
        if ctx.mem.u64(link.wrapping_add(16))? != previous {
            return None;
        }
        if link == wrapper {
            return Some(());
        }
        each(Edge {
            to: link,
            label: Label::MemberName("root"),
        });
        lru_link(ctx, link, each);
        previous = link;
    }
}

/// The references of one link: the key, and the result under it.
pub(crate) fn lru_link<M: Memory>(ctx: Context<'_, M>, link: u64, each: &mut impl FnMut(Edge)) {
    let Some(key) = ctx.address(link, 40) else { return };
    each(Edge {
        to: key,
        label: Label::Member,
    });
    if let Some(to) = ctx.address(link, 48) {
        each(Edge {
            to,
            label: Label::Item(key),
        });
    }
}
