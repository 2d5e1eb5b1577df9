//! Which addresses may be known to the agent: the question that every `free` asks, answered by one byte.
//!
//! A byte stands for a granule of 512 bytes of address space, modulo the number of bytes, and counts the known addresses
//! in it. 0 means that none is known, and `free` goes straight on. A counter that has reached 255 stays there. Reading
//! needs no lock: while an address is known, its counter is at least 1.
//!
//! `free` runs in any thread while another one begins or stops recording. So a table of counters has its own mask in front
//! of it, which never changes, and there is one pointer to the table: whatever table a thread finds, the mask is right for it.

use core::ptr::{NonNull, null_mut};

use super::memory::{self, Mapping, Zeroed};
use super::sync::{AtomicPtr, AtomicU8, Ordering};

const GRANULE_SHIFT: u32 = 9;
/// Counters of the process's filter, a power of two: one for each granule of 2 GiB. An untouched page of counters
/// costs nothing.
const COUNTERS: usize = 1 << 22;

/// Counters by granule. `N` is a power of two.
#[repr(C)]
struct Counters<const N: usize> {
    /// `N - 1`; in a table that is not published yet, 0. With 0 the first counter answers for all addresses.
    mask: usize,
    counts: [AtomicU8; N],
}

// SAFETY: numbers only, of which 0 is one.
unsafe impl<const N: usize> Zeroed for Counters<N> {}

impl<const N: usize> Counters<N> {
    fn count(&self, address: u64) -> Option<&AtomicU8> {
        self.counts.get(granule(address) & (N - 1))
    }
}

/// A table of any number of counters, told by its mask.
type AnyCounters = Counters<1>;

impl AnyCounters {
    /// The table that says this of all addresses.
    const fn constant(count: u8) -> AnyCounters {
        Counters {
            mask: 0,
            counts: [AtomicU8::new(count)],
        }
    }
}

static NOTHING: AnyCounters = AnyCounters::constant(0);
static EVERYTHING: AnyCounters = AnyCounters::constant(1);

/// What `free` is to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Tell of nothing: recording stopped.
    Nothing,
    /// Tell of every block: each `free` is recorded.
    Everything,
    /// Tell of what may be known.
    Known,
}

struct Filter<const N: usize> {
    nothing: &'static AnyCounters,
    everything: &'static AnyCounters,
    /// The table that `free` looks into: one of the two above, or one of `known`'s. Alone on its cache line.
    asked: Aligned<AtomicPtr<AnyCounters>>,
    /// The counters of known addresses, once they are made.
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
        // SAFETY: `ask` stores only tables that stay for ever. A mask is written before its table is published, which the
        // load above acquires, and never again.
        let mask = unsafe { (*table).mask };
        // SAFETY: as above; no reference is made, which would reach the first counter only.
        let first = unsafe { &raw const (*table).counts }.cast::<AtomicU8>();
        // SAFETY: a table has `mask + 1` counters, a power of two.
        let count = unsafe { first.add(granule(address) & mask) };
        // SAFETY: as above; counters are only accessed as atomics.
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
        // SAFETY: the table was just made, and nobody else knows of it.
        unsafe { (*fresh).mask = N - 1 };
        if let Some(old) = NonNull::new(self.known.swap(fresh, Ordering::AcqRel)) {
            // SAFETY: `old` was made here and leaked. Its mask is on the first page, which stays as it is; counters may
            // become 0 at any time.
            unsafe { memory::zero_all_but_first_page(old) };
        }
        true
    }

    #[inline(always)]
    fn count(&self, address: u64) -> Option<&'static AtomicU8> {
        // SAFETY: null, or a table that `clear` made, which stays for ever and is published with its mask.
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

/// Whether `free` must tell the agent of this address.
#[inline(always)]
pub fn is_asked_for(address: u64) -> bool {
    FILTER.is_asked_for(address)
}

/// Sets what `free` asks.
pub fn ask(what: Ask) {
    FILTER.ask(what);
}

/// Makes the counters, or new ones in a forked child, all zero. Returns whether there was memory for it.
pub fn clear() -> bool {
    FILTER.clear()
}

/// Whether the address may be known.
#[inline]
pub fn may_know(address: u64) -> bool {
    FILTER.may_know(address)
}

/// Adds an address; the agent's lock is held.
#[inline]
pub fn add(address: u64) {
    FILTER.add(address);
}

/// Takes an address out; the agent's lock is held.
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
