//! Every number that decides whether something is a finding, and how grave.
//!
//! What is below a threshold is not told, or not told as gravely. How many findings, sites and names are listed is decided where they
//! are listed. A name ends in its unit (`_BYTES`, `_NANOS`, `_SECONDS`, `_SAMPLES`, `_SNAPSHOTS`, `_BLOCKS`, `_OBJECTS`); a
//! [`Share`] is of what the name or the comment says.

/// A part of an amount: so many of so many equal parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(u64, u64);

impl Share {
    /// The share of an amount, rounded down before it is multiplied.
    pub(super) const fn of(self, whole: u64) -> u64 {
        whole / self.1 * self.0
    }

    /// The share of an amount, rounded up.
    pub(super) const fn of_rounded_up(self, whole: u64) -> u64 {
        whole.div_ceil(self.1) * self.0
    }

    /// The share of a row of samples, rounded down.
    pub(super) const fn of_samples(self, samples: usize) -> usize {
        samples / self.1 as usize * self.0 as usize
    }
}

// How grave an amount is.

/// High from medium: 25 % of the highest resident memory.
pub(super) const HIGH_LEAST_OF_PEAK: Share = Share(1, 4);
/// High from medium: 64 MiB.
pub(super) const HIGH_LEAST_BYTES: u64 = 64 << 20;
/// Medium from low: 10 % of the highest resident memory.
pub(super) const MEDIUM_LEAST_OF_PEAK: Share = Share(1, 10);
/// Medium from low: 32 MiB.
pub(super) const MEDIUM_LEAST_BYTES: u64 = 32 << 20;
/// What is told from what is not worth a word: 1 % of the highest resident memory.
pub(super) const LOW_LEAST_OF_PEAK: Share = Share(1, 100);

// Which snapshot stands for the peak.

/// A snapshot after the peak that stands for it from one that comes too late: it is 8 times nearer than the last one
/// before.
pub(super) const SNAPSHOT_AFTER_PEAK_TIMES_NEARER: u64 = 8;

// Growth from snapshot to snapshot.

/// Growth from wavering: it began at no more than 75 % of what it reached. The next snapshot is taken when the heap has
/// grown by a quarter, and only the last few are kept.
pub(super) const GROWN_FROM_OF_TOP: Share = Share(3, 4);
/// Growth from chance: seen growing in 3 snapshots.
pub(super) const GROWN_LEAST_SNAPSHOTS: usize = 3;
/// The same of a holder without elements that can be counted: 4 snapshots.
pub(super) const GROWN_UNCOUNTED_LEAST_SNAPSHOTS: usize = 4;
/// A leak from what interpreter and libraries keep for themselves: 8 MiB.
pub(super) const LEAK_LEAST_BYTES: u64 = 8 << 20;
/// What stays from what is on its way down: 90 % of the most is there in the last snapshot.
pub(super) const LEAK_STAYS_OF_TOP: Share = Share(9, 10);
/// What is lost from what is freed later on: 50 % of what grew is live at the end.
pub(super) const LEAK_LIVE_AT_END: Share = Share(1, 2);
/// Lost objects from temporaries: 3 objects.
pub(super) const LOST_LEAST_OBJECTS: u64 = 3;
/// A holder whose growth the events tell from one of unknown origin: 50 % of it comes from known stacks.
pub(super) const HOLDER_KNOWN: Share = Share(1, 2);
/// What shares the history of its stacks from what is a small part of them: 50 % of what they had live.
pub(super) const OWN_PART_OF_STACKS: Share = Share(1, 2);
/// A holder that has stopped growing from one that pauses: 33 % of the run come after its growth.
pub(super) const STOPPED_LEAST_OF_RUN: Share = Share(1, 3);
/// The end of the rise from the rest of the run: it may take 25 % of the time after the snapshot.
pub(super) const STOPPED_SETTLES_OF_REST: Share = Share(1, 4);
/// A total that stays from one that rises: no more than 5 % above what it was.
pub(super) const STOPPED_RISE_OF_TOTAL: Share = Share(1, 20);
/// More at the peak than in the snapshot from as much: 10 % more.
pub(super) const MORE_AT_PEAK: Share = Share(1, 10);
/// A fall because the program ends from any other: it lies in the last 10 % of the run.
pub(super) const END_OF_RUN: Share = Share(1, 10);
/// High samples from those of the last fall: 90 % of the highest one.
pub(super) const STILL_HIGH_OF_HIGHEST: Share = Share(9, 10);
/// The temporary from what is freed at the end: gone for the last 25 % of the run.
pub(super) const GONE_FOR_OF_RUN: Share = Share(1, 4);
/// Gone from there: less than 33 % of the highest sample.
pub(super) const GONE_OF_HIGHEST: Share = Share(1, 3);

