//! Dicts: their keys, their values, and the tables of both.

use crate::heap::Context;
use crate::heap::edge::{Edge, Label};
use crate::heap::type_fields::{flags, offset};
use crate::layout::{AttributesLayout, KeysLayout};
use crate::memory::{Memory, is_plausible};

/// `PyDictObject.ma_keys` and `ma_values`, the same from 3.9 to 3.15.
const MA_KEYS: u64 = 32;
pub(crate) const MA_VALUES: u64 = 40;
/// Larger tables are taken for damage, in entries.
const MAX_ENTRIES: u64 = 1 << 32;
/// `dk_kind` of a general table.
const GENERAL: u8 = 0;

/// A table of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// Address of the first entry.
    pub(crate) entries: u64,
    /// Number of entries ever used.
    pub(crate) count: u64,
    /// Number of entries that still fit.
    pub(crate) usable: u64,
    /// Bytes per entry.
    pub(crate) stride: u64,
    /// Offset of the key in an entry; the value follows it.
    key: u64,
    /// Whether all keys are known to be strings.
    only_str: bool,
    /// `dk_refcnt`.
    references: u64,
    /// Bytes before the entries.
    before: u64,
    /// Number of slots of the index.
    slots: u64,
}

impl Keys {
    /// Reads the table at `addr`.
    #[inline]
    pub(crate) fn read<M: Memory>(ctx: Context<'_, M>, addr: u64) -> Option<Self> {
        if !is_plausible(addr) {
            return None;
        }
        let mem = ctx.mem;
        let references = mem.u64(addr)?;
        let keys = match ctx.layout.heap.keys {
            KeysLayout::Sized => {
                let slots = mem.u64(addr.wrapping_add(8))?;
                let width: u64 = match slots {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => 8,
                };
                let before = slots.wrapping_mul(width).wrapping_add(40);
                Self {
                    entries: addr.wrapping_add(before),
                    count: mem.u64(addr.wrapping_add(32))?,
                    usable: mem.u64(addr.wrapping_add(24))?,
                    stride: 24,
                    key: 8,
                    only_str: false,
                    references,
                    before,
                    slots,
                }
            }
            KeysLayout::Logarithmic => {
                let [log_slots, log_bytes, kind, _] = mem.read::<4>(addr.wrapping_add(8))?;
                let before = 1_u64.checked_shl(log_bytes.into())?.wrapping_add(32);
                let general = kind == GENERAL;
                Self {
                    entries: addr.wrapping_add(before),
                    count: mem.u64(addr.wrapping_add(24))?,
                    usable: mem.u64(addr.wrapping_add(16))?,
                    stride: if general { 24 } else { 16 },
                    key: if general { 8 } else { 0 },
                    only_str: !general,
                    references,
                    before,
                    slots: 1_u64.checked_shl(log_slots.into())?,
                }
            }
        };
        (keys.count <= keys.slots && keys.count <= MAX_ENTRIES).then_some(keys)
    }

    /// Bytes of the whole table.
    pub(crate) fn bytes(&self) -> u64 {
        // There are entries for two thirds of the slots.
        let entries = self.slots.wrapping_mul(2) / 3;
        entries.wrapping_mul(self.stride).wrapping_add(self.before)
    }

    /// Address of the key of entry `index`, 0 if there is none.
    #[inline(always)]
    pub(crate) fn key<M: Memory>(&self, mem: &M, index: u64) -> Option<u64> {
        mem.u64(self.entry(index)).map(or_zero)
    }

    /// Address of the value of entry `index`, 0 if there is none.
    #[inline(always)]
    fn value<M: Memory>(&self, mem: &M, index: u64) -> Option<u64> {
        mem.u64(self.entry(index).wrapping_add(8)).map(or_zero)
    }

    #[inline(always)]
    fn entry(&self, index: u64) -> u64 {
        self.entries
            .wrapping_add(index.wrapping_mul(self.stride))
            .wrapping_add(self.key)
    }

    /// Number of values that a split dict has room for, up to 3.12.
    #[inline]
    pub(crate) const fn capacity(&self) -> u64 {
        self.count.wrapping_add(self.usable)
    }
}

/// `addr`, or 0 if it is implausible.
#[inline(always)]
const fn or_zero(addr: u64) -> u64 {
    if is_plausible(addr) { addr } else { 0 }
}

/// Whether the object at `object` is a `str`, or of a subclass.
#[inline]
pub(crate) fn is_str<M: Memory>(ctx: Context<'_, M>, object: u64) -> bool {
    ctx.type_of(object).is_some_and(|ty| {
        ty == ctx.known.str_type()
            || ctx
                .mem
                .u64(ty.wrapping_add(offset::FLAGS))
                .is_some_and(|flags| flags & flags::STR_SUBCLASS != 0)
    })
}

/// The values of a split dict, or of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values {
    /// Address of the first value.
    pub(crate) first: u64,
    /// Number of values that there is room for; from 3.13 on there may be more names.
    pub(crate) capacity: u64,
}

impl Values {
    /// The values object at `values`, named by `keys`.
    #[inline]
    pub(crate) fn read<M: Memory>(ctx: Context<'_, M>, values: u64, keys: &Keys) -> Option<Self> {
        if !is_plausible(values) {
            return None;
        }
        Some(match ctx.layout.heap.attributes {
            AttributesLayout::Inline => Self {
                first: values.wrapping_add(8),
                capacity: ctx.mem.u8(values)?.into(),
            },
            _ => Self {
                first: values,
                capacity: keys.capacity(),
            },
        })
    }

