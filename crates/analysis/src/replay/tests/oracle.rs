//! The naive twin: copies all that is live at each new maximum.

use std::collections::BTreeMap;

use deadweight_capture::{Addr, Allocator, Event, MapKind, StackId};
use proptest::prelude::*;

use super::{EXACT, id};
use crate::replay::Replay;
use crate::replay::weight::{BLOCK, Recording, Weight, itself};

const PAGES: usize = 48;

/// A page's mapping: its number, so that neighbours stay apart, and what it is.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Page {
    mapping: u32,
    kind: MapKind,
    stack: u32,
}

#[derive(Clone, Debug)]
struct Naive {
    recording: Recording,
    blocks: BTreeMap<u64, (u64, u32, Allocator)>,
    pages: Vec<Option<Page>>,
    mappings: u32,
    allocated: BTreeMap<u32, Weight>,
    gone: bool,
    nanos: u64,
    own_peak: Weight,
    own_peak_nanos: u64,
}

/// Live by stack, and by class.
type Live = (BTreeMap<u32, Weight>, [u64; 3]);

impl Naive {
    fn new(recording: Recording) -> Naive {
        Naive {
            recording,
            blocks: BTreeMap::new(),
            pages: vec![None; PAGES],
            mappings: 0,
            allocated: BTreeMap::new(),
            gone: false,
            nanos: 0,
            own_peak: Weight::default(),
            own_peak_nanos: 0,
        }
    }

    /// Pieces: first page, number of pages, and what they are.
    fn pieces(&self) -> Vec<(usize, usize, Page)> {
        let mut pieces: Vec<(usize, usize, Page)> = Vec::new();
        for (at, page) in self.pages.iter().enumerate() {
            let Some(page) = *page else { continue };
            match pieces.last_mut() {
                Some((start, len, last)) if *start + *len == at && *last == page => *len += 1,
                _ => pieces.push((at, 1, page)),
            }
        }
        pieces
    }

    fn live(&self) -> Live {
        let (mut stacks, mut parts) = (BTreeMap::<u32, Weight>::new(), [0; 3]);
        for &(size, stack, allocator) in self.blocks.values() {
            let weight = self.recording.weigh(size);
            stacks.entry(stack).or_default().add(weight);
            parts[usize::from(!allocator.is_python())] += weight.bytes;
        }
        for (_, len, page) in self.pieces() {
            if page.kind == MapKind::Anonymous {
                stacks.entry(page.stack).or_default().add(itself(len as u64));
                parts[2] += len as u64;
            }
        }
        (stacks, parts)
    }

    fn runs(&self) -> BTreeMap<(u32, u32), u64> {
        let mut runs = BTreeMap::new();
        for (_, _, page) in self.pieces() {
            if page.kind == MapKind::Anonymous {
                *runs.entry((page.mapping, page.stack)).or_default() += 1;
            }
        }
        runs
    }

    fn unmap(&mut self, start: u64, len: u64) -> Vec<Option<Page>> {
        let before = self.runs();
        let range = start as usize..(start + len) as usize;
        let inside = self.pages[range.clone()].to_vec();
        self.pages[range].fill(None);
        for ((mapping, stack), runs) in self.runs() {
            let more = runs.saturating_sub(before[&(mapping, stack)]);
            self.allocated.entry(stack).or_default().milliblocks += more * BLOCK;
        }
        // Each piece is a mapping of its own from now on.
        self.mappings = 0;
        for (start, len, mut page) in self.pieces() {
            self.mappings += 1;
            page.mapping = self.mappings;
            self.pages[start..start + len].fill(Some(page));
        }
        inside
    }

    fn map(&mut self, start: u64, len: u64, kind: MapKind, stack: u32) {
        self.mappings += 1;
        let page = Page {
            mapping: self.mappings,
            kind,
            stack,
        };
        self.pages[start as usize..(start + len) as usize].fill(Some(page));
        if kind == MapKind::Anonymous && len > 0 {
            self.allocated.entry(stack).or_default().add(itself(len));
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if let Event::Clock { nanos } = *event {
            self.nanos = self.nanos.max(nanos);
        }
        if self.gone {
            return;
        }
        match *event {
            Event::Alloc {
                addr,
                size,
                stack,
                allocator,
            } => {
                self.blocks.insert(addr.0, (size, stack.0, allocator));
                let weight = self.recording.weigh(size);
                self.allocated.entry(stack.0).or_default().add(weight);
            }
            Event::Free { addr } => {
                self.blocks.remove(&addr.0);
            }
            Event::Map { addr, len, kind, stack } => {
                self.unmap(addr.0, len);
                self.map(addr.0, len, kind, stack.0);
            }
            Event::Unmap { addr, len } => {
                self.unmap(addr.0, len);
            }
            Event::Remap {
                old,
                old_len,
                new,
                new_len,
                stack,
            } => {
                let kind = self.pages[old.0 as usize].map(|page| page.kind);
                let inside = self.unmap(old.0, old_len);
                self.unmap(new.0, new_len);
                if new_len > old_len {
                    if let Some(kind) = kind {
                        self.map(new.0, new_len, kind, stack.0);
                    }
                } else {
                    self.mappings += 1000;
                    for (at, page) in inside.iter().take(new_len as usize).enumerate() {
                        let moved = |page: Page| Page {
                            mapping: self.mappings + page.mapping,
                            ..page
                        };
                        self.pages[new.0 as usize + at] = page.map(moved);
                    }
                    self.mappings *= 2;
                }
            }
            Event::End { .. } => self.gone = true,
            _ => {}
        }
        let bytes: u64 = self.live().1.iter().sum();
        if bytes > self.own_peak.bytes {
            self.own_peak = sum(self.live().0.values());
            self.own_peak_nanos = self.nanos;
        }
    }
}

fn sum<'a>(weights: impl Iterator<Item = &'a Weight>) -> Weight {
    weights.fold(Weight::default(), |mut sum, &weight| {
        sum.add(weight);
        sum
    })
}

