//! Whether Python's collector is about to visit all objects.
//!
//! The collector writes to the header of each object that it visits, so a full collection while a child is writing copies
//! every page of the heap. A growing program runs one each time it has grown by a quarter, which is also when snapshots
//! are due. So a snapshot that is due waits for a collection that is near.

use deadweight_cpython::heap::lists::LongLived;

/// A collection is near when new objects since the last one amount to 1/16 of those that survived it (Python collects at 1/4),
const NEAR_PART: u64 = 16;
/// and it matters only if the objects take up more than 1/8 of the resident memory.
const OBJECTS_PART: u64 = 8;
/// Estimated bytes from one tracked object to the next.
const OBJECT_BYTES: u64 = 128;

/// Whether the collector will soon visit so many objects that a child would exceed its budget.
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
