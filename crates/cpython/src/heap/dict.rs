//! Dicts: their keys, their values, and the tables of both.

use crate::heap::Context;
use crate::heap::edges::{Edge, Label};
use crate::heap::types::{flags, offset};
use crate::layout::{AttributesLayout, KeysLayout};
use crate::memory::{Memory, is_plausible};

/// `PyDictObject.ma_keys` and `ma_values`, the same from 3.9 to 3.15.
const MA_KEYS: u64 = 32;
const MA_VALUES: u64 = 40;
/// Tables with more entries are not believed.
const MAX_ENTRIES: u64 = 1 << 32;
/// `dk_kind` of a general table.
const GENERAL: u8 = 0;

/// A table of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// Address of the first entry.
    pub(crate) entries: u64,
    /// How many entries were ever used.
    pub(crate) count: u64,
    /// How many more fit.
    pub(crate) usable: u64,
    /// Bytes an entry.
    pub(crate) stride: u64,
    /// Offset of the key in an entry; the value follows it.
    key: u64,
    /// Whether all keys are strings for sure.
    only_str: bool,
    /// `dk_refcnt`.
    references: u64,
    /// Bytes before the entries.
    before: u64,
    /// How many slots the index has.
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
        // Two thirds of the slots get an entry.
        let entries = self.slots.wrapping_mul(2) / 3;
        entries.wrapping_mul(self.stride).wrapping_add(self.before)
    }

    /// Address of the key of entry `index`.
    #[inline(always)]
    pub(crate) fn key<M: Memory>(&self, mem: &M, index: u64) -> Option<u64> {
        mem.u64(self.entry(index)).filter(|&addr| is_plausible(addr))
    }

    /// Address of the value of entry `index`.
    #[inline(always)]
    fn value<M: Memory>(&self, mem: &M, index: u64) -> Option<u64> {
        mem.u64(self.entry(index).wrapping_add(8))
            .filter(|&addr| is_plausible(addr))
    }

    #[inline(always)]
    fn entry(&self, index: u64) -> u64 {
        self.entries
            .wrapping_add(index.wrapping_mul(self.stride))
            .wrapping_add(self.key)
    }

    /// How many values a split dict has room for.
    #[inline]
    pub(crate) const fn capacity(&self) -> u64 {
        self.count.wrapping_add(self.usable)
    }
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

/// Where the values of the split dict with the values object at `values` begin, and whether the values belong to the
/// instance (3.13 on).
#[inline]
fn split_values<M: Memory>(ctx: Context<'_, M>, values: u64) -> Option<(u64, bool)> {
    match ctx.layout.heap.attributes {
        AttributesLayout::Inline => {
            let embedded = ctx.mem.u8(values.wrapping_add(2))? != 0;
            Some((values.wrapping_add(8), embedded))
        }
        _ => Some((values, false)),
    }
}

/// The references of the dict at `dict`: for each entry the key, and the value under its key.
///
/// The keys of split dicts belong to the type. Values that are inside an instance (3.13 on) belong to that.
#[inline]
pub(crate) fn edges<M: Memory>(ctx: Context<'_, M>, dict: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let keys = Keys::read(ctx, ctx.address(dict, MA_KEYS)?)?;
    let values = ctx.mem.u64(dict.wrapping_add(MA_VALUES))?;
    if values != 0 {
        let (first, embedded) = split_values(ctx, values)?;
        if !embedded && is_plausible(first) {
            for index in 0..keys.count {
                let value = ctx.address(first, index.wrapping_mul(8));
                if let Some(to) = value
                    && let Some(key) = keys.key(ctx.mem, index)
                {
                    each(Edge {
                        to,
                        label: Label::Key(key),
                    });
                }
            }
        }
        return Some(());
    }
    for index in 0..keys.count {
        if let Some(to) = keys.value(ctx.mem, index)
            && let Some(key) = keys.key(ctx.mem, index)
        {
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
    }
    Some(())
}

/// The names in the table at `keys`, which a type shares among its instances.
pub(crate) fn shared_names<M: Memory>(ctx: Context<'_, M>, keys: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let keys = Keys::read(ctx, keys)?;
    for index in 0..keys.count {
        if let Some(to) = keys.key(ctx.mem, index) {
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
    for index in 0..keys.count {
        let Some(key) = keys.key(ctx.mem, index) else { continue };
        let length = ctx.mem.u64(key.wrapping_add(ctx.layout.unicode.length.into()));
        if length != Some(name.len() as u64) {
            continue;
        }
        let mut text = [0; 32];
        let Some(written) = crate::unicode::utf8(ctx.mem, ctx.layout, key, &mut text) else {
            continue;
        };
        if text.get(..written.len) == Some(name) {
            return if values == 0 {
                keys.value(ctx.mem, index)
            } else {
                ctx.address(split_values(ctx, values)?.0, index.wrapping_mul(8))
            };
        }
    }
    None
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

/// Bytes of a values object of 3.13 and later: a header, the values, and a byte a value for their order.
pub(crate) fn inline_bytes(capacity: u8) -> u64 {
    let capacity = u64::from(capacity);
    capacity
        .wrapping_mul(8)
        .wrapping_add(8)
        .wrapping_add(capacity.next_multiple_of(8))
}
