//! The filter that every `free` asks whether the agent may know an address: a table of one-byte counters.
//!
//! A counter stands for a granule of 512 bytes of address space, modulo the size of the table, and counts the known addresses
//! in it. If it is 0, no address there is known, and `free` goes straight on. A counter that has reached 255 stays there.
//! Reading needs no lock: while an address is known, its counter is at least 1.
//!
//! `free` may run in any thread while another thread starts or stops the recording. So the mask that belongs to a table is
//! stored in front of its counters and never changes, and the filter is a single atomic pointer to a table: whichever table a
//! thread finds, it finds the right mask with it.

use core::ptr::{NonNull, null_mut};

use super::memory::{self, Mapping, Zeroed};
use super::sync::{AtomicPtr, AtomicU8, Ordering};

const GRANULE_SHIFT: u32 = 9;
/// Number of counters in the process's filter, a power of two: enough for the granules of 2 GiB. Pages of counters that are
/// not touched cost nothing.
const COUNTERS: usize = 1 << 22;

/// Counters by granule. `N` is a power of two.
#[repr(C)]
struct Counters<const N: usize> {
    /// `N - 1`; 0 in a table that is not published yet. With 0, the first counter stands for all addresses.
    mask: usize,
    counts: [AtomicU8; N],
}

// SAFETY: all fields are numbers, for which zero bytes are valid.
unsafe impl<const N: usize> Zeroed for Counters<N> {}

impl<const N: usize> Counters<N> {
    fn count(&self, address: u64) -> Option<&AtomicU8> {
        self.counts.get(granule(address) & (N - 1))
    }
}

/// A table with any number of counters; its mask says how many.
type AnyCounters = Counters<1>;

impl AnyCounters {
    /// A table with one counter for all addresses.
    const fn constant(count: u8) -> AnyCounters {
        Counters {
            mask: 0,
            counts: [AtomicU8::new(count)],
        }
    }
}

static NOTHING: AnyCounters = AnyCounters::constant(0);
static EVERYTHING: AnyCounters = AnyCounters::constant(1);

/// Of which blocks `free` is to tell the agent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// None: recording has stopped.
    Nothing,
    /// All: each `free` is recorded.
    Everything,
    /// Those that the agent may know.
    Known,
}

struct Filter<const N: usize> {
    nothing: &'static AnyCounters,
    everything: &'static AnyCounters,
    /// The table that `free` reads: one of the two above, or one that `clear` has made. Alone on its cache line.
    asked: Aligned<AtomicPtr<AnyCounters>>,
    /// The counters of known addresses; null until `clear` has made them.
    known: AtomicPtr<Counters<N>>,
}

#[repr(align(64))]
struct Aligned<T>(T);

static FILTER: Filter<COUNTERS> = Filter::new(&NOTHING, &EVERYTHING);

#[inline(always)]
fn granule(address: u64) -> usize {
    (address >> GRANULE_SHIFT) as usize
}

impl<const N: usize> Filter<N> {
    const fn new(nothing: &'static AnyCounters, everything: &'static AnyCounters) -> Filter<N> {
        Filter {
            nothing,
            everything,
            asked: Aligned(AtomicPtr::new((&raw const *nothing).cast_mut())),
            known: AtomicPtr::new(null_mut()),
        }
    }

    #[inline(always)]
    fn is_asked_for(&self, address: u64) -> bool {
        let table = self.asked.0.load(Ordering::Acquire);
        // SAFETY: `new` and `ask` store only tables that are never freed. The mask is written before the table is published
        // with `Release`, and never afterwards.
        let mask = unsafe { (*table).mask };
        // SAFETY: as above. No reference is made: it would cover the first counter only.
        let first = unsafe { &raw const (*table).counts }.cast::<AtomicU8>();
        // SAFETY: a table has `mask + 1` counters.
        let count = unsafe { first.add(granule(address) & mask) };
        // SAFETY: as above; counters are accessed as atomics only.
        unsafe { &*count }.load(Ordering::Relaxed) != 0
    }

    fn ask(&self, what: Ask) {
        let table = match what {
            Ask::Nothing => self.nothing,
            Ask::Everything => self.everything,
            Ask::Known => {
                let known = self.known.load(Ordering::Acquire);
                let table = if known.is_null() {
                    (&raw const *self.everything).cast_mut()
                } else {
                    known.cast()
                };
                return self.asked.0.store(table, Ordering::Release);
            }
        };
        self.asked.0.store((&raw const *table).cast_mut(), Ordering::Release);
    }

    /// Makes new counters, all zero. Old ones, of a forked child's parent, stay mapped: a `free` in another thread may be
    /// reading them.
    fn clear(&self) -> bool {
        let Ok(fresh) = Mapping::<Counters<N>>::zeroed(1) else {
            return false;
        };
        let fresh = fresh.leak().as_ptr();
        // SAFETY: the table was just made, and no other thread knows it.
        unsafe { (*fresh).mask = N - 1 };
        if let Some(old) = NonNull::new(self.known.swap(fresh, Ordering::AcqRel)) {
            // SAFETY: `old` was made here and leaked. Its mask is on the first page, which is left as it is; counters may
            // become 0 at any time.
            unsafe { memory::zero_all_but_first_page(old) };
        }
        true
    }

