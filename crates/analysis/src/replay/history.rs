//! What was live over time, by stack, in bounded memory.
//!
//! Samples are taken at equal intervals of the process's own time. When there are [`MOST_SAMPLES`], every other one is
//! dropped and the interval doubles, so a run of any length keeps between 64 and 128 of them. A sample costs one pass
//! over the stacks, and each doubling of the run's length costs about [`MOST_SAMPLES`] / 2 samples.

use deadweight_capture::StackId;

use super::tree::Cell;
use crate::{History, Level, Sample};

/// Most samples of one process.
const MOST_SAMPLES: usize = 128;
/// First interval: 2^23 ns, about 8.4 ms.
const FIRST_WIDTH_NANOS: u64 = 1 << 23;
/// A stack with less than 1/4096 (0.024 %) of what is live is left out of a sample.
const SMALLEST_PART: u64 = 4096;

/// The samples of one process so far.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// When the next sample is due; 0 before the first event, `u64::MAX` once the process has ended.
    next_nanos: u64,
    history: History,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            next_nanos: 0,
            history: History {
                width_nanos: FIRST_WIDTH_NANOS,
                ..History::default()
            },
        }
    }
}

impl Recorder {
    #[inline(always)]
    pub fn is_due(&self, nanos: u64) -> bool {
        nanos >= self.next_nanos
    }

    /// Samples what was live up to `nanos`, which is now.
    #[cold]
    #[inline(never)]
    pub fn sample(&mut self, nanos: u64, live_bytes: u64, cells: &[Cell]) {
        let history = &mut self.history;
        if self.next_nanos == 0 {
            history.origin_nanos = nanos;
            self.next_nanos = nanos.saturating_add(history.width_nanos);
            return;
        }
        // After a long time without events many samples would be due: widen the interval first.
        while nanos.saturating_sub(history.origin_nanos) / history.width_nanos > MOST_SAMPLES as u64 {
            halve(history);
        }
        let sample = Sample {
            bytes: live_bytes,
            allocated_bytes: cells
                .iter()
                .fold(0, |sum, cell| sum.saturating_add(cell.allocated.bytes)),
            levels: levels(live_bytes, cells),
        };
        let due = nanos.saturating_sub(history.origin_nanos) / history.width_nanos;
        while (history.samples.len() as u64) < due {
            history.samples.push(sample.clone());
        }
        let number = history.samples.len() as u64 + 1;
        let until_next = history.width_nanos.saturating_mul(number);
        self.next_nanos = history.origin_nanos.saturating_add(until_next);
    }

    /// The process has ended.
    pub fn stop(&mut self) {
        self.next_nanos = u64::MAX;
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn into_history(self) -> History {
        self.history
    }

    /// Takes over a fold's beginning of the samples.
    pub fn restore(&mut self, origin_nanos: u64, width_nanos: u64) {
        self.history.origin_nanos = origin_nanos;
        self.history.width_nanos = width_nanos.max(1);
        if self.next_nanos != u64::MAX {
            self.next_nanos = origin_nanos.saturating_add(self.history.width_nanos);
        }
    }

    /// Takes over a sample of a fold; its levels follow.
    pub fn restore_sample(&mut self, bytes: u64) {
        if self.history.samples.len() < MOST_SAMPLES {
            self.history.samples.push(Sample {
                bytes,
                allocated_bytes: 0,
                levels: Vec::new(),
            });
            self.next_nanos = self.next_nanos.saturating_add(self.history.width_nanos);
        }
    }

    /// Takes over what had been allocated until the last sample.
    pub fn restore_allocated(&mut self, bytes: u64) {
        if let Some(sample) = self.history.samples.last_mut() {
            sample.allocated_bytes = bytes;
        }
    }

    /// Takes over a level of the last sample.
    pub fn restore_level(&mut self, stack: StackId, bytes: u64) {
        if let Some(sample) = self.history.samples.last_mut() {
            sample.levels.push(Level { stack, bytes });
        }
    }
}

/// Drops every other sample: those that would not have been taken at twice the interval.
fn halve(history: &mut History) {
    let mut number = 0;
    history.samples.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    history.width_nanos = history.width_nanos.saturating_mul(2);
}

fn levels(live_bytes: u64, cells: &[Cell]) -> Vec<Level> {
    let least = (live_bytes / SMALLEST_PART).max(1);
    let numbered = cells.iter().enumerate();
    let large = numbered.filter(|(_, cell)| cell.live.bytes >= least);
    large
        .filter_map(|(id, cell)| {
            Some(Level {
                stack: StackId(u32::try_from(id).ok()?),
                bytes: cell.live.bytes,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::weight::itself;

    const ORIGIN: u64 = 1000;

    /// One stack whose live bytes are the number of widths since the beginning.
    fn run(widths: impl Iterator<Item = u64>) -> History {
        let mut recorder = Recorder::default();
        for at in widths {
            let nanos = ORIGIN + at * FIRST_WIDTH_NANOS;
            // Between two clocks the level is that of the earlier one.
            let level = at.saturating_sub(1);
            let cell = Cell {
                live: itself(level),
                ..Cell::default()
            };
            if recorder.is_due(nanos) {
                recorder.sample(nanos, level, &[Cell::default(), cell]);
            }
        }
        recorder.into_history()
    }

    #[test]
    fn samples_are_dense_and_bounded_however_long_the_run() {
        for length in [1, 100, 128, 129, 1000, 100_000] {
            let history = run(0..=length);
            let (count, width) = (history.samples.len() as u64, history.width_nanos / FIRST_WIDTH_NANOS);
            assert_eq!(count, length / width, "{length}");
            assert!(count <= 128 && (length < 128 || count >= 64), "{length}: {count}");
            for (number, sample) in (1..).zip(&history.samples) {
                assert_eq!(sample.bytes, number * width - 1, "{length}");
            }
        }
    }

    #[test]
    fn a_silence_has_the_samples_that_a_steady_run_would_have() {
        let history = run([0, 1, 1_000_000].into_iter());
        assert_eq!(
            history.samples.len() as u64,
            1_000_000 * FIRST_WIDTH_NANOS / history.width_nanos
        );
        assert!(history.samples.len() <= 128);
    }

    #[test]
    fn small_stacks_are_left_out() {
        let cell = |bytes| Cell {
            live: itself(bytes),
            ..Cell::default()
        };
        let cells = [cell(0), cell(10_000_000), cell(2000), cell(3000)];
        let kept: Vec<u32> = levels(10_005_000, &cells).iter().map(|level| level.stack.0).collect();
        assert_eq!(kept, [1, 3]);
    }
}
