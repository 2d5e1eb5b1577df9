//! Readable memory, and which addresses may be followed.

/// Addresses below this one are never followed.
const LOWEST: u64 = 0x1000;
/// Addresses from here on are never followed: the end of user space on x86-64, less 1 MiB so that an address and a
/// 16-bit offset stay inside it.
const HIGHEST: u64 = 0x7fff_fff0_0000;

/// Readable memory of an interpreter's process.
///
/// In the interpreter's own process `read` is a plain load, and every reader of this crate inlines to loads. For
/// another process it is `pread` on `/proc/PID/mem`.
pub trait Memory {
    /// The `N` bytes at `addr`, or `None` where they cannot be read.
    ///
    /// Readers call it only with addresses derived from a [plausible](is_plausible) one by adding a known offset.
    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]>;

    /// Fills `out` from `addr`; false where that cannot be read (what `out` holds then is unspecified).
    ///
    /// The default reads word by word; an implementation with a cheaper bulk copy should replace it.
    #[inline]
    fn read_into(&self, addr: u64, out: &mut [u8]) -> bool {
        let mut at = addr;
        let mut words = out.chunks_exact_mut(8);
        for word in &mut words {
            match self.read::<8>(at) {
                Some(bytes) => word.copy_from_slice(&bytes),
                None => return false,
            }
            at = at.wrapping_add(8);
        }
        for byte in words.into_remainder() {
            match self.u8(at) {
                Some(value) => *byte = value,
                None => return false,
            }
            at = at.wrapping_add(1);
        }
        true
    }

    /// The byte at `addr`.
    #[inline(always)]
    fn u8(&self, addr: u64) -> Option<u8> {
        self.read::<1>(addr).map(u8::from_le_bytes)
    }

    /// The 16-bit number at `addr`.
    #[inline(always)]
    fn u16(&self, addr: u64) -> Option<u16> {
        self.read::<2>(addr).map(u16::from_le_bytes)
    }

    /// The 32-bit number at `addr`.
    #[inline(always)]
    fn u32(&self, addr: u64) -> Option<u32> {
        self.read::<4>(addr).map(u32::from_le_bytes)
    }

    /// The signed 32-bit number at `addr`.
    #[inline(always)]
    fn i32(&self, addr: u64) -> Option<i32> {
        self.read::<4>(addr).map(i32::from_le_bytes)
    }

    /// The 64-bit number at `addr`.
    #[inline(always)]
    fn u64(&self, addr: u64) -> Option<u64> {
        self.read::<8>(addr).map(u64::from_le_bytes)
    }

    /// The signed 64-bit number at `addr`.
    #[inline(always)]
    fn i64(&self, addr: u64) -> Option<i64> {
        self.read::<8>(addr).map(i64::from_le_bytes)
    }
}

/// Whether `addr` can be the address of an object, a frame or a thread state: a multiple of 8, at least 4096, inside
/// user space.
///
/// ```
/// use deadweight_cpython::is_plausible;
/// assert!(is_plausible(0x7f12_3456_7890));
/// assert!(!is_plausible(0) && !is_plausible(0x7f12_3456_7891) && !is_plausible(0xffff_8000_0000_0000));
/// ```
#[inline(always)]
#[must_use]
pub const fn is_plausible(addr: u64) -> bool {
    // The rotation moves the low three bits to the top: a misaligned address becomes a huge number, so that one
    // comparison checks alignment and both bounds.
    const LOW: u64 = LOWEST >> 3;
    const SPAN: u64 = (HIGHEST >> 3).wrapping_sub(LOW);
    addr.rotate_right(3).wrapping_sub(LOW) < SPAN
}

/// Whether `addr` can be the address of raw data (a string's characters) with elements of `align` bytes (1, 2, 4).
#[inline]
pub(crate) const fn is_plausible_data(addr: u64, align: u64) -> bool {
    addr >= LOWEST && addr < HIGHEST && addr & align.wrapping_sub(1) == 0
}

/// The address of a field.
#[inline(always)]
pub(crate) const fn field(base: u64, offset: u16) -> u64 {
    base.wrapping_add(offset as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn bounds_and_alignment_of_addresses_are_checked() {
        for bad in [
            0,
            8,
            0xff8,
            0x1001,
            0x1004,
            0x7fff_fff0_0000,
            0x8000_0000_0000,
            u64::MAX,
            u64::MAX - 7,
        ] {
            assert!(!is_plausible(bad), "{bad:#x}");
        }
        for good in [0x1000, 0x1008, 0x5555_5555_0000, 0x7fff_ffef_fff8] {
            assert!(is_plausible(good), "{good:#x}");
        }
    }

    #[test]
    fn the_default_bulk_read_agrees_with_single_reads() {
        let mut mem = Fake::default();
        let data: Vec<u8> = (0..29).collect();
        mem.put(0x5003, &data);
        for len in 0..=data.len() {
            let mut out = vec![0; len];
            assert!(mem.read_into(0x5003, &mut out));
            assert_eq!(out, data[..len]);
        }
        assert!(!mem.read_into(0x5003, &mut [0; 30]));
    }
}
