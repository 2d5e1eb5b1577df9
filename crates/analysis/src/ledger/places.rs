//! Resident and live bytes by allocator, and the ledger that follows from them.

use deadweight_capture::rss_samples::{AreaKind, ProcessRssSample};

use crate::answer::ledger::Resident;

/// pymalloc passes larger blocks on to the C library (`SMALL_REQUEST_THRESHOLD` of `Objects/obmalloc.c`).
pub(super) const LARGEST_PYMALLOC: u64 = 512;
/// Larger blocks may be mappings of their own (`M_MMAP_THRESHOLD`).
pub(super) const SMALLEST_MAPPED: u64 = 128 << 10;
const PAGE: u64 = 4096;

/// The allocator that a part of the anonymous memory belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The C library's main heap.
    Heap,
    /// Its other arenas.
    MallocArena,
    /// pymalloc's arenas.
    Pymalloc,
    /// Large blocks and mappings.
    Other,
}

impl Place {
    /// The allocator of an area, before pymalloc's arenas are taken out of it.
    pub fn of(kind: AreaKind) -> Option<Place> {
        match kind {
            AreaKind::Heap => Some(Place::Heap),
            AreaKind::MallocArena => Some(Place::MallocArena),
            AreaKind::Anonymous => Some(Place::Other),
            AreaKind::Stack | AreaKind::Deadweight => None,
        }
    }

    /// Bytes that a block of `size` bytes occupies including its allocator's overhead. (glibc: a word in front,
    /// multiples of 16, at least 32; pymalloc: multiples of 16, and 48 bytes at the head of each pool of 4 or 16 KiB.)
    pub fn occupied(self, size: u64) -> u64 {
        match self {
            Place::Pymalloc => {
                let size = size.clamp(1, LARGEST_PYMALLOC).next_multiple_of(16);
                size + size / 256
            }
            Place::Other if size >= SMALLEST_MAPPED => size.saturating_add(16).div_ceil(PAGE).saturating_mul(PAGE),
            _ => size
                .saturating_add(8)
                .checked_next_multiple_of(16)
                .unwrap_or(size)
                .max(32),
        }
    }
}

/// Bytes of one allocator.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Bytes {
    resident: f64,
    python: f64,
    native: f64,
}

impl Bytes {
    fn live(&self) -> f64 {
        self.python + self.native
    }

    fn add(&mut self, other: &Bytes) {
        self.resident += other.resident;
        self.python += other.python;
        self.native += other.native;
    }
}

/// Bytes of each allocator.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Places {
    bytes: [Bytes; 4],
    /// Variance of the live bytes, in bytes squared.
    pub variance: f64,
}

impl Places {
    fn of(&mut self, place: Place) -> &mut Bytes {
        let [heap, arena, pymalloc, other] = &mut self.bytes;
        match place {
            Place::Heap => heap,
            Place::MallocArena => arena,
            Place::Pymalloc => pymalloc,
            Place::Other => other,
        }
    }

    pub fn resident(&mut self, place: Place, bytes: f64) {
        self.of(place).resident += bytes;
    }

    pub fn live(&mut self, place: Place, is_python: bool, bytes: f64) {
        let place = self.of(place);
        *(if is_python {
            &mut place.python
        } else {
            &mut place.native
        }) += bytes;
    }

    pub fn add(&mut self, other: &Places) {
        for (bytes, more) in self.bytes.iter_mut().zip(&other.bytes) {
            bytes.add(more);
        }
        self.variance += other.variance;
    }

    /// Adds the part of the inherited blocks that a forked child has copied: its private pages beyond its own blocks,
    /// but no more than it inherited. Without this, copied blocks of the parent would be called slack in the child.
    pub fn add_copies(&mut self, inherited: &Places, sample: &ProcessRssSample) {
        let mut own = [0.0; 4];
        for area in &sample.areas {
            let [heap, arena, _, other] = &mut own;
            match Place::of(area.kind) {
                Some(Place::Heap) => *heap += area.uss as f64,
                Some(Place::MallocArena) => *arena += area.uss as f64,
                Some(_) => *other += area.uss as f64,
                None => {}
            }
        }
        // pymalloc's arenas lie in the same areas as large blocks: private pages are divided in proportion to resident
        // ones.
        let [.., pymalloc, other] = &self.bytes;
        let both = (pymalloc.resident + other.resident).max(1.0);
        let arenas = own[3] * (pymalloc.resident / both).clamp(0.0, 1.0);
        (own[2], own[3]) = (arenas, own[3] - arenas);
        for ((bytes, from), own) in self.bytes.iter_mut().zip(&inherited.bytes).zip(own) {
            let copied = (own - bytes.live()).min(from.live()).max(0.0);
            let share = copied / from.live().max(1.0);
            bytes.python += from.python * share;
            bytes.native += from.native * share;
        }
    }

