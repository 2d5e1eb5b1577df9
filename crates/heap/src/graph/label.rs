//! The label of an edge in four bytes: what kind it is, whether the collector counts it, and a number.

use deadweight_capture::{EdgeLabel, StringId};

const KIND_BITS: u32 = 4;
const COUNTED: u32 = 1 << KIND_BITS;
const NUMBER_SHIFT: u32 = KIND_BITS + 1;
/// Stands for every number that is too large to be kept.
const LARGEST: u32 = u32::MAX >> NUMBER_SHIFT;

/// What kind of edge it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Attribute = 0,
    Key = 1,
    Item = 2,
    Index = 3,
    Member = 4,
    Local = 5,
    Type = 6,
    Unnamed = 7,
    /// A word in the object's body; the number is its byte offset.
    Word = 8,
}

impl Kind {
    fn from_bits(bits: u32) -> Kind {
        match bits {
            0 => Kind::Attribute,
            1 => Kind::Key,
            2 => Kind::Item,
            3 => Kind::Index,
            4 => Kind::Member,
            5 => Kind::Local,
            6 => Kind::Type,
            7 => Kind::Unnamed,
            _ => Kind::Word,
        }
    }
}

/// A packed label. The order of labels is arbitrary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Label(u32);

impl Label {
    pub fn new(kind: Kind, number: u32, counted: bool) -> Label {
        let number = number.min(LARGEST) << NUMBER_SHIFT;
        Label(number | if counted { COUNTED } else { 0 } | kind as u32)
    }

    /// `None` for a weak reference, which keeps nothing alive, and for the name of a cell, which is no reference.
    pub fn of(label: EdgeLabel, counted: bool) -> Option<Label> {
        let (kind, number) = match label {
            EdgeLabel::Attribute(name) => (Kind::Attribute, name.0),
            EdgeLabel::Key(name) => (Kind::Key, name.0),
            EdgeLabel::Item(text) => (Kind::Item, text.0),
            EdgeLabel::Index(index) => (Kind::Index, index),
            EdgeLabel::Member => (Kind::Member, 0),
            EdgeLabel::Local(name) => (Kind::Local, name.0),
            EdgeLabel::Type => (Kind::Type, 0),
            EdgeLabel::Unnamed(ordinal) => (Kind::Unnamed, ordinal),
            EdgeLabel::Weak | EdgeLabel::Closure(_) => return None,
        };
        Some(Label::new(kind, number, counted))
    }

    pub fn word(offset: u32) -> Label {
        Label::new(Kind::Word, offset, false)
    }

    #[inline]
    pub fn kind(self) -> Kind {
        Kind::from_bits(self.0 & (COUNTED - 1))
    }

    #[inline]
    pub fn counted(self) -> bool {
        self.0 & COUNTED != 0
    }

    /// The number; `None` if it was too large to be kept.
    pub fn number(self) -> Option<u32> {
        Some(self.0 >> NUMBER_SHIFT).filter(|&number| number < LARGEST)
    }

    /// The number as the id of a string.
    pub fn name(self) -> Option<StringId> {
        self.number().map(StringId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_gives_back_what_was_put_in() {
        let cases = [
            (EdgeLabel::Attribute(StringId(7)), Kind::Attribute, 7),
            (EdgeLabel::Key(StringId(8)), Kind::Key, 8),
            (EdgeLabel::Item(StringId(9)), Kind::Item, 9),
            (EdgeLabel::Index(3), Kind::Index, 3),
            (EdgeLabel::Member, Kind::Member, 0),
            (EdgeLabel::Local(StringId(1)), Kind::Local, 1),
            (EdgeLabel::Type, Kind::Type, 0),
            (EdgeLabel::Unnamed(5), Kind::Unnamed, 5),
        ];
        for (edge, kind, number) in cases {
            for counted in [false, true] {
                let label = Label::of(edge, counted).unwrap();
                assert_eq!(
                    (label.kind(), label.number(), label.counted()),
                    (kind, Some(number), counted)
                );
            }
        }
        assert_eq!(Label::of(EdgeLabel::Weak, true), None);
        assert_eq!(Label::of(EdgeLabel::Closure(StringId(2)), false), None);
        assert_eq!(
            (Label::word(24).kind(), Label::word(24).number()),
            (Kind::Word, Some(24))
        );
        assert_eq!(Label::of(EdgeLabel::Index(u32::MAX), true).unwrap().number(), None);
    }
}
