//! Foreign bytes: no reader may panic or run for ever on them.

use core::ops::ControlFlow;

use super::*;
use crate::layout::layout_for;
use crate::memory::field;
use crate::version::Version;

const MINORS: [u8; 7] = [9, 10, 11, 12, 13, 14, 15];

fn layout(minor: u8) -> &'static Layout {
    layout_for(Version {
        major: 3,
        minor,
        micro: 0,
    })
    .unwrap()
}

/// Memory in which everything can be read, a given number of times: a mixture of small numbers and of addresses.
struct Noise {
    seed: u64,
    left: core::cell::Cell<u64>,
}

impl Memory for Noise {
    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        self.left.set(self.left.get().checked_sub(1)?);
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let at = addr.wrapping_add(at as u64);
            let mixed = ((at / 8) ^ self.seed)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
            let word = match mixed % 4 {
                0 => mixed >> 60,
                1 => mixed >> 8,
                _ => 0x10_0000 + (mixed >> 52) * 8,
            };
            *byte = word.to_le_bytes()[(at % 8) as usize];
        }
        Some(bytes)
    }
}

#[test]
fn noise_is_read_without_a_panic_and_ends() {
    for seed in 0..400 {
        for minor in MINORS {
            let mem = Noise {
                seed,
                left: core::cell::Cell::new(20_000),
            };
            // Each kind gets its turn: the type of some object is taken for the exported one.
            let target = seed as usize % known::SYMBOLS.len();
            let mut index = 0;
            let known = Known::resolve(|_| {
                index += 1;
                (index - 1 == target).then_some(0x10_0008)
            });
            let ctx = Context {
                mem: &mem,
                layout: layout(minor),
                known: &known,
            };
            for object in [0x10_0008, 0x10_0100, 0x10_4000, 7] {
                if let Some(facts) = TypeFacts::read(ctx, object) {
                    edges::named(ctx, &facts, object, &mut |_| ());
                    size::shallow(ctx, &facts, object);
                    facts.has_header(ctx, object);
                }
                names::type_name(ctx, object, &mut [0; 40]);
                variables::frame(ctx, object, &mut |_| ());
                threads::frames(ctx, object, |_| ());
                lists::tracked(&mem, ctx.layout, object, 1000, |_| ControlFlow::Continue(()));
                refcount::read(&mem, ctx.layout, object);
                closure_name(ctx, object, 1);
                closure(ctx, object, &mut |_, _| ());
            }
        }
    }
}

#[test]
fn every_kind_ends_on_noise() {
    for minor in MINORS {
        for seed in 0..60 {
            for (_, kind) in known::SYMBOLS {
                let mem = Noise {
                    seed,
                    left: core::cell::Cell::new(5_000),
                };
                let known = Known::resolve(|_| None);
                let ctx = Context {
                    mem: &mem,
                    layout: layout(minor),
                    known: &known,
                };
                let Some(mut facts) = TypeFacts::read(ctx, 0x10_0100) else {
                    continue;
                };
                facts.kind = *kind;
                edges::named(ctx, &facts, 0x10_0200, &mut |_| ());
                size::shallow(ctx, &facts, 0x10_0200);
            }
        }
    }
}

#[test]
fn a_ring_with_a_wrong_link_back_is_broken() {
    for minor in MINORS {
        let layout = layout(minor);
        let gc = 0x1_0000;
        let mut mem = crate::fake::Fake::default();
        let rings = layout.heap.gc.generations.iter().chain([&layout.heap.gc.permanent]);
        for head in rings {
            let head = field(gc, *head);
            mem.put_u64(head, head);
            mem.put_u64(head + 8, head);
        }
        let found = |mem: &crate::fake::Fake| {
            let mut objects = Vec::new();
            let end = lists::tracked(mem, layout, gc, 10, |object| {
                objects.push(object);
                ControlFlow::Continue(())
            });
            (objects, end)
        };
        assert_eq!(found(&mem), (vec![], lists::End::Complete));
        // Two objects in the second ring, with flags in the links.
        let head = field(gc, layout.heap.gc.generations[1]);
        let (first, second) = (0x2_0000, 0x2_0100);
        for (at, next, back) in [
            (head, first, second),
            (first, second | 1, head | 2),
            (second, head, first | 3),
        ] {
            mem.put_u64(at, next);
            mem.put_u64(at + 8, back);
        }
        assert_eq!(found(&mem), (vec![first + 16, second + 16], lists::End::Complete));
        mem.put_u64(second + 8, head);
        assert_eq!(found(&mem), (vec![first + 16], lists::End::Broken));
        mem.put_u64(first, first);
        assert_eq!(found(&mem).1, lists::End::Broken);
    }
}

#[test]
fn counts_of_the_collector_are_read_where_they_are_known() {
    for minor in MINORS {
        let (layout, gc) = (layout(minor), 0x1_0000);
        let mut mem = crate::fake::Fake::default();
        assert_eq!(lists::long_lived(&mem, layout, gc), None);
        mem.put_u64(gc + 224, 1000);
        mem.put_u64(gc + 232, 70);
        let known = (minor <= 13).then_some(lists::LongLived {
            total: 1000,
            pending: 70,
        });
        assert_eq!(lists::long_lived(&mem, layout, gc), known);
    }
}

#[test]
fn no_two_symbols_are_the_same() {
    for (index, (symbol, _)) in known::SYMBOLS.iter().enumerate() {
        assert!(known::SYMBOLS[..index].iter().all(|(other, _)| other != symbol));
    }
}
