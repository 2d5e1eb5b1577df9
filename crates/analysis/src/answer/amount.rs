//! An amount of memory.

/// An amount of memory. In a sampled run bytes and blocks are unbiased estimates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amount {
    /// Bytes as the program asked for them.
    pub bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Variance of `bytes`, in bytes squared; 0 in an exact run.
    pub variance: u64,
}

impl Amount {
    /// Standard error of `bytes`, in bytes; 0 in an exact run.
    pub fn error_bytes(&self) -> u64 {
        (self.variance as f64).sqrt().round() as u64
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Amount) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.variance = self.variance.saturating_add(other.variance);
    }
}
