//! Regions that may be open at the same time, and what each of them allocates and frees.
//!
//! A block belongs to the region that was current (*marked*) when it was allocated and to all regions around that one,
//! until it is freed, by whatever code. So regions of different threads and tasks do not mix although they are open at
//! the same time. Only the peak of the process's heap is common to all open regions.

use std::collections::BTreeMap;

use deadweight_capture::{Addr, CodeId, Event, RegionAmount, StringId};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::born::Born;
use crate::replay::weight::Weight;
use crate::{Region, RegionSource};

/// Spans that are kept of each name: the longest ones.
const MOST_SPANS: usize = 128;
/// Deepest nesting: a block counts for this number of innermost regions only.
const DEEPEST: usize = 1000;

/// A block or a mapping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Place {
    pub addr: u64,
    pub mapping: bool,
}

impl From<(Addr, bool)> for Place {
    fn from((addr, mapping): (Addr, bool)) -> Place {
        Place { addr: addr.0, mapping }
    }
}

/// A region that was entered and not left.
#[derive(Clone, Debug)]
struct Open {
    outer: u32,
    name: StringId,
    entered: u64,
    /// Rises with each entry.
    order: u64,
    /// Whether it is inside another region of the same name, whose amounts include its own.
    repeated: bool,
    /// What it allocated that is live.
    live: Weight,
    /// The peak of `live`.
    peak: Weight,
    /// The process's highest heap from its entry to the entry of the next region.
    heap_peak: Weight,
    churn: Weight,
    freed: Weight,
    /// Regions inside it that have been left.
    left: Vec<u32>,
}

/// Sums over all regions of one name that have been left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    entries: u64,
    unfinished: u64,
    nanos: u64,
    peak: Weight,
    heap_peak: Weight,
    kept: Weight,
    freed: Weight,
    churn: Weight,
    spans: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Track {
    open: HashMap<u32, Open, FxBuildHasher>,
    /// Numbers of the open ones in the order in which they were entered.
    order: BTreeMap<u64, u32>,
    next_order: u64,
    /// Regions that have been left inside an open one, with the region around each.
    left: HashMap<u32, u32, FxBuildHasher>,
    owners: HashMap<Place, u32, FxBuildHasher>,
    sums: BTreeMap<StringId, Sums>,
    marked: u32,
    /// What a fold's amounts belong to.
    restoring: Restoring,
}

#[derive(Clone, Copy, Debug, Default)]
enum Restoring {
    #[default]
    Nothing,
    Sums(StringId),
    Open(u32),
}

fn raise(highest: &mut Weight, now: Weight) {
    if now.bytes > highest.bytes {
        *highest = now;
    }
}

impl Track {
    /// Sets the region to which the following events belong.
    pub fn mark(&mut self, number: u32) {
        self.marked = number;
    }

    pub fn marked(&self) -> u32 {
        self.marked
    }

    /// A region and the open ones around it, the innermost first.
    fn chain(&self, number: u32) -> impl Iterator<Item = u32> {
        let mut next = number;
        let all = std::iter::from_fn(move || {
            while next != 0 {
                let this = next;
                if let Some(open) = self.open.get(&this) {
                    next = open.outer;
                    return Some(this);
                }
                next = self.left.get(&this).copied().unwrap_or(0);
            }
            None
        });
        all.take(DEEPEST)
    }

