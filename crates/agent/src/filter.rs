//! Which addresses may be known to the agent: the question that every `free` asks, answered by one byte.
//!
//! A byte stands for a granule of 512 bytes of address space, modulo the filter's size, and counts the known
//! addresses in it. 0 means that none is known, and `free` goes straight on. A counter that has reached 255 stays
//! there. Reading needs no lock: while an address is known its counter is at least 1.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use crate::os;

const GRANULE_SHIFT: u32 = 9;
/// One counter for each granule of 2 GiB; an untouched page of counters costs nothing.
const COUNTERS: usize = 1 << 22;

static NOTHING: AtomicU8 = AtomicU8::new(0);
static EVERYTHING: AtomicU8 = AtomicU8::new(1);

/// What `free` asks. With a mask of 0 one counter answers for all addresses.
#[repr(C, align(64))]
struct Question {
    counters: AtomicPtr<AtomicU8>,
    mask: AtomicUsize,
}

static QUESTION: Question = Question {
    counters: AtomicPtr::new((&raw const NOTHING).cast_mut()),
    mask: AtomicUsize::new(0),
};

/// The counters themselves, once they are made.
static KNOWN: AtomicPtr<AtomicU8> = AtomicPtr::new(null_mut());

#[inline(always)]
fn granule(address: u64) -> usize {
    (address >> GRANULE_SHIFT) as usize
}

/// Whether `free` must tell the agent of this address.
#[inline(always)]
pub fn is_asked_for(address: u64) -> bool {
    // The mask is read first: it is raised only after the counters are there, and lowered before they change.
    let mask = QUESTION.mask.load(Ordering::Acquire);
    let counters = QUESTION.counters.load(Ordering::Relaxed);
    // SAFETY: `counters` points to at least `mask + 1` counters (see `ask`).
    let counter = unsafe { counters.add(granule(address) & mask) };
    // SAFETY: counters are never unmapped.
    unsafe { &*counter }.load(Ordering::Relaxed) != 0
}

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

/// Sets the question.
pub fn ask(what: Ask) {
    let known = KNOWN.load(Ordering::Relaxed);
    QUESTION.mask.store(0, Ordering::Release);
    let answer: *const AtomicU8 = match what {
        Ask::Nothing => &raw const NOTHING,
        Ask::Known if !known.is_null() => known,
        Ask::Everything | Ask::Known => &raw const EVERYTHING,
    };
    QUESTION.counters.store(answer.cast_mut(), Ordering::Release);
    if what == Ask::Known && !known.is_null() {
        QUESTION.mask.store(COUNTERS - 1, Ordering::Release);
    }
}

/// Makes the counters, or sets them all to zero if they are there. Returns whether there was memory for it.
pub fn clear() -> bool {
    let fresh = os::map_private(COUNTERS);
    let Some(fresh) = fresh else { return false };
    // Old counters are not unmapped: a `free` in another thread may be reading them. That happens once, in a
    // forked child, where they are pages of zeros from then on.
    if let Some(old) = NonNull::new(KNOWN.swap(fresh.as_ptr().cast(), Ordering::Release)) {
        // SAFETY: the old counters are this module's own mapping; as private anonymous memory they read as zero.
        unsafe { os::advise(old.cast(), COUNTERS, libc::MADV_DONTNEED) };
    }
    true
}

#[inline(always)]
fn counter(address: u64) -> Option<&'static AtomicU8> {
    let known = NonNull::new(KNOWN.load(Ordering::Relaxed))?;
    // SAFETY: there are `COUNTERS` counters, a power of two.
    let counter = unsafe { known.add(granule(address) & (COUNTERS - 1)) };
    // SAFETY: counters are never unmapped.
    Some(unsafe { counter.as_ref() })
}

/// Whether the address may be known.
#[inline]
pub fn may_know(address: u64) -> bool {
    counter(address).is_none_or(|counter| counter.load(Ordering::Relaxed) != 0)
}

/// Adds an address; the agent's lock is held.
#[inline]
pub fn add(address: u64) {
    if let Some(counter) = counter(address) {
        counter.store(counter.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }
}

/// Takes an address out; the agent's lock is held.
#[inline]
pub fn remove(address: u64) {
    if let Some(counter) = counter(address) {
        let count = counter.load(Ordering::Relaxed);
        if count != u8::MAX {
            counter.store(count.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_from_its_addition_to_its_removal() {
        assert!(clear());
        ask(Ask::Known);
        assert!(!is_asked_for(0x7f00_1000));
        add(0x7f00_1000);
        add(0x7f00_1010);
        remove(0x7f00_1000);
        assert!(is_asked_for(0x7f00_1010) && may_know(0x7f00_1010));
        remove(0x7f00_1010);
        assert!(!is_asked_for(0x7f00_1010));
        ask(Ask::Everything);
        assert!(is_asked_for(0x1234_5678) && !may_know(0x1234_5678));
        ask(Ask::Nothing);
        assert!(!is_asked_for(0x1234_5678));
    }
}
