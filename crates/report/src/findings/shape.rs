//! How an amount went over time: whether it grew, and how.
//!
//! The input is a row of samples at equal distances of time, in bytes. Each is compared with the highest one, so that the
//! same rules hold for any size. Sampling is noisy, so no rule asks that every sample be higher than the one before.
//! The numbers are in [`thresholds`](super::thresholds).

use crate::findings::thresholds as limit;
use crate::words::units;

/// The shape of growth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Shape {
    /// It did not grow to speak of, or rose and fell without a trend.
    Level,
    /// More than 34 % of it came between two samples: an import, a table built once, data loaded once.
    OneOff,
    /// It grew, and then stayed: a cache or a pool that is full.
    Bounded,
    /// It fell by at least 33 % of the highest sample and rose by as much again: a buffer that is emptied, garbage that is
    /// collected.
    Sawtooth,
    /// It grew at a steady pace until the last sample.
    Linear(Line),
}

/// A straight line through the growing part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Line {
    /// The sample at which the growth begins.
    pub(crate) from: usize,
    /// Growth from one sample to the next, in bytes.
    pub(crate) per_sample: f64,
    /// The part of the variance that the line explains, 0 to 1.
    pub(crate) fit: f64,
}

/// The steady growth of a row of samples until the last one, if there is such.
///
/// Steady in time; or, where the program was held up for some of the time, steady in `allocated`: what it had allocated by each
/// sample and later ones, freed since or not, which tells how far its work had come. A machine that hands out fresh memory slowly or is
/// busy with others bends the first line, not the second. But growth that had ended in time is none.
pub(crate) fn steady_growth(samples: &[u64], allocated: &[u64]) -> Option<Line> {
    match shape(samples) {
        Shape::Linear(line) => Some(line),
        Shape::Level | Shape::Bounded if goes_on(samples) => {
            let Shape::Linear(of_work) = shape(&by_work(samples, allocated)) else {
                return None;
            };
            let (from, grown) = begun(samples);
            let growth = grown.last()?.saturating_sub(*grown.first()?);
            let per_sample = growth as f64 / (grown.len() - 1).max(1) as f64;
            let fit = of_work.fit;
            Some(Line { from, per_sample, fit })
        }
        _ => None,
    }
}

/// Whether it grew to the end, if only slowly: by 5 % of all growth in the last third of the time, and by 1.7 % in the last
/// sixth.
fn goes_on(samples: &[u64]) -> bool {
    let (_, grown) = begun(samples);
    let (Some(&first), Some(&last)) = (grown.first(), grown.last()) else {
        return false;
    };
    let growth = last.saturating_sub(first);
    let since = |sixth: usize| last.saturating_sub(grown[(grown.len() - 1) * sixth / 6]);
    growth > 0
        && since(4) >= limit::GOES_ON_IN_LAST_THIRD.of(growth)
        && since(5) >= limit::GOES_ON_IN_LAST_SIXTH.of(growth)
}

/// The same samples as if they had been taken each time that the program had allocated as much again.
fn by_work(samples: &[u64], allocated: &[u64]) -> Vec<u64> {
    let allocated = allocated.get(..samples.len()).unwrap_or_default();
    let (Some(&first), Some(&last)) = (allocated.first(), allocated.last()) else {
        return Vec::new();
    };
    let steps = samples.len().saturating_sub(1) as u64;
    // A fold of an earlier version does not know.
    if first == 0 || last <= first || steps == 0 {
        return Vec::new();
    }
    let level = |step: u64| {
        let work = first + (u128::from(last - first) * u128::from(step) / u128::from(steps)) as u64;
        let after = allocated.partition_point(|&done| done < work).min(samples.len() - 1);
        let before = after.saturating_sub(1);
        let (done, more) = (allocated[before], allocated[after].saturating_sub(allocated[before]));
        let part = work.saturating_sub(done) as f64 / more.max(1) as f64;
        let (from, to) = (samples[before] as f64, samples[after] as f64);
        (from + (to - from) * part.clamp(0.0, 1.0)) as u64
    };
    (0..=steps).map(level).collect()
}