    pub fn enter(&mut self, (number, outer): (u32, u32), name: StringId, nanos: u64, live: Weight) {
        // Numbers rise. Anything else is damage, and could make a cycle.
        let outer = if outer < number { outer } else { 0 };
        if number == 0 || self.open.contains_key(&number) || self.left.contains_key(&number) {
            return;
        }
        let repeated = self.chain(outer).any(|around| {
            let around = self.open.get(&around);
            around.is_some_and(|around| around.name == name)
        });
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, number);
        let open = Open {
            outer,
            name,
            entered: nanos,
            order,
            repeated,
            live: Weight::default(),
            peak: Weight::default(),
            heap_peak: live,
            churn: Weight::default(),
            freed: Weight::default(),
            left: Vec::new(),
        };
        self.open.insert(number, open);
    }

    pub fn leave(&mut self, number: u32, nanos: u64) {
        self.end(number, nanos, false);
    }

    fn end(&mut self, number: u32, nanos: u64, unfinished: bool) {
        let Some(mut open) = self.open.remove(&number) else {
            return;
        };
        self.order.remove(&open.order);
        let later = self
            .order
            .range(open.order..)
            .filter_map(|(_, number)| self.open.get(number));
        let heap_peak = later.fold(open.heap_peak, |mut highest, open| {
            raise(&mut highest, open.heap_peak);
            highest
        });
        // Its highest heap is also part of the time of the region entered before it.
        let before = self.order.range(..open.order).next_back().map(|(_, &number)| number);
        if let Some(before) = before.and_then(|before| self.open.get_mut(&before)) {
            raise(&mut before.heap_peak, open.heap_peak);
        }
        let around = self.chain(open.outer).next();
        let mut inside = std::mem::take(&mut open.left);
        match around.and_then(|around| self.open.get_mut(&around)) {
            Some(around) => {
                inside.push(number);
                around.left.append(&mut inside);
                self.left.insert(number, open.outer);
            }
            None => {
                for number in inside {
                    self.left.remove(&number);
                }
            }
        }
        if self.open.is_empty() {
            // Without open regions, owners are not needed.
            self.owners.clear();
        }
        let sums = self.sums.entry(open.name).or_default();
        sums.entries = sums.entries.saturating_add(1);
        sums.unfinished = sums.unfinished.saturating_add(unfinished.into());
        raise(&mut sums.peak, open.peak);
        raise(&mut sums.heap_peak, heap_peak);
        if !open.repeated {
            sums.nanos = sums.nanos.saturating_add(nanos.saturating_sub(open.entered));
            sums.kept.add(open.live);
            sums.freed.add(open.freed);
            sums.churn.add(open.churn);
            sums.span(open.entered, nanos);
        }
    }

    pub fn stop(&mut self, nanos: u64) {
        // The innermost first.
        let numbers: Vec<u32> = self.order.values().rev().copied().collect();
        for number in numbers {
            self.end(number, nanos, true);
        }
    }

    /// Counts something that was allocated inside the marked region.
    pub fn born(&mut self, born: &Born) {
        if self.open.is_empty() {
            return;
        }
        self.owners.remove(&Place::of(born));
        if let Some(newest) = self
            .order
            .values()
            .next_back()
            .and_then(|newest| self.open.get_mut(newest))
        {
            raise(&mut newest.heap_peak, born.live);
        }
        let mut next = self.chain(self.marked).next();
        if next.is_some() {
            self.owners.insert(Place::of(born), self.marked);
        }
        while let Some(open) = next.and_then(|number| self.open.get_mut(&number)) {
            open.live.add(born.weight);
            raise(&mut open.peak, open.live);
            let outer = open.outer;
            next = self.chain(outer).next();
        }
    }

    /// Notes that a block or mapping belongs to a region.
    pub fn own(&mut self, addr: u64, mapping: bool, owner: u32) {
        if owner != 0 {
            self.owners.insert(Place { addr, mapping }, owner);
        }
    }

    /// Removes and gives the region that allocated this block or mapping; 0 if none did.
    pub fn forget(&mut self, addr: u64, mapping: bool) -> u32 {
        self.owners.remove(&Place { addr, mapping }).unwrap_or(0)
    }

    /// Something that was allocated in `owner` has been freed.
    pub fn dead(&mut self, owner: u32, weight: Weight) {
        if self.open.is_empty() {
            return;
        }
        let owners: Vec<u32> = self.chain(owner).collect();
        let freers: Vec<u32> = self
            .chain(self.marked)
            .filter(|number| !owners.contains(number))
            .collect();
        for number in owners {
            if let Some(open) = self.open.get_mut(&number) {
                open.live.take(weight);
                open.churn.add(weight);
            }
        }
        for number in freers {
            if let Some(open) = self.open.get_mut(&number) {
                open.freed.add(weight);
            }
        }
    }

    pub fn sums(&self) -> impl Iterator<Item = (StringId, &Sums)> {
        self.sums.iter().map(|(&name, sums)| (name, sums))
    }

    // ---- folds ----

    pub fn folded(&self, track: u32, code: CodeId, events: &mut Vec<Event<'static>>) {
        let amount = |kind, weight: Weight| Event::RegionAmount {
            kind,
            bytes: weight.bytes,
            milliblocks: weight.milliblocks,
            variance: weight.variance,
        };
        for (&name, sums) in &self.sums {
            events.push(Event::RegionTotals {
                track,
                name,
                entries: sums.entries,
                unfinished: sums.unfinished,
                nanos: sums.nanos,
            });
            events.extend([
                amount(RegionAmount::Peak, sums.peak),
                amount(RegionAmount::HeapPeak, sums.heap_peak),
                amount(RegionAmount::Kept, sums.kept),
                amount(RegionAmount::Freed, sums.freed),
                amount(RegionAmount::Churn, sums.churn),
            ]);
            events.extend(sums.spans.iter().map(|&(first_nanos, last_nanos)| Event::RegionSpan {
                track,
                name,
                first_nanos,
                last_nanos,
            }));
        }
        for number in self.order.values() {
            let Some(open) = self.open.get(number) else { continue };
            events.push(Event::RegionOpen {
                track,
                number: *number,
                outer: open.outer,
                name: open.name,
                entered_nanos: open.entered,
                code,
                repeated: open.repeated,
            });
            events.extend([
                amount(RegionAmount::Peak, open.peak),
                amount(RegionAmount::HeapPeak, open.heap_peak),
                amount(RegionAmount::Freed, open.freed),
                amount(RegionAmount::Churn, open.churn),
                amount(RegionAmount::Live, open.live),
            ]);
        }
        let mut left: Vec<_> = self.left.iter().map(|(&number, &outer)| (number, outer)).collect();
        left.sort_unstable();
        events.extend(
            left.into_iter()
                .map(|(number, outer)| Event::RegionLeft { track, number, outer }),
        );
        let mut owners: Vec<_> = self.owners.iter().map(|(&place, &number)| (place, number)).collect();
        owners.sort_unstable();
        events.extend(owners.into_iter().map(|(place, number)| Event::RegionOwner {
            addr: Addr(place.addr),
            track,
            number,
            mapping: place.mapping,
        }));
    }

    pub fn restore(&mut self, event: &Event<'_>) {
        match *event {
            Event::RegionTotals {
                name,
                entries,
                unfinished,
                nanos,
                ..
            } => {
                self.restoring = Restoring::Sums(name);
                let sums = self.sums.entry(name).or_default();
                (sums.entries, sums.unfinished, sums.nanos) = (entries, unfinished, nanos);
            }
            Event::RegionOpen {
                number,
                outer,
                name,
                entered_nanos,
                repeated,
                ..
            } => {
                self.restoring = Restoring::Open(number);
                self.enter((number, outer), name, entered_nanos, Weight::default());
                if let Some(open) = self.open.get_mut(&number) {
                    open.repeated = repeated;
                }
            }
            Event::RegionAmount {
                kind,
                bytes,
                milliblocks,
                variance,
            } => {
                let weight = Weight {
                    bytes,
                    milliblocks,
                    variance,
                };
                self.restore_amount(kind, weight);
            }
            Event::RegionSpan {
                name,
                first_nanos,
                last_nanos,
                ..
            } => self.sums.entry(name).or_default().span(first_nanos, last_nanos),
            Event::RegionOwner {
                addr, number, mapping, ..
            } => {
                self.owners.insert((addr, mapping).into(), number);
            }
            Event::RegionLeft { number, outer, .. } if outer < number => {
                let around = self.chain(outer).next();
                if let Some(around) = around.and_then(|around| self.open.get_mut(&around)) {
                    around.left.push(number);
                }
                self.left.insert(number, outer);
            }
            _ => {}
        }
    }

    fn restore_amount(&mut self, kind: RegionAmount, weight: Weight) {
        let place = match self.restoring {
            Restoring::Nothing => None,
            Restoring::Sums(name) => self.sums.get_mut(&name).and_then(|sums| match kind {
                RegionAmount::Peak => Some(&mut sums.peak),
                RegionAmount::HeapPeak => Some(&mut sums.heap_peak),
                RegionAmount::Kept => Some(&mut sums.kept),
                RegionAmount::Freed => Some(&mut sums.freed),
                RegionAmount::Churn => Some(&mut sums.churn),
                RegionAmount::Live => None,
            }),
            Restoring::Open(number) => self.open.get_mut(&number).and_then(|open| match kind {
                RegionAmount::Peak => Some(&mut open.peak),
                RegionAmount::HeapPeak => Some(&mut open.heap_peak),
                RegionAmount::Freed => Some(&mut open.freed),
                RegionAmount::Churn => Some(&mut open.churn),
                RegionAmount::Live => Some(&mut open.live),
                RegionAmount::Kept => None,
            }),
        };
        if let Some(place) = place {
            *place = weight;
        }
    }
}

impl Place {
    fn of(born: &Born) -> Place {
        Place {
            addr: born.addr,
            mapping: born.mapping,
        }
    }
}

impl Sums {
    /// Keeps the longest ones.
    fn span(&mut self, first: u64, last: u64) {
        self.spans.push((first, last));
        if self.spans.len() >= 2 * MOST_SPANS {
            self.spans = longest(&self.spans);
        }
    }

    pub fn answer(&self, name: String, source: RegionSource) -> Region {
        Region {
            name,
            source,
            entries: self.entries,
            unfinished: self.unfinished,
            nanos: self.nanos,
            peak: self.peak.amount(),
            heap_peak: self.heap_peak.amount(),
            kept: self.kept.amount(),
            freed: self.freed.amount(),
            churn: self.churn.amount(),
            spans_nanos: longest(&self.spans),
        }
    }
}

/// The longest spans, in the order of time.
fn longest(spans: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut kept = spans.to_vec();
    kept.sort_by_key(|&(first, last)| std::cmp::Reverse(last.saturating_sub(first)));
    kept.truncate(MOST_SPANS);
    kept.sort_unstable();
    kept
}