// Small blocks that keep freed memory apart.

/// Slack that grows from that of any busy heap: by 16 MiB.
pub(super) const PINNED_LEAST_BYTES: u64 = 16 << 20;
/// The same: by 12.5 % of the peak.
pub(super) const PINNED_LEAST_OF_PEAK: Share = Share(1, 8);
/// Steady growth of slack from a single rise: 20 % of the growth of the last half in each of its quarters, where 50 %
/// is perfectly steady.
pub(super) const PINNED_LEAST_OF_GROWTH_IN_QUARTER: Share = Share(1, 5);
/// More blocks from chance: 6 recorded blocks more.
pub(super) const PINNED_LEAST_MORE_BLOCKS: u64 = 6;
/// The same: 33 % more recorded blocks.
pub(super) const PINNED_LEAST_MORE_OF_BLOCKS: Share = Share(1, 3);

// The shape of growth over time.

/// A row of samples that tells something from one that is too short: 12 samples.
pub(super) const GROWTH_LEAST_SAMPLES: usize = 12;
/// A straight line from any other way up: it explains 0.9 of the variance.
pub(super) const GROWTH_LEAST_FIT_RATIO: f64 = 0.9;
/// Steady growth from growth at once: no step is more than 0.34 of all growth.
pub(super) const GROWTH_LARGEST_STEP_RATIO: f64 = 0.34;
/// The growth from what came before it began: more than 5 % of the highest sample.
pub(super) const GROWTH_BEGINS_OF_HIGHEST: Share = Share(1, 20);
/// Growth from what was there from the start: more than 33 % of the highest sample.
pub(super) const GROWTH_LEAST_OF_HIGHEST: Share = Share(1, 3);
/// What was there from the start and stays from what is gone: more than 50 % of the highest sample at the end.
pub(super) const ONE_OFF_STAYS_OF_HIGHEST: Share = Share(1, 2);
/// A dip from wavering: a fall, and then a rise, by 33 % of the highest sample.
pub(super) const DIP_OF_HIGHEST: Share = Share(1, 3);
/// Steady growth from growth that comes to an end: 16.7 % of it in the last third of the time.
pub(super) const STEADY_IN_LAST_THIRD: Share = Share(1, 6);
/// The same: 5 % of it in the last sixth of the time.
pub(super) const STEADY_IN_LAST_SIXTH: Share = Share(1, 20);
/// Growth that slows down from growth that has ended: 5 % of it in the last third of the time.
pub(super) const GOES_ON_IN_LAST_THIRD: Share = Share(1, 20);
/// The same: 1.7 % of it in the last sixth of the time.
pub(super) const GOES_ON_IN_LAST_SIXTH: Share = Share(1, 60);
/// What has settled from what is gone: 67 % of the highest sample at the end.
pub(super) const SETTLED_STAYS_OF_HIGHEST: Share = Share(2, 3);
/// What has settled from what still grows: less than 5 % of the growth in the last quarter of the time.
pub(super) const SETTLED_ADDS_OF_GROWTH: Share = Share(1, 20);

// Growth as the events alone tell it.

/// What was never freed from what was: 60 % of the last sample is live at the end.
pub(super) const LOST_AT_END_OF_LAST_SAMPLE: Share = Share(3, 5);
/// A native leak from lost objects: 50 % of it are native blocks.
pub(super) const LOST_NATIVE: Share = Share(1, 2);
/// The same: 50 % of it are blocks that native code took from Python's allocator.
pub(super) const LOST_BUFFERS: Share = Share(1, 2);
/// Growth that another finding explains from growth of its own: 25 % of it is in that finding.
pub(super) const GROWTH_EXPLAINED: Share = Share(1, 4);
/// Growth that proves nothing but is told: 30 % of the peak.
pub(super) const OPEN_GROWTH_LEAST_OF_PEAK: Share = Share(30, 100);
/// The same: 64 MiB.
pub(super) const OPEN_GROWTH_LEAST_BYTES: u64 = 64 << 20;
/// The same from the loading of data: it took 3 s.
pub(super) const OPEN_GROWTH_LEAST_SECONDS: f64 = 3.0;
/// The same from what was freed: 50 % of the last sample is live at the end.
pub(super) const OPEN_GROWTH_STAYS: Share = Share(1, 2);

