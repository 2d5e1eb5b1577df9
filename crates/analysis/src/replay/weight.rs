//! How much a recorded block stands for.
//!
//! In a sampled run a block of `s` bytes is recorded with probability `p = 1 - exp(-s / interval)`, so a recorded one
//! stands for `s / p` bytes and `1 / p` blocks (Horvitz and Thompson 1952), and adds `s² (1 - p) / p²` to the estimate
//! of the variance of any sum that it is part of. Blocks from `always_bytes` on are always recorded and stand for
//! themselves, and so does every block of an exact run.
//!
//! The three numbers are rounded once for each block, to whole bytes, thousandths of a block and whole square bytes.
//! All sums are then sums of integers: the same in every order, and what goes in with an Alloc comes out with its
//! Free. The rounding is below 1/1000 of a block, and below 1/100 000 of the bytes for intervals of 64 KiB and more.

use crate::Amount;

/// A block in thousandths.
pub(crate) const BLOCK: u64 = 1000;

/// Larger sizes do not exist; a damaged file may claim them, and sums must stay meaningful.
const LARGEST_SIZE: u64 = 1 << 56;

/// An amount that can be added and taken away without any loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Weight {
    pub bytes: u64,
    pub milliblocks: u64,
    pub variance: u64,
}

impl Weight {
    #[inline(always)]
    pub fn add(&mut self, other: Weight) {
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.milliblocks = self.milliblocks.wrapping_add(other.milliblocks);
        self.variance = self.variance.wrapping_add(other.variance);
    }

    #[inline(always)]
    pub fn take(&mut self, other: Weight) {
        self.bytes = self.bytes.wrapping_sub(other.bytes);
        self.milliblocks = self.milliblocks.wrapping_sub(other.milliblocks);
        self.variance = self.variance.wrapping_sub(other.variance);
    }

    pub fn is_zero(self) -> bool {
        self == Weight::default()
    }

    pub fn amount(self) -> Amount {
        Amount {
            bytes: self.bytes,
            blocks: self.milliblocks.saturating_add(BLOCK / 2) / BLOCK,
            variance: self.variance,
        }
    }
}

/// How a process was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Recording {
    pub exact: bool,
    pub interval_bytes: u64,
    pub always_bytes: u64,
}

impl Recording {
    /// What a block of this size stands for.
    #[inline(always)]
    pub fn weigh(&self, size: u64) -> Weight {
        if self.exact || size >= self.always_bytes {
            return itself(size);
        }
        self.weigh_sample(size)
    }

    #[cold]
    #[inline(never)]
    fn weigh_sample(&self, size: u64) -> Weight {
        if self.interval_bytes == 0 {
            return itself(size);
        }
        // The agent draws for an empty block as if it had one byte.
        let probability = -(-(size.max(1) as f64) / self.interval_bytes as f64).exp_m1();
        let bytes = size as f64 / probability;
        Weight {
            bytes: (bytes.round() as u64).min(LARGEST_SIZE),
            milliblocks: (BLOCK as f64 / probability).round() as u64,
            variance: (bytes * bytes * (1.0 - probability)).round() as u64,
        }
    }
}

/// The weight of a block that stands for itself.
#[inline(always)]
pub(crate) fn itself(size: u64) -> Weight {
    Weight {
        bytes: size.min(LARGEST_SIZE),
        milliblocks: BLOCK,
        variance: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: Recording = Recording {
        exact: false,
        interval_bytes: 65536,
        always_bytes: 1 << 20,
    };

    #[test]
    fn a_block_of_an_exact_run_stands_for_itself() {
        let exact = Recording {
            exact: true,
            ..Recording::default()
        };
        assert_eq!(exact.weigh(10), itself(10));
    }

    #[test]
    fn a_block_that_is_always_recorded_stands_for_itself() {
        assert_eq!(SAMPLED.weigh(1 << 20), itself(1 << 20));
        assert!(SAMPLED.weigh((1 << 20) - 1).bytes >= (1 << 20) - 1);
    }

    #[test]
    fn an_empty_block_is_drawn_like_one_byte() {
        let weight = SAMPLED.weigh(0);
        assert_eq!((weight.bytes, weight.variance), (0, 0));
        assert_eq!(weight.milliblocks, SAMPLED.weigh(1).milliblocks);
    }

    /// SplitMix64: a fixed series of numbers, so that the test is the same every time.
    struct Series(u64);

    impl Series {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    #[test]
    fn estimates_are_unbiased_and_know_their_error() {
        // A heap of blocks of mixed sizes, sampled many times over.
        let sizes: Vec<u64> = (0..4000u64)
            .map(|i| [24, 56, 500, 4096, 30_000, 200_000][i as usize % 6] + i % 50)
            .collect();
        let truth: u64 = sizes.iter().sum();
        let mut series = Series(1);
        let runs = 2000;
        let (mut bytes, mut squares, mut blocks, mut variance) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..runs {
            let mut sum = Weight::default();
            for &size in &sizes {
                let p = -(-(size as f64) / SAMPLED.interval_bytes as f64).exp_m1();
                if series.uniform() < p {
                    sum.add(SAMPLED.weigh(size));
                }
            }
            let estimate = sum.bytes as f64;
            bytes += estimate;
            squares += (estimate - truth as f64).powi(2);
            blocks += sum.milliblocks as f64 / BLOCK as f64;
            variance += sum.variance as f64;
        }
        let n = f64::from(runs);
        let (mean, spread) = (bytes / n, (squares / n).sqrt());
        let said = (variance / n).sqrt();
        assert!((mean - truth as f64).abs() < 3.0 * spread / n.sqrt(), "{mean} {truth}");
        assert!((said / spread - 1.0).abs() < 0.1, "said {said}, found {spread}");
        // Small blocks dominate the error of the number of blocks; 5 % is about three standard errors here.
        assert!((blocks / n / sizes.len() as f64 - 1.0).abs() < 0.05);
    }
}
