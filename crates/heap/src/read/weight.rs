//! How many bytes a recorded block stands for.
//!
//! In a sampled run a block of `s` bytes is recorded with probability `p = 1 - exp(-s / interval)`, so a recorded one
//! stands for `s / p` bytes. Blocks from `always_bytes` on, and all blocks of an exact run, stand for themselves.

/// Larger sizes do not exist, but a damaged file may claim them, and sums must not overflow.
pub(crate) const LARGEST_SIZE: u64 = 1 << 56;

/// How the process was recorded: everything, or a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Recording {
    pub exact: bool,
    pub interval_bytes: u64,
    pub always_bytes: u64,
}

impl Recording {
    /// Bytes that a block of this size stands for.
    pub fn weigh(&self, size: u64) -> u64 {
        let size = size.min(LARGEST_SIZE);
        if self.exact || self.interval_bytes == 0 || size >= self.always_bytes {
            return size;
        }
        let probability = -(-(size.max(1) as f64) / self.interval_bytes as f64).exp_m1();
        ((size as f64 / probability).round() as u64).min(LARGEST_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sampled_blocks_stand_for_the_interval_and_large_ones_for_themselves() {
        let sampled = Recording {
            exact: false,
            interval_bytes: 65_536,
            always_bytes: 1 << 18,
        };
        assert!((65_536..65_700).contains(&sampled.weigh(100)));
        assert_eq!(sampled.weigh(1 << 18), 1 << 18);
        assert_eq!(sampled.weigh(0), 0);
        assert_eq!(sampled.weigh(u64::MAX), LARGEST_SIZE);
        assert_eq!(Recording::default().weigh(100), 100);
    }
}