    /// Gives each value with the address of its name to `each`.
    #[inline]
    pub(crate) fn each<M: Memory>(
        self,
        ctx: Context<'_, M>,
        keys: &Keys,
        mut each: impl FnMut(u64, u64),
    ) -> Option<()> {
        for index in 0..keys.count.min(self.capacity) {
            let value = or_zero(ctx.mem.u64(self.first.wrapping_add(index.wrapping_mul(8)))?);
            if value != 0 {
                let name = keys.key(ctx.mem, index)?;
                if name != 0 {
                    each(name, value);
                }
            }
        }
        Some(())
    }
}

/// The references of the dict at `dict`: for each entry the key, and the value under its key.
///
/// The keys of split dicts belong to the type. Values inside an instance (3.13 on) are given too: see `instance`.
#[inline]
pub(crate) fn edges<M: Memory>(ctx: Context<'_, M>, dict: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let keys = Keys::read(ctx, ctx.address(dict, MA_KEYS)?)?;
    let values = ctx.mem.u64(dict.wrapping_add(MA_VALUES))?;
    if values != 0 {
        return Values::read(ctx, values, &keys)?.each(ctx, &keys, |key, to| {
            each(Edge {
                to,
                label: Label::Key(key),
            });
        });
    }
    for index in 0..keys.count {
        let (key, to) = (keys.key(ctx.mem, index)?, keys.value(ctx.mem, index)?);
        if key == 0 || to == 0 {
            continue;
        }
        each(Edge {
            to: key,
            label: Label::Member,
        });
        let label = if keys.only_str || is_str(ctx, key) {
            Label::Key(key)
        } else {
            Label::Item(key)
        };
        each(Edge { to, label });
    }
    Some(())
}

/// The names in the table at `keys`, which a type shares among its instances.
pub(crate) fn shared_names<M: Memory>(ctx: Context<'_, M>, keys: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let keys = Keys::read(ctx, keys)?;
    for index in 0..keys.count {
        let to = keys.key(ctx.mem, index)?;
        if to != 0 {
            each(Edge {
                to,
                label: Label::Member,
            });
        }
    }
    Some(())
}

/// The value under the ASCII key `name` in the dict at `dict`.
pub(crate) fn find<M: Memory>(ctx: Context<'_, M>, dict: u64, name: &[u8]) -> Option<u64> {
    let keys = Keys::read(ctx, ctx.address(dict, MA_KEYS)?)?;
    let values = ctx.mem.u64(dict.wrapping_add(MA_VALUES))?;
    if values != 0 {
        let mut found = None;
        Values::read(ctx, values, &keys)?.each(ctx, &keys, |key, value| {
            if found.is_none() && is_text(ctx, key, name) {
                found = Some(value);
            }
        })?;
        return found;
    }
    for index in 0..keys.count {
        let key = keys.key(ctx.mem, index)?;
        if key != 0 && is_text(ctx, key, name) {
            return keys.value(ctx.mem, index).filter(|&value| value != 0);
        }
    }
    None
}

/// Whether the object at `object` is the ASCII string `text`.
fn is_text<M: Memory>(ctx: Context<'_, M>, object: u64, text: &[u8]) -> bool {
    let length = ctx.mem.u64(object.wrapping_add(ctx.layout.unicode.length.into()));
    if length != Some(text.len() as u64) {
        return false;
    }
    let mut found = [0; 32];
    crate::unicode::utf8(ctx.mem, ctx.layout, object, &mut found)
        .is_some_and(|written| found.get(..written.len) == Some(text))
}

/// Bytes of the tables of the dict at `dict`: shared keys count as 0, so do values inside an instance.
pub(crate) fn owned_bytes<M: Memory>(ctx: Context<'_, M>, dict: u64) -> Option<u64> {
    let keys = Keys::read(ctx, ctx.address(dict, MA_KEYS)?)?;
    let values = ctx.mem.u64(dict.wrapping_add(MA_VALUES))?;
    if values != 0 {
        return values_bytes(ctx, values, &keys);
    }
    // The table of empty dicts is shared by all of them, and immortal.
    Some(if keys.references == 1 && keys.slots > 1 {
        keys.bytes()
    } else {
        0
    })
}

/// Bytes of a values object that is a block of its own.
pub(crate) fn values_bytes<M: Memory>(ctx: Context<'_, M>, values: u64, keys: &Keys) -> Option<u64> {
    if !is_plausible(values) {
        return None;
    }
    match ctx.layout.heap.attributes {
        AttributesLayout::DictOnly => Some(keys.capacity().wrapping_mul(8)),
        AttributesLayout::ValuesAndDict | AttributesLayout::ValuesOrDict => {
            let prefix = ctx.mem.u8(values.wrapping_sub(1))?;
            Some(keys.capacity().wrapping_mul(8).wrapping_add(prefix.into()))
        }
        AttributesLayout::Inline => {
            let [capacity, _, embedded, _] = ctx.mem.read::<4>(values)?;
            Some(if embedded == 0 { inline_bytes(capacity) } else { 0 })
        }
    }
}

/// Bytes of a values object of 3.13 and later: a header, the values, and one byte per value for their order.
pub(crate) fn inline_bytes(capacity: u8) -> u64 {
    let capacity = u64::from(capacity);
    capacity
        .wrapping_mul(8)
        .wrapping_add(8)
        .wrapping_add(capacity.next_multiple_of(8))
}
