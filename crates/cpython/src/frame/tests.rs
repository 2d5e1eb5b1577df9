use proptest::prelude::*;

use super::*;
use crate::fake::Fake;
use crate::layout::layout_for;
use crate::version::Version;

const TYPE: u64 = 0x10_0000;
const STATE: u64 = 0x20_0000;
const FRAMES: u64 = 0x30_0000;
const CODES: u64 = 0x40_0000;
const CFRAME: u64 = 0x50_0000;

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

fn frame_at(index: u64) -> u64 {
    FRAMES + index * 0x100
}

fn code_at(index: u64) -> u64 {
    CODES + index * 0x100
}

/// What a fake frame is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Running,
    Generator,
    Incomplete,
    Shim,
    Trampoline,
}

/// Frames in a chain, the first on top, each with a code object of its own: its instruction is at offset 20 if it
/// runs and at 2 if it is incomplete.
fn chain(layout: &Layout, kinds: &[Kind]) -> Fake {
    let mut mem = Fake::default();
    put_first(&mut mem, layout, if kinds.is_empty() { 0 } else { frame_at(0) });
    for (index, &kind) in (0..).zip(kinds) {
        let previous = if index + 1 == kinds.len() as u64 {
            0
        } else {
            frame_at(index + 1)
        };
        put_frame(&mut mem, layout, index, kind);
        put_previous(&mut mem, layout, index, previous);
    }
    mem
}

fn put_first(mem: &mut Fake, layout: &Layout, first: u64) {
    match layout.frames {
        FrameChain::Objects(frames) => mem.put_u64(field(STATE, frames.current_frame), first),
        FrameChain::CFrame {
            cframe, current_frame, ..
        } => {
            mem.put_u64(field(STATE, cframe), CFRAME);
            mem.put_u64(field(CFRAME, current_frame), first);
        }
        FrameChain::Direct { current_frame, .. } => mem.put_u64(field(STATE, current_frame), first),
    }
}

fn put_previous(mem: &mut Fake, layout: &Layout, index: u64, previous: u64) {
    let offset = match layout.frames {
        FrameChain::Objects(frames) => frames.back,
        FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } => frames.previous,
    };
    mem.put_u64(field(frame_at(index), offset), previous);
}

fn put_code(mem: &mut Fake, layout: &Layout, index: u64, code: u64) {
    let offset = match layout.frames {
        FrameChain::Objects(frames) => frames.code,
        FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } => frames.code,
    };
    mem.put_u64(field(frame_at(index), offset), code);
}

fn put_frame(mem: &mut Fake, layout: &Layout, index: u64, kind: Kind) {
    let (frame, code) = (frame_at(index), code_at(index));
    mem.put_u64(code + 8, TYPE);
    match layout.frames {
        FrameChain::Objects(frames) => {
            mem.put_u64(field(frame, frames.code), code);
            let last = if kind == Kind::Incomplete {
                -1
            } else {
                20 / i32::from(frames.instruction_unit)
            };
            mem.put(field(frame, frames.last_instruction), &last.to_le_bytes());
        }
        FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. } => {
            let offset = if matches!(kind, Kind::Incomplete | Kind::Trampoline | Kind::Generator) {
                2
            } else {
                20
            };
            let owner = match kind {
                Kind::Generator => 1,
                Kind::Shim => frames.hidden_owners_from,
                _ => 0,
            };
            // An entry shim has no code object: None, with a tag where there are tags.
            let none = 0x9000 | (frames.code_tag & 1);
            mem.put_u64(field(frame, frames.code), if kind == Kind::Shim { none } else { code });
            mem.put_u64(field(frame, frames.instruction), field(code, frames.bytecode) + offset);
            mem.put(field(frame, frames.owner), &[owner]);
            mem.put(field(code, frames.first_traceable), &4_u32.to_le_bytes());
            mem.put_u64(code + 16, if kind == Kind::Trampoline { 3 } else { 40 });
        }
    }
}

/// The walk's outcome and its frames as (index of the code object, offset, incomplete).
fn walked(mem: &Fake, layout: &Layout, room: usize) -> (Walk, Vec<(u64, i32, bool)>) {
    let mut out = vec![RawFrame::default(); room];
    let walk = walk(mem, layout, TYPE, STATE, &mut out);
    let frames = out[..walk.len]
        .iter()
        .map(|frame| ((frame.code - CODES) / 0x100, frame.offset, frame.incomplete));
    (walk, frames.collect())
}

const SOUND: End = End::Complete;

