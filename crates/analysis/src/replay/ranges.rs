//! The mapped ranges of one process.

use std::collections::BTreeMap;

use deadweight_capture::{MapKind, StackId};

/// A mapped range with one origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    pub start: u64,
    pub end: u64,
    pub kind: MapKind,
    pub stack: StackId,
}

impl Piece {
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What a cut did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    /// The pieces that it touched, as they were before.
    pub before: Vec<Piece>,
    /// What is left of them.
    pub after: Vec<Piece>,
    /// What was cut out.
    pub inside: Vec<Piece>,
}

/// Pieces that do not overlap, by start address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    pieces: BTreeMap<u64, Piece>,
}

impl Ranges {
    /// All pieces by address.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.values()
    }

    /// The piece at this address.
    pub fn at(&self, addr: u64) -> Option<Piece> {
        let (_, &piece) = self.pieces.range(..=addr).next_back()?;
        (addr < piece.end).then_some(piece)
    }

    /// Adds a piece whose range must be free. An empty piece is ignored.
    pub fn insert(&mut self, piece: Piece) {
        if piece.start < piece.end {
            self.pieces.insert(piece.start, piece);
        }
    }

    /// Removes everything in `start..end`, splitting pieces if necessary.
    pub fn cut(&mut self, start: u64, end: u64) -> Cut {
        let mut cut = Cut::default();
        if start >= end {
            return cut;
        }
        if let Some(first) = self.at(start) {
            cut.before.push(first);
        }
        let following = self.pieces.range(start..end).map(|(_, &piece)| piece);
        cut.before.extend(following.filter(|piece| piece.start > start));
        for &piece in &cut.before {
            self.pieces.remove(&piece.start);
            let left = Piece {
                end: start.min(piece.end),
                ..piece
            };
            let right = Piece {
                start: end.max(piece.start),
                ..piece
            };
            cut.after
                .extend([left, right].into_iter().filter(|rest| rest.start < rest.end));
            cut.inside.push(Piece {
                start: piece.start.max(start),
                end: piece.end.min(end),
                ..piece
            });
        }
        for &piece in &cut.after {
            self.pieces.insert(piece.start, piece);
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(start: u64, end: u64, stack: u32) -> Piece {
        Piece {
            start,
            end,
            kind: MapKind::Anonymous,
            stack: StackId(stack),
        }
    }

    #[test]
    fn a_hole_in_the_middle_leaves_two_pieces() {
        let mut ranges = Ranges::default();
        ranges.insert(piece(10, 40, 1));
        let cut = ranges.cut(20, 30);
        assert_eq!(cut.before, [piece(10, 40, 1)]);
        assert_eq!(cut.after, [piece(10, 20, 1), piece(30, 40, 1)]);
        assert_eq!(cut.inside, [piece(20, 30, 1)]);
    }

    #[test]
    fn an_empty_cut_touches_nothing() {
        let mut ranges = Ranges::default();
        ranges.insert(piece(10, 40, 1));
        assert!(ranges.cut(20, 20).before.is_empty());
        assert!(ranges.cut(40, 50).before.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_of_single_pages(
            steps in prop::collection::vec((0u64..64, 0u64..32, prop::bool::ANY), 1..60)
        ) {
            let mut ranges = Ranges::default();
            let mut pages = [0u32; 128];
            for (number, &(start, len, map)) in steps.iter().enumerate() {
                let stack = number as u32 + 1;
                let before: u64 = ranges.iter().map(Piece::len).sum();
                let cut = ranges.cut(start, start + len);
                let inside: u64 = cut.inside.iter().map(Piece::len).sum();
                prop_assert_eq!(ranges.iter().map(Piece::len).sum::<u64>() + inside, before);
                if map {
                    ranges.insert(piece(start, start + len, stack));
                }
                for page in &mut pages[start as usize..(start + len) as usize] {
                    *page = if map { stack } else { 0 };
                }
                for (page, &owner) in pages.iter().enumerate() {
                    prop_assert_eq!(ranges.at(page as u64).map_or(0, |piece| piece.stack.0), owner);
                }
            }
        }
    }
}
