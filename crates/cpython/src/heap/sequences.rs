//! Lists, tuples, sets and deques.

use crate::heap::Context;
use crate::heap::edge::{Edge, Label};
use crate::memory::{Memory, is_plausible};

/// Longer sequences are taken for damage, in items.
const MAX_ITEMS: u64 = 1 << 40;
/// `PyListObject.ob_item`.
const LIST_ITEMS: u64 = 24;
/// `PySetObject.mask` and `table`.
pub(crate) const SET_MASK: u64 = 32;
pub(crate) const SET_TABLE: u64 = 40;
/// `PySetObject.smalltable`.
pub(crate) const SET_SMALL_TABLE: u64 = 64;
/// `dequeobject.leftblock` and `leftindex`.
const DEQUE_LEFT_BLOCK: u64 = 24;
pub(crate) const DEQUE_LEFT_INDEX: u64 = 40;
/// Entries per block of a deque; before them is the link to the left, after them the link to the right.
pub(crate) const DEQUE_BLOCK: u64 = 64;

/// `ob_size` as a number of items.
#[inline]
pub(crate) fn length<M: Memory>(ctx: Context<'_, M>, object: u64) -> Option<u64> {
    let length = u64::try_from(ctx.var_size(object)?).ok()?;
    (length <= MAX_ITEMS).then_some(length)
}

#[inline]
fn items<M: Memory>(ctx: Context<'_, M>, first: u64, count: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    for index in 0..count {
        let to = ctx.mem.u64(first.wrapping_add(index.wrapping_mul(8)))?;
        if is_plausible(to) {
            each(Edge {
                to,
                label: Label::Index(index as u32),
            });
        }
    }
    Some(())
}

/// The items of the list at `list`.
#[inline]
pub(crate) fn list<M: Memory>(ctx: Context<'_, M>, list: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let count = length(ctx, list)?;
    if count > 0 {
        items(ctx, ctx.address(list, LIST_ITEMS)?, count, each)?;
    }
    Some(())
}

/// The items of the tuple at `tuple`.
#[inline]
pub(crate) fn tuple<M: Memory>(ctx: Context<'_, M>, tuple: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let first = tuple.wrapping_add(ctx.layout.heap.tuple_items.into());
    items(ctx, first, length(ctx, tuple)?, each)
}

/// The elements of the set at `set`. A removed one leaves a marker, whose hash is -1, which no element's is.
#[inline]
pub(crate) fn set<M: Memory>(ctx: Context<'_, M>, set: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let mask = ctx.mem.u64(set.wrapping_add(SET_MASK))?;
    let table = ctx.address(set, SET_TABLE)?;
    if mask > MAX_ITEMS {
        return None;
    }
    for index in 0..=mask {
        let entry = table.wrapping_add(index.wrapping_mul(16));
        let to = ctx.mem.u64(entry)?;
        if is_plausible(to) && ctx.mem.i64(entry.wrapping_add(8))? != -1 {
            each(Edge {
                to,
                label: Label::Member,
            });
        }
    }
    Some(())
}

/// The items of the deque at `deque`.
pub(crate) fn deque<M: Memory>(ctx: Context<'_, M>, deque: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let count = length(ctx, deque)?;
    let mut block = ctx.address(deque, DEQUE_LEFT_BLOCK)?;
    let mut at = ctx.mem.u64(deque.wrapping_add(DEQUE_LEFT_INDEX))?;
    for index in 0..count {
        if at >= DEQUE_BLOCK {
            block = ctx
                .mem
                .u64(block.wrapping_add(DEQUE_BLOCK.wrapping_mul(8).wrapping_add(8)))
                .filter(|&addr| is_plausible(addr))?;
            at = 0;
        }
        if let Some(to) = ctx.address(block, at.wrapping_mul(8).wrapping_add(8)) {
            each(Edge {
                to,
                label: Label::Index(index as u32),
            });
        }
        at = at.wrapping_add(1);
    }
    Some(())
}