    #[inline(always)]
    fn count(&self, address: u64) -> Option<&'static AtomicU8> {
        // SAFETY: null, or a table that `clear` has made, which is never freed and was published with its mask.
        let known = unsafe { self.known.load(Ordering::Acquire).as_ref() };
        known?.count(address)
    }

    fn may_know(&self, address: u64) -> bool {
        self.count(address)
            .is_none_or(|count| count.load(Ordering::Relaxed) != 0)
    }

    fn add(&self, address: u64) {
        if let Some(count) = self.count(address) {
            count.store(count.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
    }

    fn remove(&self, address: u64) {
        if let Some(place) = self.count(address) {
            let count = place.load(Ordering::Relaxed);
            if count != u8::MAX {
                place.store(count.saturating_sub(1), Ordering::Relaxed);
            }
        }
    }
}

/// Whether `free` must tell the agent about this address.
#[inline(always)]
pub fn is_asked_for(address: u64) -> bool {
    FILTER.is_asked_for(address)
}

/// Sets of which blocks `free` tells the agent.
pub fn ask(what: Ask) {
    FILTER.ask(what);
}

/// Makes the table of counters, all zero, or a new one in a forked child. Returns whether there was memory for it.
pub fn clear() -> bool {
    FILTER.clear()
}

/// Whether the address may be known.
#[inline]
pub fn may_know(address: u64) -> bool {
    FILTER.may_know(address)
}

/// Adds an address. The caller holds the agent's lock.
#[inline]
pub fn add(address: u64) {
    FILTER.add(address);
}

/// Removes an address. The caller holds the agent's lock.
#[inline]
pub fn remove(address: u64) {
    FILTER.remove(address);
}

#[cfg(test)]
mod tests {
    use super::super::sync::testing::{explore, spawn};
    use super::*;
    use std::sync::Arc;

    fn new<const N: usize>() -> Arc<Filter<N>> {
        let [nothing, everything] = [0, 1].map(|count| Box::leak(Box::new(AnyCounters::constant(count))));
        Arc::new(Filter::new(nothing, everything))
    }

    #[test]
    fn an_address_is_known_from_its_addition_to_its_removal() {
        explore(|| {
            let filter = new::<1024>();
            assert!(filter.clear());
            filter.ask(Ask::Known);
            assert!(!filter.is_asked_for(0x7f00_1000));
            filter.add(0x7f00_1000);
            filter.add(0x7f00_1010);
            filter.remove(0x7f00_1000);
            assert!(filter.is_asked_for(0x7f00_1010) && filter.may_know(0x7f00_1010));
            filter.remove(0x7f00_1010);
            assert!(!filter.is_asked_for(0x7f00_1010));
            filter.ask(Ask::Everything);
            assert!(filter.is_asked_for(0x1234_5678) && !filter.may_know(0x1234_5678));
            filter.ask(Ask::Nothing);
            assert!(!filter.is_asked_for(0x1234_5678));
        });
    }

    #[test]
    fn a_count_that_is_full_stays_and_is_asked_for() {
        explore(|| {
            let filter = new::<4>();
            assert!(filter.clear());
            filter.ask(Ask::Known);
            filter.count(8).unwrap().store(u8::MAX - 1, Ordering::Relaxed);
            filter.add(8);
            filter.add(16);
            assert_eq!(filter.count(8).unwrap().load(Ordering::Relaxed), u8::MAX);
            filter.remove(8);
            assert_eq!(filter.count(8).unwrap().load(Ordering::Relaxed), u8::MAX);
        });
    }

    const GRANULE: u64 = 1 << GRANULE_SHIFT;

    /// A filter of four counters that knows an address in the last granule.
    fn filter() -> Arc<Filter<4>> {
        let filter = new::<4>();
        filter.ask(Ask::Nothing);
        assert!(!filter.is_asked_for(0));
        filter.ask(Ask::Everything);
        assert!(filter.is_asked_for(0));
        begin(&filter);
        filter
    }

    fn begin(filter: &Filter<4>) {
        assert!(filter.clear());
        filter.add(3 * GRANULE);
        assert!(!filter.may_know(0) && filter.may_know(3 * GRANULE));
        filter.ask(Ask::Known);
    }

    #[test]
    fn a_thread_that_frees_while_the_recording_stops_or_begins_reads_a_whole_table() {
        explore(|| {
            let filter = filter();
            let other = {
                let filter = Arc::clone(&filter);
                spawn(move || [0, 3].map(|granule| filter.is_asked_for(granule * GRANULE)))
            };
            filter.ask(Ask::Nothing);
            begin(&filter);
            let [unknown, _known_or_stopped] = other.join().unwrap();
            assert!(
                !unknown,
                "no table says so: neither the old one, nor the new one, nor that of a stop"
            );
            assert!(filter.is_asked_for(3 * GRANULE));
        });
    }

    #[test]
    fn a_known_address_is_asked_for_in_whichever_thread_it_is_freed() {
        explore(|| {
            let filter = filter();
            // The thread that starts another has added the address: whoever has a block was given it.
            filter.add(2 * GRANULE);
            let other = {
                let filter = Arc::clone(&filter);
                spawn(move || filter.is_asked_for(2 * GRANULE))
            };
            // A neighbour comes and goes meanwhile, under the agent's lock.
            filter.add(2 * GRANULE + 16);
            filter.remove(2 * GRANULE + 16);
            assert!(other.join().unwrap());
        });
    }
}
