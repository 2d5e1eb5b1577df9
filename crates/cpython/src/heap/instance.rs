//! Attributes of instances, wherever they are kept.

use crate::heap::dict::{self, Keys, Values};
use crate::heap::edge::{Edge, Label, NameRef};
use crate::heap::type_fields::flags;
use crate::heap::{Context, TypeFacts, body};
use crate::layout::AttributesLayout;
use crate::memory::{Memory, is_plausible};

/// Offsets of the words before an object with a managed dict.
const DICT: u64 = 24;
const VALUES: u64 = 32;

/// Where the attributes of one object are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes {
    /// Address of the dict, 0 if there is none.
    pub(crate) dict: u64,
    /// Address of the values object that belongs to the object, 0 if there is none.
    pub(crate) values: u64,
    /// Bytes of values inside the object, used or not.
    pub(crate) inline: u64,
}

/// Finds the attributes of the object at `object`.
#[inline]
pub(crate) fn attributes<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<Attributes> {
    let mut found = Attributes::default();
    if facts.has(flags::MANAGED_DICT) {
        let at_dict = object.wrapping_sub(DICT);
        match ctx.layout.heap.attributes {
            AttributesLayout::DictOnly => {}
            AttributesLayout::ValuesAndDict => {
                found.dict = ctx.mem.u64(at_dict)?;
                found.values = ctx.mem.u64(object.wrapping_sub(VALUES))?;
            }
            AttributesLayout::ValuesOrDict => match ctx.mem.u64(at_dict)? {
                // The address of the values, less one.
                tagged if tagged & 1 != 0 => found.values = tagged.wrapping_add(1),
                dict => found.dict = dict,
            },
            AttributesLayout::Inline => {
                found.dict = ctx.mem.u64(at_dict)?;
                if facts.has(flags::INLINE_VALUES) {
                    let values = object.wrapping_add(facts.basic_size);
                    let [capacity, _, _, valid] = ctx.mem.read::<4>(values)?;
                    found.inline = dict::inline_bytes(capacity);
                    if valid != 0 {
                        found.values = values;
                    }
                }
            }
        }
    } else if facts.dict_offset > 0 {
        found.dict = ctx.mem.u64(object.wrapping_add(facts.dict_offset as u64))?;
    } else if facts.dict_offset < 0 {
        // Counted from the end of an object of variable size.
        let end = body::body(ctx, facts, object)?.next_multiple_of(8);
        found.dict = ctx
            .mem
            .u64(object.wrapping_add(end).wrapping_add_signed(facts.dict_offset))?;
    }
    if !is_plausible(found.dict) {
        found.dict = 0;
    }
    if !is_plausible(found.values) {
        found.values = 0;
    }
    Some(found)
}

/// The attributes that the object at `object` holds itself, and its dict.
#[inline]
pub(crate) fn edges<M: Memory>(
    ctx: Context<'_, M>,
    facts: &TypeFacts,
    object: u64,
    each: &mut impl FnMut(Edge),
) -> Option<()> {
    if facts.dict_offset == 0 && !facts.has(flags::MANAGED_DICT) {
        return Some(());
    }
    let found = attributes(ctx, facts, object)?;
    // From 3.14 on the collector finds inline values through the dict, if there is one; in 3.13 through both.
    if found.values != 0 && (found.dict == 0 || ctx.layout.minor < 14) {
        let keys = Keys::read(ctx, facts.cached_keys)?;
        Values::read(ctx, found.values, &keys)?.each(ctx, &keys, |name, to| {
            each(Edge {
                to,
                label: Label::Attribute(NameRef::Str(name)),
            });
        })?;
    }
    if found.dict != 0 {
        each(Edge {
            to: found.dict,
            label: Label::MemberName("__dict__"),
        });
    }
    Some(())
}

/// Bytes of the attributes of the object at `object`: inside it, and in a block of their own. A dict counts itself.
pub(crate) fn bytes<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<(u64, u64)> {
    if !facts.has(flags::MANAGED_DICT) {
        return Some((0, 0));
    }
    let found = attributes(ctx, facts, object)?;
    let own_block = found.values != 0 && ctx.layout.heap.attributes != AttributesLayout::Inline;
    let owned = if own_block {
        let keys = Keys::read(ctx, facts.cached_keys)?;
        dict::values_bytes(ctx, found.values, &keys)?
    } else {
        0
    };
    Some((found.inline, owned))
}