// What is gone after the peak.

/// A line's spike from what comes and goes: 30 % of the peak.
pub(super) const SPIKE_LEAST_OF_PEAK: Share = Share(30, 100);
/// The same: 64 MiB.
pub(super) const SPIKE_LEAST_BYTES: u64 = 64 << 20;
/// An avoidable spike that should be looked at from one that is good to know: 40 % of the peak.
pub(super) const SPIKE_AVOIDABLE_OF_PEAK: Share = Share(40, 100);
/// A spike that no line has alone from what comes and goes: 50 % of the peak.
pub(super) const SPIKE_OF_MANY_LINES_LEAST_OF_PEAK: Share = Share(50, 100);
/// The call that contains a spike from one beside it: 50 % of it.
pub(super) const SPIKE_CONTAINED_IN_CALL: Share = Share(50, 100);
/// A spike that a graver finding explains from one of its own: 50 % of it is in that finding.
pub(super) const SPIKE_EXPLAINED: Share = Share(1, 2);
/// A block that may be a copy from one of too many: 4 MiB.
pub(super) const COPY_LEAST_BYTES: u64 = 4 << 20;
/// A copy from a buffer that a library keeps: no more than 50 % of it is live at the end.
pub(super) const COPY_STAYS: Share = Share(1, 2);
/// Blocks of one size from blocks of several: the rest is no more than 3.1 % of one.
pub(super) const COPY_REST_OF_BLOCK: Share = Share(1, 32);
/// The same size from another one: no more than 2 % apart.
pub(super) const COPY_SIZES_DIFFER: Share = Share(1, 50);
/// Copies from the elements of something: no more than 8 blocks.
pub(super) const COPIES_MOST_BLOCKS: u64 = 8;
/// Copies that make the spike from copies beside it: 40 % of it.
pub(super) const COPIES_LEAST_OF_SPIKE: Share = Share(2, 5);

// What resident memory consists of.

/// Slack that is kept from slack of a moment: for 10 % of the run.
pub(super) const SLACK_LEAST_OF_RUN: Share = Share(1, 10);
/// The same: for 0.5 s.
pub(super) const SLACK_LEAST_NANOS: u64 = 500_000_000;
/// Slack from what all programs have: 32 MiB.
pub(super) const SLACK_LEAST_BYTES: u64 = 32 << 20;
/// The same: 20 % of the peak.
pub(super) const SLACK_LEAST_OF_PEAK: Share = Share(1, 5);
/// Slack from an error of the estimate: less 2 standard errors it is still large enough.
pub(super) const SLACK_ERRORS: u64 = 2;
/// Slack from memory that is needed again: the heap grows by no more than 50 % of it later.
pub(super) const SLACK_NEEDED_AGAIN: Share = Share(1, 2);
/// The time for which slack is kept from the rest: 90 % of it is there.
pub(super) const SLACK_STILL_KEPT: Share = Share(9, 10);
/// Medium from low: 256 MiB of slack.
pub(super) const SLACK_MEDIUM_BYTES: u64 = 256 << 20;
/// The same: 50 % of the peak.
pub(super) const SLACK_MEDIUM_OF_PEAK: Share = Share(1, 2);
/// The same: for 33 % of the run.
pub(super) const SLACK_MEDIUM_OF_RUN: Share = Share(1, 3);
/// Slack of its own from slack that a leak keeps apart: more than 2 times the leak.
pub(super) const SLACK_TIMES_THE_LEAK: u64 = 2;
/// Mapped files from those that all programs have: 32 MiB.
pub(super) const FILES_LEAST_BYTES: u64 = 32 << 20;
/// The same: 30 % of the peak.
pub(super) const FILES_LEAST_OF_PEAK: Share = Share(30, 100);
/// Children that make the peak from small ones: 64 MiB.
pub(super) const CHILDREN_LEAST_BYTES: u64 = 64 << 20;
/// The same: more than 50 % of the tree's memory.
pub(super) const CHILDREN_MORE_THAN_OF_TREE: Share = Share(1, 2);
/// Medium from low, if memory ran out: 256 MiB in children.
pub(super) const CHILDREN_MEDIUM_BYTES: u64 = 256 << 20;
/// A program that went on without its killed child from one that ended because of it: 1 s.
pub(super) const WENT_ON_LEAST_SECONDS: f64 = 1.0;
