//! The heap of all processes together, and its peak.
//!
//! At each new maximum one would like to copy what is live from every stack. That would cost a pass over all stacks for
//! each allocation while the heap grows. Instead, nothing is copied at the peak. When the heap first changes without
//! exceeding the peak, the peak is *departed* and a new epoch begins. A stack that changes for the first time in an
//! epoch first saves what is live from it, which is what was live at the peak; for a stack that has not changed, that
//! is still live. So each event costs a few additions, however many stacks there are. (The idea is that of memray's
//! `HighWaterMarkAggregator`.)

use crate::replay::weight::Weight;

/// The allocator domain of a block, or that it is a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Domain {
    Python,
    Native,
    Mapped,
}

/// Bytes of each [`Domain`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parts([u64; 3]);

impl Parts {
    pub fn new(bytes: [u64; 3]) -> Parts {
        Parts(bytes)
    }

    pub fn bytes(self) -> [u64; 3] {
        self.0
    }

    #[inline(always)]
    pub fn add(&mut self, domain: Domain, bytes: u64) {
        let [python, native, mapped] = &mut self.0;
        let part = match domain {
            Domain::Python => python,
            Domain::Native => native,
            Domain::Mapped => mapped,
        };
        *part = part.wrapping_add(bytes);
    }

    #[inline(always)]
    pub fn take(&mut self, domain: Domain, bytes: u64) {
        self.add(domain, bytes.wrapping_neg());
    }

    fn take_all(&mut self, other: Parts) {
        for (part, taken) in self.0.iter_mut().zip(other.0) {
            *part = part.wrapping_sub(taken);
        }
    }
}

/// Amounts of one stack of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cell {
    /// Live now, or at the end of the process.
    pub live: Weight,
    /// Live at the peak of the tree, if `epoch` is that of the tree.
    pub saved: Weight,
    /// Ever allocated.
    pub allocated: Weight,
    pub epoch: u64,
    /// The largest block or mapping ever allocated, in bytes.
    pub largest: u64,
}

impl Cell {
    #[inline(always)]
    fn save(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.saved = self.live;
        }
    }
}

/// The heap of all processes together.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    live: Weight,
    parts: Parts,
    /// Bytes at the peak.
    highest: u64,
    highest_nanos: u64,
    /// Number of peaks departed so far.
    epoch: u64,
    /// Nothing has changed since the peak.
    at_peak: bool,
    /// What was live at the peak, once it is departed.
    peak_live: Weight,
    peak_parts: Parts,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree {
            live: Weight::default(),
            parts: Parts::default(),
            highest: 0,
            highest_nanos: 0,
            epoch: 0,
            // An empty heap is the first peak.
            at_peak: true,
            peak_live: Weight::default(),
            peak_parts: Parts::default(),
        }
    }
}

impl Tree {
    /// Something was allocated.
    #[inline(always)]
    pub fn grow(&mut self, cell: &mut Cell, weight: Weight, domain: Domain, nanos: u64) {
        let bytes = self.live.bytes.wrapping_add(weight.bytes);
        if bytes > self.highest {
            self.highest = bytes;
            self.highest_nanos = nanos;
            self.at_peak = true;
        } else {
            self.touch(cell);
        }
        self.live.add(weight);
        self.parts.add(domain, weight.bytes);
        cell.live.add(weight);
    }

    /// Something was freed.
    #[inline(always)]
    pub fn shrink(&mut self, cell: &mut Cell, weight: Weight, domain: Domain) {
        self.touch(cell);
        self.live.take(weight);
        self.parts.take(domain, weight.bytes);
        cell.live.take(weight);
    }

    /// A process has ended.
    pub fn leave(&mut self, cells: &mut [Cell], live: Weight, parts: Parts) {
        self.depart();
        for cell in cells {
            cell.save(self.epoch);
        }
        self.live.take(live);
        self.parts.take_all(parts);
    }

    /// What was live from a stack at the peak. `gone` if its process has ended.
    pub fn at_peak(&self, cell: &Cell, gone: bool) -> Weight {
        if !self.at_peak && cell.epoch == self.epoch {
            cell.saved
        } else if gone {
            // It ended before the peak: otherwise it would have saved.
            Weight::default()
        } else {
            cell.live
        }
    }

    /// The heap at the peak, its parts, and when that was.
    pub fn peak(&self) -> (Weight, [u64; 3], u64) {
        let (live, parts) = if self.at_peak {
            (self.live, self.parts)
        } else {
            (self.peak_live, self.peak_parts)
        };
        (live, parts.bytes(), self.highest_nanos)
    }

    /// Live bytes of each [`Domain`] now.
    pub fn live_parts(&self) -> [u64; 3] {
        self.parts.bytes()
    }

    /// Whether nothing has changed since the peak.
    pub fn is_at_peak(&self) -> bool {
        self.at_peak
    }

    #[inline(always)]
    fn touch(&mut self, cell: &mut Cell) {
        self.depart();
        cell.save(self.epoch);
    }

    #[inline(always)]
    fn depart(&mut self) {
        if self.at_peak {
            self.at_peak = false;
            self.epoch += 1;
            self.peak_live = self.live;
            self.peak_parts = self.parts;
        }
    }

    /// Restores a block from a fold. Nothing has changed, so this makes no peak.
    pub fn restore_live(&mut self, cell: &mut Cell, weight: Weight, domain: Domain) {
        self.live.add(weight);
        self.parts.add(domain, weight.bytes);
        cell.live.add(weight);
    }

    /// Restores what was live from a stack at the peak.
    pub fn restore_saved(&mut self, cell: &mut Cell, saved: Weight) {
        cell.saved = saved;
        cell.epoch = Self::RESTORED;
        self.peak_live.add(saved);
    }

    /// Restores the peak from a fold.
    pub fn restore_peak(&mut self, parts: [u64; 3], nanos: u64, now: bool) {
        self.highest = parts.iter().fold(0, |sum: u64, &bytes| sum.wrapping_add(bytes));
        self.highest_nanos = nanos;
        self.peak_parts = Parts::new(parts);
        self.at_peak = now;
        self.epoch = Self::RESTORED;
    }

    /// The epoch of stacks that were restored from a fold.
    const RESTORED: u64 = 1;
}
