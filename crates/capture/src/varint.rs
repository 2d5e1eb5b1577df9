//! LEB128 and zigzag: small numbers in few bytes.

/// Longest encoding of a `u64`, in bytes.
pub const MAX_LEN: usize = 10;

/// Maps signed to unsigned so that small magnitudes stay small: 0, -1, 1, -2 become 0, 1, 2, 3.
#[inline(always)]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline(always)]
pub fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Writes `value` at `out[at..]` and returns the end. Where the buffer is too short nothing more is written, and
/// the end returned is past it: callers keep [`MAX_LEN`] bytes free. Up to four bytes are stored at once, so a zero
/// may be left behind the end.
#[inline(always)]
pub fn put(out: &mut [u8], at: usize, value: u64) -> usize {
    if value < 1 << 7 {
        store(out, at, [value as u8]);
        at + 1
    } else if value < 1 << 14 {
        let digits = (value & 0x7f) | 0x80 | (value >> 7) << 8;
        store(out, at, (digits as u16).to_le_bytes());
        at + 2
    } else if value < 1 << 28 {
        let low = (value & 0x7f) | (value & 0x3f80) << 1 | (value & 0x1f_c000) << 2 | (value >> 21) << 24;
        let (more, length) = if value < 1 << 21 { (0x8080, 3) } else { (0x80_8080, 4) };
        store(out, at, ((low | more) as u32).to_le_bytes());
        at + length
    } else {
        put_long(out, at, value)
    }
}

#[cold]
fn put_long(out: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        store(out, at, [value as u8 | 0x80]);
        value >>= 7;
        at += 1;
    }
    store(out, at, [value as u8]);
    at + 1
}

#[inline(always)]
fn store<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = out.get_mut(at..at.wrapping_add(N)) {
        place.copy_from_slice(&bytes);
    }
}

/// Reads a number at `bytes[*at..]` and moves `at` past it; `None` if the bytes end first or it overflows.
#[inline(always)]
pub fn get(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    let mut shift = 0u32;
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = [0; MAX_LEN];
            let end = put(&mut bytes, 0, value);
            let mut at = 0;
            prop_assert_eq!(get(&bytes[..end], &mut at), Some(value));
            prop_assert_eq!(at, end);
        }

        #[test]
        fn zigzag_comes_back(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn an_endless_number_is_refused() {
        assert_eq!(get(&[0xff; 20], &mut 0), None);
        assert_eq!(get(&[0x80], &mut 0), None);
    }
}