/// The sample at which it began, the first above 5 % of the highest one, and the samples from there on.
fn begun(samples: &[u64]) -> (usize, &[u64]) {
    let highest = samples.iter().copied().max().unwrap_or(0);
    let from = samples
        .iter()
        .position(|&level| level > limit::GROWTH_BEGINS_OF_HIGHEST.of(highest))
        .unwrap_or(0);
    (from, &samples[from..])
}

/// Judges a row of samples.
pub(crate) fn shape(samples: &[u64]) -> Shape {
    let highest = samples.iter().copied().max().unwrap_or(0);
    if highest == 0 {
        return Shape::Level;
    }
    let (from, grown) = begun(samples);
    let (Some(&first), Some(&last)) = (grown.first(), grown.last()) else {
        return Shape::Level;
    };
    if count_dips(grown, highest) > 0 {
        return Shape::Sawtooth;
    }
    let growth = last.saturating_sub(first.min(last));
    if growth <= limit::GROWTH_LEAST_OF_HIGHEST.of(highest) {
        // All of it was there from the start, or is gone.
        return if last > limit::ONE_OFF_STAYS_OF_HIGHEST.of(highest) {
            Shape::OneOff
        } else {
            Shape::Level
        };
    }
    let steps = grown.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let largest = steps.max().unwrap_or(0);
    if grown.len() < limit::GROWTH_LEAST_SAMPLES || largest as f64 > limit::GROWTH_LARGEST_STEP_RATIO * growth as f64 {
        return Shape::OneOff;
    }
    // Steady growth has about a third of itself in each third of the time.
    let at = |part: usize| grown[(grown.len() - 1) * part / 6];
    let in_last_third = last.saturating_sub(at(4));
    let in_last_sixth = last.saturating_sub(at(5));
    if in_last_third < limit::STEADY_IN_LAST_THIRD.of(growth) || in_last_sixth < limit::STEADY_IN_LAST_SIXTH.of(growth)
    {
        return Shape::Bounded;
    }
    let (per_sample, fit) = line(grown);
    if fit < limit::GROWTH_LEAST_FIT_RATIO || per_sample <= 0.0 {
        return Shape::Level;
    }
    Shape::Linear(Line { from, per_sample, fit })
}

/// Whether it grew and then stayed for the last quarter of the time.
pub(crate) fn has_settled(samples: &[u64]) -> bool {
    let highest = samples.iter().copied().max().unwrap_or(0);
    let (Some(&first), Some(&last)) = (samples.first(), samples.last()) else {
        return false;
    };
    let last_quarter = samples.get(samples.len() * 3 / 4..).unwrap_or_default();
    let before = samples.len() - last_quarter.len();
    let reached = samples
        .get(..before)
        .unwrap_or_default()
        .iter()
        .copied()
        .max()
        .unwrap_or(0);
    let growth = highest.saturating_sub(first.min(highest));
    samples.len() >= limit::GROWTH_LEAST_SAMPLES
        && last >= limit::SETTLED_STAYS_OF_HIGHEST.of(highest)
        && growth > limit::GROWTH_LEAST_OF_HIGHEST.of(highest)
        && highest.saturating_sub(reached) < limit::SETTLED_ADDS_OF_GROWTH.of(growth)
}

/// How often it fell by at least 33 % of the highest sample and rose by as much again.
fn count_dips(samples: &[u64], highest: u64) -> usize {
    let least = limit::DIP_OF_HIGHEST.of(highest);
    let (mut top, mut bottom, mut falling, mut count) = (0u64, u64::MAX, false, 0);
    for &level in samples {
        if falling {
            bottom = bottom.min(level);
            if level >= bottom.saturating_add(least) {
                (falling, top, count) = (false, level, count + 1);
            }
        } else {
            top = top.max(level);
            if level.saturating_add(least) <= top {
                (falling, bottom) = (true, level);
            }
        }
    }
    count
}

