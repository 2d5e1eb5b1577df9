//! A path in a fixed buffer, ended by a NUL byte.

/// Longest path, its NUL byte included.
const BYTES: usize = 1024;

/// A path that is built piece by piece without allocating.
#[derive(Clone, Copy)]
pub struct Path {
    bytes: [u8; BYTES],
    len: usize,
}

impl Path {
    /// The empty path.
    pub const EMPTY: Path = Path {
        bytes: [0; BYTES],
        len: 0,
    };

    /// Appends a piece. If the path gets too long, it is not [whole](Self::is_whole) any more.
    pub fn push(&mut self, piece: &[u8]) {
        let end = self.len.saturating_add(piece.len());
        if let Some(place) = self
            .bytes
            .get_mut(self.len..end.min(BYTES - 1))
            .filter(|place| place.len() == piece.len())
        {
            place.copy_from_slice(piece);
        }
        self.len = end;
    }

    /// Appends a number in decimal, with leading zeros up to `digits` digits.
    pub fn push_number(&mut self, number: u32, digits: usize) {
        let mut text = [b'0'; 10];
        let (mut rest, mut at) = (number, text.len());
        while rest > 0 || text.len() - at < digits.max(1) {
            let Some(digit) = at.checked_sub(1).and_then(|place| text.get_mut(place)) else {
                break;
            };
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
        }
        self.push(text.get(at..).unwrap_or_default());
    }

    /// Whether the path is not empty, and everything that was appended fitted.
    pub fn is_whole(&self) -> bool {
        self.len > 0 && self.len < BYTES
    }

    /// The path with a NUL byte at its end; empty if the path is not whole.
    pub fn with_nul(&self) -> &[u8] {
        if self.is_whole() {
            self.bytes.get(..=self.len).unwrap_or_default()
        } else {
            &[]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_numbers_make_a_path() {
        let mut path = Path::EMPTY;
        path.push(b"/tmp/x.dw/");
        path.push_number(4123, 0);
        path.push(b".");
        path.push_number(0, 0);
        path.push(b".");
        path.push_number(7, 6);
        assert_eq!(path.with_nul(), b"/tmp/x.dw/4123.0.000007\0");
    }

    #[test]
    fn a_path_that_is_too_long_is_none() {
        let mut path = Path::EMPTY;
        path.push(&[b'a'; 1000]);
        assert!(path.is_whole());
        path.push(&[b'a'; 24]);
        assert!(!path.is_whole());
        assert_eq!(path.with_nul(), b"");
    }
}
