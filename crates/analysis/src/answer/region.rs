//! Regions of a process: plain data.

use super::amount::Amount;

/// What defines where a region begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RegionSource {
    /// The program: `deadweight.region`.
    Program,
    /// The stacks: a function was named (`--region module:function`). Times are as coarse as the recorded allocations,
    /// and calls that follow closely count as one.
    Function,
}

/// All enterings of the regions of one name in one process.
///
/// What a region allocates is what its own thread or task allocates inside it; it stays the region's, whoever frees it.
/// In a sampled run all amounts are unbiased estimates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// As the program calls it, or `module:function`.
    pub name: String,
    /// What defines where it begins and ends.
    pub source: RegionSource,
    /// How often it was entered.
    pub entries: u64,
    /// How many of these were not left before the process ended.
    pub unfinished: u64,
    /// How long all enterings together took, in nanoseconds; one inside another of the same name is part of it.
    pub nanos: u64,
    /// The most that was live at once of what one entering had allocated.
    pub peak: Amount,
    /// The highest heap of the whole process while one was active.
    pub heap_peak: Amount,
    /// What the enterings allocated and was still live when each was left.
    pub kept: Amount,
    /// What they freed of what had been there before. Of a function that is not known, and 0.
    pub freed: Amount,
    /// What they allocated and was freed again before each was left.
    pub churn: Amount,
    /// The longest of them, at most 128: entered and left, nanoseconds of `CLOCK_MONOTONIC`.
    pub spans_nanos: Vec<(u64, u64)>,
}

impl Region {
    /// Bytes that were live when the enterings were left, less those when they were entered, as far as their own
    /// threads and tasks changed that.
    pub fn growth_bytes(&self) -> i64 {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        signed(self.kept.bytes).saturating_sub(signed(self.freed.bytes))
    }

    /// Standard error of [`Region::growth_bytes`], in bytes; 0 in an exact run.
    pub fn growth_error_bytes(&self) -> u64 {
        let variance = self.kept.variance as f64 + self.freed.variance as f64;
        variance.sqrt().round() as u64
    }
}