    /// Writes the ledger of anonymous memory. Live bytes are estimates and may exceed the resident ones: then they are
    /// scaled down to those.
    pub fn settle(mut self, all: &mut Resident) {
        let [heap, arena, pymalloc, other] = &mut self.bytes;
        // If the estimate is too high in one of the C library's heaps, it is too low in another.
        let mut malloc = *heap;
        malloc.add(arena);
        for bytes in [&mut malloc, &mut *pymalloc, &mut *other] {
            bytes.resident = bytes.resident.max(0.0);
            let fits = (bytes.resident / bytes.live().max(1.0)).min(1.0);
            bytes.python *= fits;
            bytes.native *= fits;
        }
        let slack = |bytes: &Bytes| (bytes.resident - bytes.live()).max(0.0);
        let both = (slack(heap) + slack(arena)).max(1.0);
        let malloc_slack = slack(&malloc).round() as u64;
        let heap_slack = (malloc_slack as f64 * slack(heap) / both).round() as u64;
        all.heap_slack = heap_slack;
        all.arena_slack = malloc_slack.saturating_sub(heap_slack);
        all.pymalloc_slack = slack(pymalloc).round() as u64;
        all.unexplained = all.unexplained.saturating_add(slack(other).round() as u64);
        all.python = (malloc.python + pymalloc.python + other.python).round() as u64;
        all.native = (malloc.native + pymalloc.native + other.native).round() as u64;
        all.error = self.variance.max(0.0).sqrt().round() as u64;
    }
}

/// Adds to a sum of amounts from the capture, which may be anything.
pub(super) fn raise(sum: &mut u64, bytes: u64) {
    *sum = sum.saturating_add(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_and_not_live_is_slack_or_unexplained() {
        let mut places = Places::default();
        places.resident(Place::Heap, 1000.0);
        places.live(Place::Heap, false, 400.0);
        places.live(Place::Heap, true, 100.0);
        places.resident(Place::Pymalloc, 300.0);
        places.live(Place::Pymalloc, true, 250.0);
        places.resident(Place::Other, 90.0);
        places.live(Place::Other, false, 80.0);
        let mut all = Resident::default();
        places.settle(&mut all);
        assert_eq!((all.heap_slack, all.arena_slack, all.pymalloc_slack), (500, 0, 50));
        assert_eq!((all.python, all.native, all.unexplained), (350, 480, 10));
    }

    #[test]
    fn an_estimate_never_exceeds_what_is_resident() {
        let mut places = Places::default();
        places.resident(Place::Heap, 100.0);
        places.live(Place::Heap, false, 150.0);
        places.resident(Place::MallocArena, 100.0);
        places.live(Place::MallocArena, false, 20.0);
        let mut all = Resident::default();
        places.settle(&mut all);
        assert_eq!((all.native, all.heap_slack, all.arena_slack), (170, 0, 30));
        assert_eq!(all.native + all.slack(), 200);
    }

    #[test]
    fn blocks_take_what_their_allocators_round_them_up_to() {
        assert_eq!(Place::Heap.occupied(1), 32);
        assert_eq!(Place::Heap.occupied(24), 32);
        assert_eq!(Place::Heap.occupied(25), 48);
        assert_eq!(Place::Pymalloc.occupied(33), 48);
        assert_eq!(Place::Other.occupied(1 << 20), (1 << 20) + 4096);
        for place in [Place::Heap, Place::MallocArena, Place::Pymalloc, Place::Other] {
            let _ = place.occupied(u64::MAX); // a damaged capture's
        }
    }
}