/// Slope, and the part of the variance that it explains, of the least-squares line.
fn line(samples: &[u64]) -> (f64, f64) {
    let n = samples.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = samples.iter().map(|&level| level as f64).sum::<f64>() / n;
    let (mut together, mut time, mut level) = (0.0, 0.0, 0.0);
    for (at, &sample) in samples.iter().enumerate() {
        let (dx, dy) = (at as f64 - middle, sample as f64 - mean);
        together += dx * dy;
        time += dx * dx;
        level += dy * dy;
    }
    if time == 0.0 || level == 0.0 {
        return (0.0, 0.0);
    }
    (together / time, together * together / (time * level))
}

/// `by 43.0 MiB a second over 16.2 s`, of a number of samples that are `width` seconds apart.
pub(crate) fn pace(trend: &Line, width: f64, samples: usize) -> String {
    let a_second = (trend.per_sample / width).max(0.0) as u64;
    let seconds = units::duration(samples.saturating_sub(trend.from) as f64 * width);
    if a_second >= 1 << 20 {
        format!("by {} a second over {seconds}", units::size(a_second))
    } else {
        format!(
            "by {} a minute over {seconds}",
            units::size(a_second.saturating_mul(60))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Up to a few percent of noise, the same every time.
    fn noisy(level: u64, at: u64) -> u64 {
        level + level / 40 * (at.wrapping_mul(2_654_435_761) % 3)
    }

    fn of(count: u64, level: impl Fn(u64) -> u64) -> Shape {
        let samples: Vec<u64> = (0..count).map(|at| noisy(level(at), at)).collect();
        shape(&samples)
    }

    #[test]
    fn steady_growth_is_linear() {
        let found = of(100, |at| at * MIB);
        let Shape::Linear(line) = found else {
            panic!("{found:?}")
        };
        assert!(
            (line.per_sample / MIB as f64 - 1.0).abs() < 0.1 && line.fit > 0.98,
            "{line:?}"
        );
        assert!(
            matches!(of(100, |at| 50 * MIB + at * MIB), Shape::Linear(_)),
            "on a base"
        );
        assert!(
            matches!(of(100, |at| at.saturating_sub(60) * MIB), Shape::Linear(_)),
            "begun late"
        );
        assert!(matches!(of(64, |at| at / 4 * 4 * MIB), Shape::Linear(_)), "in steps");
        assert!(
            matches!(of(100, |at| at * MIB + at % 5 * 3 * MIB), Shape::Linear(_)),
            "with temporaries"
        );
    }

    #[test]
    fn what_fills_and_stops_is_bounded() {
        assert_eq!(of(100, |at| at.min(50) * MIB), Shape::Bounded);
        assert_eq!(of(100, |at| at.min(85) * MIB), Shape::Bounded);
        // A cache of random keys: 1 - exp(-t).
        let full = |at: u64| ((1.0 - (-(at as f64) / 20.0).exp()) * 100.0) as u64 * MIB;
        assert_eq!(of(100, full), Shape::Bounded);
    }

    #[test]
    fn growth_has_settled_if_the_last_quarter_adds_nothing() {
        let settled = |level: fn(u64) -> u64| {
            let samples: Vec<u64> = (0..100).map(|at| noisy(level(at), 0)).collect();
            has_settled(&samples)
        };
        assert!(settled(|at| at.min(60) * MIB));
        assert!(settled(|at| if at < 30 { 0 } else { 100 * MIB }));
        assert!(!settled(|at| at * MIB), "it goes on");
        assert!(!settled(|at| at.min(90) * MIB), "it has just stopped");
        assert!(!settled(|at| if at < 50 { at * MIB } else { 0 }), "it is gone");
        assert!(!settled(|_| 100 * MIB), "it never grew");
        assert!(!has_settled(&[1, 2, 2, 2]), "too few samples");
    }

    #[test]
    fn what_comes_at_once_is_one_off() {
        assert_eq!(of(100, |at| if at < 3 { 0 } else { 100 * MIB }), Shape::OneOff);
        assert_eq!(of(100, |at| if at < 60 { 40 * MIB } else { 100 * MIB }), Shape::OneOff);
        assert_eq!(of(100, |_| 100 * MIB), Shape::OneOff);
    }

    #[test]
    fn what_is_emptied_again_and_again_is_a_sawtooth() {
        assert_eq!(of(100, |at| at % 10 * MIB), Shape::Sawtooth);
        assert_eq!(of(100, |at| at % 40 * MIB), Shape::Sawtooth);
        // A collector that comes more and more seldom.
        let collected = |at: u64| {
            if at < 20 {
                at
            } else if at < 50 {
                at - 20
            } else {
                at - 50
            }
        };
        assert_eq!(of(100, |at| collected(at) * MIB), Shape::Sawtooth);
    }

    #[test]
    fn what_is_gone_or_never_was_is_level() {
        assert_eq!(of(100, |at| if at < 50 { 100 * MIB } else { MIB }), Shape::Level);
        assert_eq!(shape(&[]), Shape::Level);
        assert_eq!(shape(&[0; 50]), Shape::Level);
        assert_eq!(shape(&[5]), Shape::OneOff);
    }

    #[test]
    fn a_program_that_was_held_up_grew_steadily_as_it_worked() {
        // Ten times as slow from the 60th sample on; it allocates three times what it keeps.
        let work = |at: u64| at.min(60) * 10 + at.saturating_sub(60);
        let series = |level: &dyn Fn(u64) -> u64| (0..100).map(|at| level(at) * MIB).collect::<Vec<u64>>();
        let allocated = series(&|at| 5 + work(at) * 3);
        let level = series(&work);
        assert_eq!(shape(&level), Shape::Bounded);
        let line = steady_growth(&level, &allocated).expect("steady");
        assert!((line.per_sample / MIB as f64 - 6.4).abs() < 0.2, "{line:?}");
        // It is not known how far the work had come.
        assert_eq!(steady_growth(&level, &[0; 100]), None);
        assert_eq!(steady_growth(&level, &[]), None);
        // A cache that fills while the program works on.
        assert_eq!(steady_growth(&level, &series(&|at| 5 + at * 30)), None);
        // What was built with all that the program allocated, and was there for the rest of its time.
        let built = |at: u64| at.min(50);
        assert_eq!(steady_growth(&series(&built), &series(&|at| 5 + built(at))), None);
        // Steady in time is steady, however much is allocated beside it.
        assert!(steady_growth(&series(&|at| at), &series(&|at| 5 + at * at)).is_some());
    }

    #[test]
    fn a_few_samples_are_no_evidence_of_steady_growth() {
        assert_eq!(of(8, |at| at * MIB), Shape::OneOff);
    }

    /// Whether samples are judged so, one step below a threshold and at it.
    fn pair(is: fn(Shape) -> bool, below: &[u64], at: &[u64]) -> [bool; 2] {
        [is(shape(below)), is(shape(at))]
    }

    #[test]
    fn the_thresholds_of_shapes_hold_to_the_sample_and_the_byte() {
        let is_linear = |shape| matches!(shape, Shape::Linear(_));
        let row = |count: u64| (1..=count).collect::<Vec<u64>>();
        assert_eq!(pair(is_linear, &row(11), &row(12)), [false, true], "12 samples");
        let is_sawtooth = |shape| shape == Shape::Sawtooth;
        let dip = |to: u64| [300, to, 300];
        assert_eq!(
            pair(is_sawtooth, &dip(201), &dip(200)),
            [false, true],
            "33 % of the highest"
        );
        let is_one_off = |shape| shape == Shape::OneOff;
        assert_eq!(
            pair(is_one_off, &[300, 150], &[300, 151]),
            [false, true],
            "50 % of the highest"
        );
        let settled = |last: u64| {
            let samples: Vec<u64> = (0..12).map(|at| if at < 3 { 0 } else { 300 }).chain([last]).collect();
            has_settled(&samples)
        };
        assert_eq!([settled(199), settled(200)], [false, true], "67 % of the highest");
    }
}
