//! Finds the line of an instruction by its byte offset, for each encoding of CPython 3.9 to 3.15.
//!
//! Sources: CPython's `Objects/lnotab_notes.txt` (3.9, 3.10) and `InternalDocs/code_objects.md` (3.11 and later).

/// How a code object's table of lines is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum LineTableKind {
    /// `co_lnotab` of 3.9: pairs of byte step and signed line step.
    Lnotab = 0,
    /// `co_linetable` of 3.10: pairs of range length and signed line step, -128 meaning "no line".
    Ranges = 1,
    /// `co_linetable` of 3.11 and later: entries of variable length that cover columns too.
    Locations = 2,
}

impl LineTableKind {
    /// The kind with this number on the wire.
    pub fn from_wire(number: u64) -> Option<LineTableKind> {
        match number {
            0 => Some(LineTableKind::Lnotab),
            1 => Some(LineTableKind::Ranges),
            2 => Some(LineTableKind::Locations),
            _ => None,
        }
    }

    /// Its number on the wire.
    pub fn to_wire(self) -> u8 {
        self as u8
    }
}

/// A code object's table of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineTable<'a> {
    /// How `bytes` is encoded.
    pub kind: LineTableKind,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// The table as the interpreter has it; foreign bytes.
    pub bytes: &'a [u8],
}

impl LineTable<'_> {
    /// The line of the instruction at this byte offset; `None` if the compiler gave it no line, or the table ends
    /// before it. A frame that has not started (offset -1) is at the first line.
    pub fn line(&self, offset: i32) -> Option<u32> {
        let Ok(offset) = u64::try_from(offset) else {
            return Some(self.first_line);
        };
        match self.kind {
            LineTableKind::Lnotab => self.line_in_lnotab(offset),
            LineTableKind::Ranges => self.line_in_ranges(offset),
            LineTableKind::Locations => self.line_in_locations(offset),
        }
    }

    fn line_in_lnotab(&self, offset: u64) -> Option<u32> {
        let (mut at, mut line) = (0u64, i64::from(self.first_line));
        for pair in self.bytes.chunks_exact(2) {
            let &[step, lines] = pair else { return None };
            at += u64::from(step);
            if at > offset {
                break;
            }
            line += i64::from(lines as i8);
        }
        u32::try_from(line).ok()
    }

    fn line_in_ranges(&self, offset: u64) -> Option<u32> {
        let (mut end, mut line) = (0u64, i64::from(self.first_line));
        for pair in self.bytes.chunks_exact(2) {
            let &[length, lines] = pair else { return None };
            let start = end;
            end += u64::from(length);
            let lines = lines as i8;
            if lines != i8::MIN {
                line += i64::from(lines);
            }
            if start <= offset && offset < end {
                return if lines == i8::MIN {
                    None
                } else {
                    u32::try_from(line).ok()
                };
            }
        }
        None
    }

    fn line_in_locations(&self, offset: u64) -> Option<u32> {
        const NO_LOCATION: u8 = 15;
        let (mut end, mut line, mut at) = (0u64, i64::from(self.first_line), 0usize);
        while let Some(&head) = self.bytes.get(at) {
            at += 1;
            let code = (head >> 3) & 15;
            end += 2 * (u64::from(head & 7) + 1);
            match code {
                // Long form and "no columns": the line step is a signed number of six-bit digits.
                13 | 14 => line = line.wrapping_add(signed_number(self.bytes, &mut at)?),
                10..=12 => line = line.wrapping_add(i64::from(code) - 10),
                _ => {}
            }
            if offset < end {
                return if code == NO_LOCATION {
                    None
                } else {
                    u32::try_from(line).ok()
                };
            }
            // Only the first byte of an entry has its top bit set.
            while self.bytes.get(at).is_some_and(|byte| byte & 0x80 == 0) {
                at += 1;
            }
        }
        None
    }
}

/// Six bits a byte, lowest first, bit 6 = more follows; the lowest bit of the whole is the sign.
fn signed_number(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let (mut value, mut shift) = (0u64, 0u32);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x3f).checked_shl(shift)?;
        shift += 6;
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = (value >> 1) as i64;
    Some(if value & 1 == 1 { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(kind: LineTableKind, bytes: &[u8]) -> LineTable<'_> {
        LineTable {
            kind,
            first_line: 10,
            bytes,
        }
    }

    #[test]
    fn lnotab_steps_forward_and_back() {
        let lines = table(LineTableKind::Lnotab, &[0, 1, 6, 2, 4, 0xff]);
        assert_eq!(
            [0, 4, 6, 8, 10].map(|offset| lines.line(offset)),
            [11, 11, 13, 13, 12].map(Some)
        );
    }

    #[test]
    fn ranges_may_have_no_line() {
        let lines = table(LineTableKind::Ranges, &[4, 1, 2, 0x80, 4, 2]);
        assert_eq!(
            [0, 2, 4, 6, 8].map(|offset| lines.line(offset)),
            [Some(11), Some(11), None, Some(13), Some(13)]
        );
        assert_eq!(lines.line(10), None);
    }

    #[test]
    fn locations_of_every_form() {
        // no columns +1 (2 units), short form (1 unit), one line later (1 unit), none (1 unit), long form -2 (1 unit)
        let bytes = [
            0x80 | 13 << 3 | 1,
            2,
            0x80,
            0,
            0x80 | 11 << 3,
            0,
            0,
            0x80 | 15 << 3,
            0x80 | 14 << 3,
            5,
            0,
            0,
            0,
        ];
        let lines = table(LineTableKind::Locations, &bytes);
        assert_eq!(
            [0, 2, 4, 6, 8, 10].map(|offset| lines.line(offset)),
            [Some(11), Some(11), Some(11), Some(12), None, Some(10)]
        );
    }

    #[test]
    fn a_frame_that_has_not_started_is_at_its_first_line() {
        assert_eq!(table(LineTableKind::Locations, &[]).line(-1), Some(10));
    }

    #[test]
    fn a_line_beyond_all_numbers_is_none() {
        // A step from line 10 to line 2^63 - 1, then one line more.
        let mut bytes = vec![0x80 | 13 << 3, 0x6a];
        bytes.extend([0x7f; 9]);
        bytes.extend([0x0f, 0x80 | 11 << 3, 0, 0]);
        assert_eq!(table(LineTableKind::Locations, &bytes).line(2), None);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>, kind in 0u64..3, offset: i32) {
            table(LineTableKind::from_wire(kind).unwrap(), &bytes).line(offset);
        }
    }
}