#[test]
fn no_frame_at_all_is_a_complete_walk() {
    for layout in layouts() {
        assert_eq!(
            walked(&chain(layout, &[]), layout, 4).0,
            Walk {
                len: 0,
                truncated: false,
                end: SOUND
            }
        );
    }
}

#[test]
fn frames_come_innermost_first() {
    for layout in layouts() {
        let mem = chain(layout, &[Kind::Running; 3]);
        let expected = vec![(0, 20, false), (1, 20, false), (2, 20, false)];
        assert_eq!(
            walked(&mem, layout, 8),
            (
                Walk {
                    len: 3,
                    truncated: false,
                    end: SOUND
                },
                expected
            )
        );
    }
}

#[test]
fn a_full_buffer_is_truncated_only_if_a_visible_frame_is_missing() {
    for layout in layouts() {
        let mem = chain(layout, &[Kind::Running; 3]);
        assert_eq!(
            walked(&mem, layout, 2).0,
            Walk {
                len: 2,
                truncated: true,
                end: SOUND
            }
        );
        assert_eq!(
            walked(&mem, layout, 0).0,
            Walk {
                len: 0,
                truncated: true,
                end: SOUND
            }
        );
        if layout.minor >= 12 {
            let mem = chain(layout, &[Kind::Running, Kind::Shim]);
            assert_eq!(
                walked(&mem, layout, 1).0,
                Walk {
                    len: 1,
                    truncated: false,
                    end: SOUND
                }
            );
        }
    }
}

#[test]
fn incomplete_frames_are_shown_on_top_only() {
    for layout in layouts().filter(|layout| layout.minor >= 11) {
        let mem = chain(
            layout,
            &[Kind::Incomplete, Kind::Running, Kind::Incomplete, Kind::Generator],
        );
        let expected = vec![(0, 2, true), (1, 20, false), (3, 2, false)];
        assert_eq!(
            walked(&mem, layout, 8),
            (
                Walk {
                    len: 3,
                    truncated: false,
                    end: SOUND
                },
                expected
            )
        );
    }
    for layout in layouts().filter(|layout| layout.minor < 11) {
        let mem = chain(layout, &[Kind::Incomplete, Kind::Running]);
        let expected = vec![(0, -1, true), (1, 20, false)];
        assert_eq!(
            walked(&mem, layout, 8),
            (
                Walk {
                    len: 2,
                    truncated: false,
                    end: SOUND
                },
                expected
            )
        );
    }
}

#[test]
fn shims_and_trampolines_are_never_shown() {
    for layout in layouts().filter(|layout| layout.minor >= 12) {
        let kinds = [
            Kind::Trampoline,
            Kind::Running,
            Kind::Trampoline,
            Kind::Shim,
            Kind::Running,
            Kind::Shim,
        ];
        let mem = chain(layout, &kinds);
        let expected = vec![(1, 20, false), (4, 20, false)];
        assert_eq!(
            walked(&mem, layout, 8),
            (
                Walk {
                    len: 2,
                    truncated: false,
                    end: SOUND
                },
                expected
            )
        );
    }
}

#[test]
fn tags_of_code_pointers_are_ignored_from_3_14_on_only() {
    for layout in layouts() {
        let mut mem = chain(layout, &[Kind::Running]);
        put_code(&mut mem, layout, 0, code_at(0) | 1);
        let end = if layout.minor >= 14 {
            End::Complete
        } else {
            End::BadFrame
        };
        assert_eq!(walked(&mem, layout, 2).0.end, end);
    }
}

#[test]
fn a_cycle_of_visible_frames_fills_the_buffer_and_ends() {
    for layout in layouts() {
        let mut mem = chain(layout, &[Kind::Running; 3]);
        put_previous(&mut mem, layout, 2, frame_at(1));
        assert_eq!(
            walked(&mem, layout, 100).0,
            Walk {
                len: 100,
                truncated: true,
                end: SOUND
            }
        );
    }
}

#[test]
fn a_cycle_of_hidden_frames_is_a_bad_frame() {
    for layout in layouts().filter(|layout| layout.minor >= 12) {
        let mut mem = chain(layout, &[Kind::Running, Kind::Shim, Kind::Shim]);
        put_previous(&mut mem, layout, 2, frame_at(1));
        assert_eq!(
            walked(&mem, layout, 100).0,
            Walk {
                len: 1,
                truncated: false,
                end: End::BadFrame
            }
        );
    }
}

