//! Amounts of regions.

/// What an amount of a folded region is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RegionAmount {
    /// The most that was live at once of what it allocated.
    Peak = 0,
    /// The process's heap at its highest meanwhile.
    HeapPeak = 1,
    /// What it allocated and was live when it was left.
    Kept = 2,
    /// What it freed of what had been there before.
    Freed = 3,
    /// What it allocated and was freed before it was left.
    Churn = 4,
    /// What it allocated and is live now.
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
