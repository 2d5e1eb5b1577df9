//! Which blocks a sampled run records: a Poisson process over the allocated bytes.
//!
//! Sample points fall on the sequence of all allocated bytes, one per `interval` bytes on average. A block is recorded if a point
//! falls into it, which has the probability `1 - exp(-size / interval)`, independent of earlier allocations. Blocks of at
//! least `always` bytes are recorded in any case, and take no part in this.
//!
//! The distance to the next point is memoryless, so a long distance is covered in steps of at most `always` bytes, each drawn
//! anew. A large block therefore always exceeds the countdown, and the fast path needs no separate test for it.

use crate::thread::Thread;

/// The two parameters of a sampled run, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampler {
    /// Mean distance between sample points.
    pub interval: u64,
    /// Blocks of at least this size are always recorded.
    pub always: u64,
}

impl Sampler {
    /// The sampler for this interval; blocks of four intervals and more are always recorded.
    pub fn new(interval: u64) -> Sampler {
        let interval = interval.clamp(256, 1 << 40);
        Sampler {
            interval,
            always: interval * 4,
        }
    }

    /// Begins a thread's countdown.
    pub fn begin(&self, thread: &Thread, seed: u64) {
        thread.random.set(seed | 1);
        self.draw(thread);
    }

    /// Decides whether a block of `size` bytes that has brought the countdown below 0 is recorded, and draws the next countdown.
    pub fn is_sampled(&self, thread: &Thread, size: u64) -> bool {
        let overrun = thread.countdown.get().unsigned_abs();
        if size >= self.always {
            // Undo its countdown: it takes no part in sampling.
            thread.countdown.set(thread.countdown.get().wrapping_add(size as i64));
            return true;
        }
        if thread.ends_at_sample.get() {
            self.draw(thread);
            return true;
        }
        // A longest step has ended `overrun` bytes ago without a point: draw anew from there. The rest of this block is never
        // longer than a longest step.
        self.draw(thread);
        let step = thread.countdown.get().unsigned_abs();
        if step < overrun {
            self.draw(thread);
            return true;
        }
        thread.countdown.set((step - overrun) as i64);
        false
    }

    /// Sets the countdown to the distance to the next point, or to the longest step if that is shorter.
    fn draw(&self, thread: &Thread) {
        let uniform = next_uniform(thread);
        let distance = -natural_logarithm(uniform) * self.interval as f64;
        let longest = self.always - 1;
        let ends_at_sample = distance < longest as f64;
        thread.ends_at_sample.set(ends_at_sample);
        thread.countdown.set(if ends_at_sample {
            distance as i64
        } else {
            longest as i64
        });
    }
}

/// A number above 0 and at most 1, from Marsaglia's xorshift64* generator.
fn next_uniform(thread: &Thread) -> f64 {
    let mut state = thread.random.get();
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    thread.random.set(state);
    let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    (bits + 1) as f64 / (1u64 << 53) as f64
}

/// The natural logarithm of a positive normal number, to about nine digits: `core` has none.
///
/// With `x = m * 2^e`, `ln x = e ln 2 + ln m`, and `ln m = 2 atanh((m - 1) / (m + 1))` as its power series.
fn natural_logarithm(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let mut sum = 0.0;
    for divisor in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = square * (1.0 / divisor + sum);
    }
    exponent as f64 * core::f64::consts::LN_2 + 2.0 * z * (1.0 + sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_agrees_with_the_standard_one() {
        for step in 1..10_000 {
            let x = f64::from(step) / 10_000.0;
            assert!((natural_logarithm(x) - x.ln()).abs() < 1e-8, "{x}");
        }
    }

    /// Allocates `count` blocks of `size` as the hooks do, and returns how many were recorded.
    fn recorded(sampler: &Sampler, sizes: &[u64], count: u64) -> Vec<u64> {
        let thread = Thread::current();
        sampler.begin(thread, 0x1234_5678_9abc_def1);
        let mut hits = vec![0; sizes.len()];
        for turn in 0..count {
            let which = (turn % sizes.len() as u64) as usize;
            let size = sizes[which];
            let left = thread.countdown.get() - size as i64;
            thread.countdown.set(left);
            if left < 0 && sampler.is_sampled(thread, size) {
                hits[which] += 1;
            }
        }
        hits
    }

    #[test]
    fn a_block_is_recorded_with_the_stated_probability() {
        let sampler = Sampler::new(4096);
        let sizes = [16, 100, 1000, 4096, 10_000, 16_383];
        let count = 1_200_000;
        for (hits, size) in recorded(&sampler, &sizes, count).into_iter().zip(sizes) {
            let turns = (count / sizes.len() as u64) as f64;
            let probability = 1.0 - (-(size as f64) / 4096.0).exp();
            let error = (turns * probability * (1.0 - probability)).sqrt();
            let off = (hits as f64 - turns * probability) / error;
            assert!(
                off.abs() < 4.0,
                "size {size}: {hits} hits, {off:.1} standard errors off"
            );
        }
    }

    #[test]
    fn large_blocks_are_always_recorded() {
        let sampler = Sampler::new(4096);
        assert_eq!(recorded(&sampler, &[16_384, 1 << 30], 1000), [500, 500]);
    }
}
