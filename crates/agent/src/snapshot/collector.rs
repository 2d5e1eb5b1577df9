//! When Python's collector will visit all objects.
//!
//! It writes to the header of each object that it visits, so a full collection while a child writes costs a page
//! for every page of the heap. A growing program makes one for each quarter that it grows, just as snapshots are due. So a
//! snapshot that is due waits for a collection that is near.

use deadweight_cpython::heap::lists::LongLived;

/// Near means that this part of the objects that survived the last one has come since: 1/16; it needs 1/4.
const NEAR_PART: u64 = 16;
/// But only where the objects' headers lie in more than this part of the program: 1/8.
const OBJECTS_PART: u64 = 8;
/// Bytes of an ordinary tracked object with its header, and of what lies between it and the next one.
const OBJECT_BYTES: u64 = 128;

/// Whether the collector will soon visit so many objects that a child would have no chance.
pub fn is_near(count: LongLived, resident: u64) -> bool {
    let visited = count.total.saturating_add(count.pending);
    let is_costly = visited.saturating_mul(OBJECT_BYTES) > resident / OBJECTS_PART;
    is_costly && count.pending >= count.total / NEAR_PART
}

#[cfg(test)]
mod tests {
    use super::{LongLived, is_near};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_collection_is_near_when_many_objects_came_since_the_last_one() {
        let near = |total, pending, mib: u64| is_near(LongLived { total, pending }, mib * MIB);
        assert!(near(500_000, 100_000, 100));
        assert!(!near(500_000, 10_000, 100), "it was just made");
        assert!(!near(50_000, 10_000, 1000), "it visits little of the program");
        assert!(near(1000, 150_000, 100), "all of it came since");
        assert!(!near(0, 0, 100), "none was made yet");
        assert!(near(u64::MAX, u64::MAX, 100), "no overflow");
    }
}
