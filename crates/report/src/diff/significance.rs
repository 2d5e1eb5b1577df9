//! Whether a change is more than chance.
//!
//! A change counts if it is larger than three things:
//!
//! 1. **Sampling.** The standard errors of both sides in quadrature, times a number of sigmas. Where a hundred lines are
//!    compared, one in a hundred is off by its 1 % quantile: so the sigmas grow with the number of comparisons, until all of
//!    them together raise a false alarm in one of [`1 / FALSE_ALARMS`](FALSE_ALARMS) pairs of equal runs (Bonferroni). To
//!    each sampled side one interval is added: a line that was never sampled has no variance, but may have memory.
//! 2. **The floor.** Two runs of one program are never quite equal: hash seeds, threads, the time of a collection.
//! 3. **The spread**, if there are several runs of each side: the ranges of both together, less for many runs.

use deadweight_analysis::Amount;

use super::model::{Figure, Trend};

/// How often sampling alone may let two equal runs differ anywhere in the lists, and once more in the totals.
pub(super) const FALSE_ALARMS: f64 = 0.001;

/// What two runs of one program may differ by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// As a part of the larger side, or of the whole that is named with it.
    pub part: f64,
    /// At least so many bytes.
    pub least: u64,
}

const MIB: u64 = 1 << 20;

/// The peak and the end of the heap, of the larger peak.
pub(super) const HEAP: Floor = Floor { part: 0.01, least: MIB };
/// Resident memory: allocators keep freed memory by the luck of its addresses, and it is only looked at now and then.
pub(super) const RESIDENT: Floor = Floor {
    part: 0.03,
    least: 4 * MIB,
};
/// What was allocated and freed again, of itself.
pub(super) const CHURN: Floor = Floor { part: 0.02, least: MIB };
/// A line or a call path, of the larger peak.
pub(super) const SITE: Floor = Floor {
    part: 0.005,
    least: MIB / 4,
};
/// What findings and heap snapshots say, of the larger peak. Below a hundredth nothing is said at all.
pub(super) const SNAPSHOT: Floor = Floor {
    part: 0.03,
    least: 4 * MIB,
};

impl Floor {
    pub(super) fn of(self, whole: u64) -> u64 {
        ((whole as f64 * self.part) as u64).max(self.least)
    }
}

/// An amount of one side: the median over its runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Estimate {
    pub bytes: u64,
    pub low: u64,
    pub high: u64,
    pub runs: usize,
    /// Variance of `bytes` from sampling.
    pub variance: f64,
}

/// Middle of the values in their order; 0 without any.
pub(super) fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0,
        (Some(value), 1) => *value,
        (Some(value), _) => values[middle - 1].midpoint(*value),
    }
}

impl Estimate {
    /// Of the amounts of all runs; a run that has none of it counts with 0.
    pub(super) fn of(amounts: &[Amount]) -> Estimate {
        let mut values: Vec<u64> = amounts.iter().map(|amount| amount.bytes).collect();
        let bytes = median(&mut values);
        let runs = amounts.len().max(1);
        let mean = amounts.iter().map(|amount| amount.variance as f64).sum::<f64>() / runs as f64;
        // The median of many has pi/2 times the variance of their mean.
        let factor = if runs < 3 { 1.0 } else { std::f64::consts::FRAC_PI_2 };
        Estimate {
            bytes,
            low: values.first().copied().unwrap_or(0),
            high: values.last().copied().unwrap_or(0),
            runs,
            variance: mean * factor / runs as f64,
        }
    }

    /// Without any error.
    pub(super) fn exactly(values: &[u64]) -> Estimate {
        let amount = |bytes: &u64| Amount {
            bytes: *bytes,
            ..Amount::default()
        };
        Estimate::of(&values.iter().map(amount).collect::<Vec<_>>())
    }

    fn range(&self) -> f64 {
        // Three runs spread over about 1.7 standard deviations, more runs over more of them.
        let many = (3.0 / self.runs as f64).sqrt().min(1.0);
        (self.high - self.low) as f64 * many
    }
}

/// How strictly an amount is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Sigmas of the sampling error.
    pub sigmas: f64,
    /// Bytes below which two runs of one program may differ.
    pub floor: u64,
    /// Variance that sampling has where nothing was sampled: the intervals of both sides squared.
    pub unseen: f64,
}

/// Compares the two sides.
pub(super) fn judge(before: Estimate, after: Estimate, rule: Rule) -> Figure {
    let change = i128::from(after.bytes) - i128::from(before.bytes);
    let change = change.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    let variance = before.variance + after.variance;
    let sampling = rule.sigmas * (variance + rule.unseen).sqrt();
    let spread = before.range() + after.range();
    let limit = sampling.max(rule.floor as f64).max(spread) as u64;
    let trend = match change.unsigned_abs() > limit {
        false => Trend::NoChange,
        true if change > 0 => Trend::Rose,
        true => Trend::Fell,
    };
    let range = |side: &Estimate| (side.runs > 1).then_some((side.low, side.high));
    Figure {
        before_bytes: Some(before.bytes),
        after_bytes: Some(after.bytes),
        change_bytes: Some(change),
        change_ratio: (before.bytes > 0).then(|| change as f64 / before.bytes as f64),
        error_bytes: Some(variance.sqrt().round() as u64),
        limit_bytes: Some(limit),
        trend,
        before_range: range(&before),
        after_range: range(&after),
    }
}