#[derive(Clone, Debug)]
enum Step {
    Event(Event<'static>),
    Later(u64),
    Leave,
}

fn step() -> impl Strategy<Value = Step> {
    let addr = (0u64..12).prop_map(|slot| Addr(slot * 8));
    let stack = (1u32..5).prop_map(StackId);
    let size = prop::sample::select(vec![0u64, 1, 16, 100, 100, 5000, 70_000]);
    let kind = prop::sample::select(vec![MapKind::Anonymous, MapKind::Anonymous, MapKind::File]);
    let allocator = (0u8..4).prop_map(|number| Allocator::from_wire(number).unwrap());
    let range = || (0u64..32, 0u64..8);
    let event = prop_oneof![
        10 => (addr.clone(), size, stack.clone(), allocator)
            .prop_map(|(addr, size, stack, allocator)| Event::Alloc { addr, size, stack, allocator }),
        8 => addr.prop_map(|addr| Event::Free { addr }),
        4 => (range(), kind, stack.clone())
            .prop_map(|((addr, len), kind, stack)| Event::Map { addr: Addr(addr), len, kind, stack }),
        3 => range().prop_map(|(addr, len)| Event::Unmap { addr: Addr(addr), len }),
        3 => (range(), range(), stack).prop_map(|(old, new, stack)| Event::Remap {
            old: Addr(old.0),
            old_len: old.1,
            new: Addr(new.0),
            new_len: new.1,
            stack,
        }),
    ];
    // A process that is gone does nothing more, so that must be rare.
    prop_oneof![
        150 => event.prop_map(Step::Event),
        15 => (1u64..5000).prop_map(Step::Later),
        1 => Just(Step::Event(Event::End { max_rss_bytes: 1 })),
        1 => Just(Step::Leave),
    ]
}

fn recording() -> impl Strategy<Value = Recording> {
    let sampled = Recording {
        exact: false,
        interval_bytes: 4096,
        always_bytes: 65_536,
    };
    prop::sample::select(vec![EXACT, sampled])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_replay_agrees_with_copying_everything_at_each_maximum(
        recordings in prop::collection::vec(recording(), 3),
        steps in prop::collection::vec((0usize..3, step()), 1..150),
    ) {
        let mut replay = Replay::default();
        let mut naive: Vec<Naive> = Vec::new();
        for (pid, &recording) in recordings.iter().enumerate() {
            replay.add(id(pid as u32), recording);
            naive.push(Naive::new(recording));
        }
        let (mut now, mut highest) = (1000, 0);
        let mut at_peak: Vec<Live> = vec![Live::default(); 3];
        let mut peak_nanos = 0;
        for (process, step) in &steps {
            match step {
                Step::Event(event) => {
                    replay.event(*process, event);
                    naive[*process].event(event);
                }
                Step::Later(nanos) => {
                    now += nanos;
                    replay.event(*process, &Event::Clock { nanos: now });
                    naive[*process].event(&Event::Clock { nanos: now });
                }
                Step::Leave => {
                    replay.leave(*process);
                    naive[*process].gone = true;
                }
            }
            let live: Vec<Live> = naive
                .iter()
                .map(|naive| if naive.gone { Live::default() } else { naive.live() })
                .collect();
            let total: u64 = live.iter().flat_map(|live| live.1).sum();
            if total > highest {
                highest = total;
                at_peak = live;
                peak_nanos = naive[*process].nanos;
            }
        }
        let peak = replay.peak();
        let parts: [u64; 3] = std::array::from_fn(|part| at_peak.iter().map(|live| live.1[part]).sum());
        let composition = peak.composition;
        prop_assert_eq!(
            [composition.python_bytes, composition.native_bytes, composition.mapped_bytes],
            parts
        );
        prop_assert_eq!(peak.nanos, peak_nanos);
        let all = at_peak.iter().flat_map(|live| live.0.values());
        prop_assert_eq!(peak.heap, sum(all).amount());
        for (index, naive) in naive.iter().enumerate() {
            let process = replay.process(index).unwrap();
            prop_assert_eq!(process.own_peak, naive.own_peak);
            prop_assert_eq!(process.own_peak_nanos, naive.own_peak_nanos);
            let end = naive.live().0;
            for stack in 0..6u32 {
                let cell = process.cells().get(stack as usize).copied().unwrap_or_default();
                let of = |map: &BTreeMap<u32, Weight>| map.get(&stack).copied().unwrap_or_default();
                prop_assert_eq!(cell.live, of(&end));
                prop_assert_eq!(cell.allocated, of(&naive.allocated));
                prop_assert_eq!(replay.tree().at_peak(&cell, process.is_gone()), of(&at_peak[index].0));
            }
        }
    }
}
