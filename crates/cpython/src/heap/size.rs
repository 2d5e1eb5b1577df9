//! The size of one object by itself.

use crate::heap::body::{body, str_state};
use crate::heap::lists::GC_HEADER;
use crate::heap::type_fields::{flags, offset};
use crate::heap::{Context, Kind, TypeFacts, dict, instance, sequences};
use crate::memory::Memory;

/// The bytes of one object, without the overhead of its allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes before the object's address: the collector's header, and the words of managed dicts. The allocated block
    /// begins this many bytes before the object.
    pub prefix: u64,
    /// Bytes from the object's address on, in the same block.
    pub body: u64,
    /// Bytes of other blocks that belong to the object alone: items of a list, tables of a dict or a set.
    pub buffers: u64,
}

impl Size {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.prefix.wrapping_add(self.body).wrapping_add(self.buffers)
    }
}

/// Larger sizes are taken for damage, in bytes.
const MAX: u64 = 1 << 46;

/// The size of the object at `object`, whose type has the facts `facts`. `None` if it is implausible.
pub fn shallow<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<Size> {
    let (inline, values) = instance::bytes(ctx, facts, object)?;
    let size = Size {
        prefix: prefix(ctx, facts, object),
        body: with_spare_item(facts, body(ctx, facts, object)?).saturating_add(inline),
        buffers: buffers(ctx, facts, object)?.saturating_add(values),
    };
    (size.prefix < 64 && size.body < MAX && size.buffers < MAX).then_some(size)
}

/// Bytes before the object's address.
#[inline]
pub fn prefix<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> u64 {
    let header = if facts.has_header(ctx, object).unwrap_or(true) {
        GC_HEADER
    } else {
        0
    };
    let managed = match ctx.layout.minor {
        ..=10 => 0,
        11 => flags::MANAGED_DICT,
        _ => flags::MANAGED_DICT | flags::MANAGED_WEAKREF,
    };
    if facts.flags & managed == 0 {
        header
    } else {
        header.wrapping_add(16)
    }
}

/// `body` with the spare item that instances of classes get if they have a variable size. Types, which have one too,
/// are left as `sys.getsizeof` counts them.
const fn with_spare_item(facts: &TypeFacts, body: u64) -> u64 {
    if facts.item_size == 0 || !facts.has(flags::HEAP_TYPE) || matches!(facts.kind, Kind::Type) {
        body
    } else {
        body.saturating_add(facts.item_size).saturating_add(7) & !7
    }
}

/// Bytes of the blocks of a string: characters of one that is not compact, and its other representations.
fn str_buffers<M: Memory>(ctx: Context<'_, M>, object: u64) -> Option<u64> {
    let (kind, compact, ascii) = str_state(ctx, object)?;
    let (layout, heap) = (&ctx.layout.unicode, &ctx.layout.heap);
    let word = |at: u16| ctx.mem.u64(object.wrapping_add(at.into()));
    let mut bytes = 0_u64;
    let mut data = 0;
    if !compact {
        data = word(layout.data_pointer)?;
        if data != 0 {
            bytes = word(layout.length)?.saturating_add(1).saturating_mul(kind);
        }
    }
    if !(compact && ascii) {
        let (length, utf8) = heap.utf8;
        let utf8 = word(utf8)?;
        if utf8 != 0 && utf8 != data {
            bytes = bytes.saturating_add(word(length)?).saturating_add(1);
        }
    }
    if let Some((wide, length)) = heap.wide_string {
        let wide = word(wide)?;
        // A string of 4-byte characters is its own wide string.
        let own = object.wrapping_add(layout.compact_data.into());
        if wide != 0 && wide != data && wide != own {
            let count = if compact && ascii {
                word(layout.length)?
            } else {
                word(length)?
            };
            bytes = bytes.saturating_add(count.saturating_add(1).saturating_mul(4));
        }
    }
    Some(bytes)
}

/// Bytes of other blocks that belong to the object alone.
fn buffers<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> Option<u64> {
    let word = |at: u64| ctx.mem.u64(object.wrapping_add(at));
    Some(match facts.kind {
        // `allocated` items.
        Kind::List => word(32)?.saturating_mul(8),
        Kind::Dict | Kind::DefaultDict | Kind::FrozenDict => dict::owned_bytes(ctx, object)?,
        Kind::OrderedDict => {
            // A table of links, and a link of 32 bytes per entry.
            let links = word(16)?.saturating_mul(32);
            let table = if word(64)? == 0 { 0 } else { word(72)?.saturating_mul(8) };
            dict::owned_bytes(ctx, object)?
                .saturating_add(links)
                .saturating_add(table)
        }
        Kind::Set | Kind::FrozenSet => {
            if word(sequences::SET_TABLE)? == object.wrapping_add(sequences::SET_SMALL_TABLE) {
                0
            } else {
                word(sequences::SET_MASK)?.saturating_add(1).saturating_mul(16)
            }
        }
        Kind::Deque => {
            let used = word(sequences::DEQUE_LEFT_INDEX)?.saturating_add(sequences::length(ctx, object)?);
            used.div_ceil(sequences::DEQUE_BLOCK)
                .max(1)
                .saturating_mul(sequences::DEQUE_BLOCK.wrapping_mul(8).wrapping_add(16))
        }
        Kind::ByteArray => match word(24)? {
            // From 3.15 the buffer is a `bytes` object of its own.
            allocated @ 1.. if ctx.layout.minor >= 15 => allocated.saturating_add(ctx.layout.bytes.basic_size.into()),
            allocated => allocated,
        },
        Kind::Str => str_buffers(ctx, object)?,
        Kind::Type => {
            let flags = word(offset::FLAGS)?;
            let keys = ctx.layout.heap.heap_type.cached_keys;
            if flags & flags::HEAP_TYPE == 0 {
                0
            } else {
                ctx.address(object, keys.into())
                    .and_then(|keys| dict::Keys::read(ctx, keys))
                    .map_or(0, |keys| keys.bytes())
            }
        }
        _ => 0,
    })
}