#[test]
fn bad_addresses_end_a_walk_after_the_good_frames() {
    for layout in layouts() {
        for bad in [
            1,
            8,
            0xff8,
            frame_at(1) + 4,
            0x7777_0000,
            u64::MAX,
            0x8000_0000_0000_0000,
        ] {
            let bad_walk = Walk {
                len: 1,
                truncated: false,
                end: End::BadFrame,
            };
            let mut mem = chain(layout, &[Kind::Running; 3]);
            put_previous(&mut mem, layout, 0, bad);
            assert_eq!(walked(&mem, layout, 8).0, bad_walk, "{bad:#x}");
            let mut mem = chain(layout, &[Kind::Running; 3]);
            put_code(&mut mem, layout, 1, bad);
            assert_eq!(walked(&mem, layout, 8).0, bad_walk, "{bad:#x}");
            let mut mem = chain(layout, &[Kind::Running; 3]);
            mem.put_u64(code_at(1) + 8, bad);
            assert_eq!(walked(&mem, layout, 8).0, bad_walk, "{bad:#x}");
        }
        for bad in [0, 1, STATE + 1, u64::MAX] {
            let walk = walk(&Fake::default(), layout, TYPE, bad, &mut [RawFrame::default(); 4]);
            assert_eq!(
                walk,
                Walk {
                    len: 0,
                    truncated: false,
                    end: End::BadFrame
                }
            );
        }
    }
}

#[test]
fn an_instruction_outside_the_bytecode_has_offset_minus_one() {
    for layout in layouts() {
        let (FrameChain::CFrame { frames, .. } | FrameChain::Direct { frames, .. }) = layout.frames else {
            continue;
        };
        let mut mem = chain(layout, &[Kind::Running, Kind::Running]);
        for (instruction, incomplete) in [
            (0, true),
            (field(code_at(0), frames.bytecode) - 2, true),
            (1 << 62, false),
        ] {
            mem.put_u64(field(frame_at(0), frames.instruction), instruction);
            assert_eq!(walked(&mem, layout, 8).1, vec![(0, -1, incomplete), (1, 20, false)]);
        }
    }
}

#[test]
fn an_instruction_number_that_makes_no_sense_has_offset_minus_one() {
    for layout in layouts() {
        let FrameChain::Objects(frames) = layout.frames else {
            continue;
        };
        for last in [-1, -2, i32::MIN, i32::MAX] {
            let mut mem = chain(layout, &[Kind::Running]);
            mem.put(field(frame_at(0), frames.last_instruction), &last.to_le_bytes());
            let offset = if last > 0 && frames.instruction_unit == 1 {
                last
            } else {
                -1
            };
            assert_eq!(walked(&mem, layout, 8).1, vec![(0, offset, offset < 0)]);
        }
    }
}

/// Every address can be read, and what is there is a function of the address: often a plausible address or the type.
struct Noise(u64);

impl Memory for Noise {
    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        let mut state = (addr ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 29;
        let value = match state >> 61 {
            0 => 0,
            1 => state,
            2 | 3 => TYPE,
            _ => (state >> 17) & !7,
        };
        let mut bytes = [0; N];
        for (byte, value) in bytes.iter_mut().zip(value.to_le_bytes().iter().cycle()) {
            *byte = *value;
        }
        Some(bytes)
    }
}

proptest! {
    #[test]
    fn noise_never_panics_and_never_hangs(seed: u64, state: u64, room in 0_usize..200) {
        for layout in layouts() {
            for state in [state, state & 0x7fff_ffff_fff8] {
                let mut out = vec![RawFrame::default(); room];
                let walk = walk(&Noise(seed), layout, TYPE, state, &mut out);
                prop_assert!(walk.len <= room);
                for frame in &out[..walk.len] {
                    prop_assert!(is_plausible(frame.code) && frame.offset >= -1);
                }
                for address in out.iter().map(|frame| frame.code).chain([state, seed]) {
                    let _ = crate::code::identity(&Noise(seed), layout, address);
                    let _ = crate::code::metadata(&Noise(seed), layout, address);
                    let _ = crate::bytes::content(&Noise(seed), layout, address);
                    let _ = crate::runtime::thread_id(&Noise(seed), layout, address);
                    let known = crate::type_object::KnownType::Code;
                    prop_assert!(crate::type_object::check(&Noise(seed), layout, known, address).is_err());
                    if let Ok(runtime) = crate::runtime::Runtime::locate(&Noise(seed), layout, address) {
                        let _ = runtime.is_finalizing(&Noise(seed));
                        let _ = runtime.thread_state(&Noise(seed), layout, state, seed);
                    }
                    let mut text = vec![0; room];
                    if let Some(result) = crate::unicode::utf8(&Noise(seed), layout, address, &mut text) {
                        prop_assert!(std::str::from_utf8(&text[..result.len]).is_ok());
                    }
                }
            }
        }
    }
}