/// Where a side is not known.
pub(super) fn unknown(before: Option<Estimate>, after: Option<Estimate>) -> Figure {
    Figure {
        before_bytes: before.map(|side| side.bytes),
        after_bytes: after.map(|side| side.bytes),
        change_bytes: None,
        change_ratio: None,
        error_bytes: None,
        limit_bytes: None,
        trend: Trend::Unknown,
        before_range: None,
        after_range: None,
    }
}

/// How many standard errors a normal value must be off in either direction to happen once in `1 / FALSE_ALARMS` sets
/// of so many comparisons. By Mills' bound of the tail, which is a little too strict.
pub(super) fn sigmas(comparisons: usize) -> f64 {
    let tail = FALSE_ALARMS / comparisons.max(1) as f64;
    // tail = 2 exp(-z²/2) / (z sqrt(2 pi)), solved for z; each round halves the error at least.
    let mut z: f64 = 3.0;
    for _ in 0..20 {
        z = (2.0 * (2.0 / (tail * z * (2.0 * std::f64::consts::PI).sqrt())).ln()).sqrt();
    }
    z
}

/// What changed before what did not, the largest first.
pub(super) fn order(a: &Figure, b: &Figure) -> std::cmp::Ordering {
    let key = |figure: &Figure| {
        let level = figure.before_bytes.max(figure.after_bytes);
        (
            figure.has_changed(),
            if figure.has_changed() { figure.size() } else { 0 },
            level,
        )
    };
    key(b).cmp(&key(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(bytes: u64, error: u64) -> Amount {
        Amount {
            bytes,
            blocks: 1,
            variance: error * error,
        }
    }

    fn one(bytes: u64, error: u64) -> Estimate {
        Estimate::of(&[amount(bytes, error)])
    }

    const RULE: Rule = Rule {
        sigmas: 4.0,
        floor: 100,
        unseen: 0.0,
    };

    #[test]
    fn the_sigmas_are_those_of_the_normal_distribution() {
        // Two-sided tails 0.001, 1e-5 and 1e-6.
        for (comparisons, expected) in [(1, 3.29), (100, 4.42), (1000, 4.89)] {
            let found = sigmas(comparisons);
            assert!((found - expected).abs() < 0.03, "{comparisons}: {found}");
        }
        assert_eq!(sigmas(0), sigmas(1));
    }

    #[test]
    fn a_change_inside_of_the_error_is_none() {
        // The errors in quadrature are 500, times four sigmas 2000.
        let figure = |after| judge(one(10_000, 300), one(after, 400), RULE);
        assert_eq!(figure(12_000).trend, Trend::NoChange);
        assert_eq!(figure(12_001).trend, Trend::Rose);
        assert_eq!(figure(7_000).trend, Trend::Fell);
        assert_eq!(
            (figure(12_001).limit_bytes, figure(12_001).error_bytes),
            (Some(2000), Some(500))
        );
        assert_eq!(figure(7_000).change_bytes, Some(-3000));
    }

    #[test]
    fn a_change_below_the_floor_is_none() {
        assert_eq!(judge(one(1000, 0), one(1100, 0), RULE).trend, Trend::NoChange);
        assert_eq!(judge(one(1000, 0), one(1101, 0), RULE).trend, Trend::Rose);
        assert_eq!(HEAP.of(1 << 30), (1 << 30) / 100);
        assert_eq!(HEAP.of(0), MIB);
    }

    #[test]
    fn a_line_that_was_not_sampled_may_have_memory() {
        let rule = Rule {
            unseen: 64.0 * 64.0,
            ..RULE
        };
        assert_eq!(judge(one(0, 0), one(200, 0), rule).trend, Trend::NoChange);
        assert_eq!(judge(one(0, 0), one(200, 0), RULE).trend, Trend::Rose);
    }

    #[test]
    fn a_change_inside_of_the_spread_is_none() {
        let side = |values: &[u64]| Estimate::exactly(values);
        let figure = judge(side(&[1000, 1400, 1100]), side(&[1500, 1600, 1900]), RULE);
        assert_eq!((figure.before_bytes, figure.after_bytes), (Some(1100), Some(1600)));
        assert_eq!(figure.trend, Trend::NoChange, "{figure:?}");
        assert_eq!(figure.before_range, Some((1000, 1400)));
        let figure = judge(side(&[1000, 1040, 1020]), side(&[1500, 1540, 1520]), RULE);
        assert_eq!(figure.trend, Trend::Rose);
    }

    #[test]
    fn medians_of_even_numbers_lie_between() {
        assert_eq!(median(&mut [4, 1]), 2);
        assert_eq!(median(&mut []), 0);
        assert_eq!(median(&mut [u64::MAX, u64::MAX]), u64::MAX);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let figure = judge(one(0, 0), one(u64::MAX, 0), RULE);
        assert_eq!((figure.change_bytes, figure.trend), (Some(i64::MAX), Trend::Rose));
    }
}
