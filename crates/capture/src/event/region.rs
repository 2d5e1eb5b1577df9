//! Amounts of regions.

/// The kind of an amount of a folded region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RegionAmount {
    /// The peak of the live memory that it had allocated.
    Peak = 0,
    /// The peak of the process's heap while it was open.
    HeapPeak = 1,
    /// What it had allocated that was live when it was left.
    Kept = 2,
    /// What it freed of what had been allocated before.
    Freed = 3,
    /// What it had allocated and freed before it was left.
    Churn = 4,
    /// What it had allocated that is live now.
    Live = 5,
}

impl RegionAmount {
    /// The amount with this number on the wire.
    pub fn from_wire(number: u64) -> Option<RegionAmount> {
        use RegionAmount::{Churn, Freed, HeapPeak, Kept, Live, Peak};
        let all = [Peak, HeapPeak, Kept, Freed, Churn, Live];
        all.get(usize::try_from(number).ok()?).copied()
    }
}
