//! `str` objects as UTF-8.

use crate::layout::Layout;
use crate::memory::{Memory, field, is_plausible_data};
use crate::type_object::{UNICODE_SUBCLASS, has_flag};

/// Longer strings are refused, in code points: no name or path is as long.
pub const MAX_LEN: u64 = 1 << 30;

/// Bytes of a string that are read at once.
const BLOCK_BYTES: usize = 256;

/// The outcome of [`utf8`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Number of bytes written; they are valid UTF-8.
    pub len: usize,
    /// Whether the rest of the string did not fit into the buffer.
    pub truncated: bool,
}

/// Writes the `str` object at `object` (or an instance of a subclass) to `out` as UTF-8.
///
/// Lossless except for surrogates, which become U+FFFD. What does not fit is cut off between two characters. `None` if
/// it is not such an object, is longer than [`MAX_LEN`], or is a string of 3.9 to 3.11 that is not "ready".
pub fn utf8<M: Memory>(mem: &M, layout: &Layout, object: u64, out: &mut [u8]) -> Option<Text> {
    if !has_flag(mem, layout, object, UNICODE_SUBCLASS) {
        return None;
    }
    let fields = &layout.unicode;
    let length = mem.u64(field(object, fields.length))?;
    if length > MAX_LEN {
        return None;
    }
    let state = mem.u32(field(object, fields.state))?;
    // From the lowest bit: interned (2), kind (3), compact (1), ascii (1).
    let kind = (state >> 2) & 7;
    let compact = state & 0x20 != 0;
    let ascii = state & 0x40 != 0;
    if ascii && kind != 1 {
        return None;
    }
    let data = match (compact, ascii) {
        (true, true) => field(object, fields.ascii_data),
        (true, false) => field(object, fields.compact_data),
        (false, _) => mem.u64(field(object, fields.data_pointer))?,
    };
    if !is_plausible_data(data, u64::from(kind.max(1))) {
        return None;
    }
    match kind {
        1 if ascii => copy_ascii(mem, data, length, out),
        1 => encode(mem, data, length, out, |[byte]: [u8; 1]| u32::from(byte)),
        2 => encode(mem, data, length, out, |unit: [u8; 2]| {
            u32::from(u16::from_le_bytes(unit))
        }),
        4 => encode(mem, data, length, out, u32::from_le_bytes),
        _ => None,
    }
}

/// ASCII is UTF-8 already. A byte above 127 would break the promise that `out` is UTF-8: such data is refused.
fn copy_ascii<M: Memory>(mem: &M, data: u64, length: u64, out: &mut [u8]) -> Option<Text> {
    let wanted = usize::try_from(length).ok()?;
    let len = wanted.min(out.len());
    let target = out.get_mut(..len)?;
    (mem.read_into(data, target) && target.is_ascii()).then_some(Text {
        len,
        truncated: len < wanted,
    })
}

/// Encodes `length` characters of `N` bytes each.
fn encode<const N: usize, M: Memory>(
    mem: &M,
    data: u64,
    length: u64,
    out: &mut [u8],
    code_point: impl Fn([u8; N]) -> u32,
) -> Option<Text> {
    let mut block = [0; BLOCK_BYTES];
    let mut left = usize::try_from(length).ok()?.checked_mul(N)?;
    let mut at = data;
    let mut len = 0_usize;
    while left > 0 {
        let part = block.get_mut(..left.min(BLOCK_BYTES))?;
        if !mem.read_into(at, part) {
            return None;
        }
        for unit in part.as_chunks::<N>().0 {
            let character = char::from_u32(code_point(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
            let end = len.wrapping_add(character.len_utf8());
            let Some(place) = out.get_mut(len..end) else {
                return Some(Text { len, truncated: true });
            };
            character.encode_utf8(place);
            len = end;
        }
        left = left.wrapping_sub(part.len());
        at = at.wrapping_add(part.len() as u64);
    }
    Some(Text { len, truncated: false })
}

#[cfg(test)]
mod tests;
