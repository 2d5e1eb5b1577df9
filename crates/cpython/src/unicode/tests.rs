use super::*;
use crate::fake::Fake;
use crate::layout::layout_for;
use crate::version::Version;

const OBJECT: u64 = 0x10_0000;
const TYPE: u64 = 0x20_0000;
const DATA: u64 = 0x30_0000;

fn layouts() -> impl Iterator<Item = &'static Layout> {
    (9..=15).map(|minor| {
        layout_for(Version {
            major: 3,
            minor,
            micro: 0,
        })
        .unwrap()
    })
}

/// A string object whose characters are at `DATA`.
fn string(layout: &Layout, state: u32, length: u64, data: &[u8]) -> Fake {
    let mut mem = Fake::default();
    mem.put_u64(OBJECT + 8, TYPE);
    mem.put_u64(field(TYPE, layout.type_object.flags), UNICODE_SUBCLASS);
    mem.put_u64(field(OBJECT, layout.unicode.length), length);
    mem.put(field(OBJECT, layout.unicode.state), &state.to_le_bytes());
    mem.put_u64(field(OBJECT, layout.unicode.data_pointer), DATA);
    mem.put(DATA, data);
    mem
}

const fn state(kind: u32, compact: bool, ascii: bool) -> u32 {
    kind << 2 | (compact as u32) << 5 | (ascii as u32) << 6
}

#[test]
fn strings_that_are_not_compact_are_followed_to_their_data() {
    for layout in layouts() {
        let mem = string(layout, state(2, false, false), 3, &[0x20, 0xac, 0x00, 0xd8, 0x61, 0x00]);
        let mut out = [0; 16];
        assert_eq!(
            utf8(&mem, layout, OBJECT, &mut out),
            Some(Text {
                len: 7,
                truncated: false
            })
        );
        assert_eq!(std::str::from_utf8(&out[..7]), Ok("\u{ac20}\u{fffd}a"));
    }
}

#[test]
fn a_character_that_does_not_fit_is_left_out_whole() {
    for layout in layouts() {
        let mem = string(layout, state(4, false, false), 2, &[0x61, 0, 0, 0, 0x0d, 0xf4, 0x01, 0]);
        for room in 1..5 {
            let mut out = vec![0; room];
            assert_eq!(
                utf8(&mem, layout, OBJECT, &mut out),
                Some(Text {
                    len: 1,
                    truncated: true
                })
            );
        }
        assert_eq!(
            utf8(&mem, layout, OBJECT, &mut [0; 5]),
            Some(Text {
                len: 5,
                truncated: false
            })
        );
    }
}

#[test]
fn strings_that_make_no_sense_are_refused() {
    for layout in layouts() {
        let refused = |mem: &Fake| assert_eq!(utf8(mem, layout, OBJECT, &mut [0; 16]), None);
        // Not ready (kind 0), kinds that do not exist, ASCII of two bytes a character.
        for bad in [
            state(0, false, false),
            state(3, true, false),
            state(5, true, false),
            state(2, true, true),
        ] {
            refused(&string(layout, bad, 1, &[0; 8]));
        }
        // Huge and negative lengths.
        for length in [MAX_LEN + 1, u64::MAX] {
            refused(&string(layout, state(1, false, false), length, &[0; 8]));
        }
        // ASCII that is not; data that is not there.
        refused(&string(layout, state(1, false, true), 1, &[0x80]));
        refused(&string(layout, state(1, false, false), 9, &[0; 8]));
        // No data pointer, a misaligned one.
        for pointer in [0, 0xfff, DATA + 1, u64::MAX - 7] {
            let mut mem = string(layout, state(2, false, false), 1, &[0; 8]);
            mem.put_u64(field(OBJECT, layout.unicode.data_pointer), pointer);
            refused(&mem);
        }
        // Not a string by its type.
        let mut mem = string(layout, state(1, false, true), 1, b"a");
        mem.put_u64(field(TYPE, layout.type_object.flags), !UNICODE_SUBCLASS);
        refused(&mem);
    }
}

#[test]
fn numbers_beyond_unicode_become_the_replacement_character() {
    for layout in layouts() {
        let mem = string(layout, state(4, false, false), 1, &[0xff; 4]);
        let mut out = [0; 3];
        assert_eq!(
            utf8(&mem, layout, OBJECT, &mut out),
            Some(Text {
                len: 3,
                truncated: false
            })
        );
        assert_eq!(&out, "\u{fffd}".as_bytes());
    }
}
