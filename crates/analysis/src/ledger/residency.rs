//! Which of a process's anonymous memory is resident, by address.

use deadweight_capture::rss_samples::{Area, AreaKind, PAGE, ProcessRssSample};

/// Blocks smaller than this, in bytes, have been written to by their allocator: one is resident if its surroundings are.
const SMALL: u64 = 4 * PAGE;

/// The areas of a process's RSS sample, indexed by address.
pub(super) struct Residency<'a> {
    /// Sorted by address.
    areas: Vec<Indexed<'a>>,
    proportional: bool,
}

/// An area with sums over its runs.
pub(super) struct Indexed<'a> {
    area: &'a Area,
    /// Of each run: where it begins, resident bytes before it, and the resident part of its own bytes (0 to 1).
    runs: Vec<(u64, f64, f64)>,
}

impl<'a> Residency<'a> {
    pub fn new(sample: &'a ProcessRssSample) -> Residency<'a> {
        let mut areas: Vec<Indexed<'a>> = sample
            .areas
            .iter()
            .filter(|area| area.start < area.end)
            .map(Indexed::new)
            .collect();
        areas.sort_by_key(|indexed| indexed.area.start);
        Residency {
            areas,
            proportional: sample.proportional,
        }
    }

    /// The area at an address.
    pub fn at(&self, addr: u64) -> Option<&Indexed<'a>> {
        let after = self.areas.partition_point(|indexed| indexed.area.start <= addr);
        self.areas
            .get(after.checked_sub(1)?)
            .filter(|indexed| addr < indexed.area.end)
    }

    /// The areas that overlap a range.
    fn within(&self, start: u64, end: u64) -> impl Iterator<Item = &Indexed<'a>> {
        let from = self.areas.partition_point(|indexed| indexed.area.end <= start);
        let areas = self.areas.get(from..).unwrap_or_default();
        areas.iter().take_while(move |indexed| indexed.area.start < end)
    }

    /// Resident bytes of a range.
    pub fn resident(&self, start: u64, end: u64) -> f64 {
        self.within(start, end)
            .map(|indexed| indexed.resident(start, end))
            .sum()
    }

    /// Resident bytes of a range as the sample counts them: shared pages in proportion, if it does so.
    pub fn counted(&self, start: u64, end: u64) -> f64 {
        let share = |indexed: &Indexed<'_>| match self.proportional {
            true => indexed.area.pss as f64 / indexed.area.rss.max(1) as f64,
            false => 1.0,
        };
        self.within(start, end)
            .map(|indexed| indexed.resident(start, end) * share(indexed))
            .sum()
    }
}

impl<'a> Indexed<'a> {
    fn new(area: &'a Area) -> Indexed<'a> {
        let length = (area.end - area.start) as f64;
        let mut runs = Vec::new();
        let (mut at, mut before) = (area.start, 0.0);
        for &(units, pages) in &area.runs {
            let rate = (f64::from(pages) * PAGE as f64 / area.unit.max(1) as f64).min(1.0);
            runs.push((at, before, rate));
            let next = at
                .saturating_add(u64::from(units).saturating_mul(area.unit))
                .min(area.end);
            before += next.saturating_sub(at) as f64 * rate;
            at = next;
        }
        if runs.is_empty() {
            runs.push((area.start, 0.0, (area.rss as f64 / length).min(1.0)));
        }
        Indexed { area, runs }
    }

    pub fn kind(&self) -> AreaKind {
        self.area.kind
    }

    /// Resident bytes between the beginning of the area and an address.
    fn below(&self, addr: u64) -> f64 {
        let addr = addr.clamp(self.area.start, self.area.end);
        let after = self.runs.partition_point(|(start, ..)| *start <= addr);
        let run = after.checked_sub(1).and_then(|at| self.runs.get(at));
        run.map_or(0.0, |(start, before, rate)| before + (addr - start) as f64 * rate)
    }

    fn resident(&self, start: u64, end: u64) -> f64 {
        (self.below(end) - self.below(start)).max(0.0)
    }

    /// The resident part of a block, from 0 to 1.
    pub fn resident_share(&self, start: u64, end: u64) -> f64 {
        let end = end.min(self.area.end).max(start.saturating_add(1));
        let share = (self.resident(start, end) / (end - start) as f64).min(1.0);
        if end - start < SMALL && share > 0.0 { 1.0 } else { share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ProcessRssSample {
        let area = |start: u64, pages: u64, runs: Vec<(u32, u32)>, rss: u64| Area {
            kind: AreaKind::Anonymous,
            start,
            end: start + pages * PAGE,
            rss,
            pss: rss / 2,
            uss: 0,
            runs,
            unit: 16 * PAGE,
        };
        ProcessRssSample {
            proportional: true,
            areas: vec![
                area(1 << 20, 64, vec![(1, 16), (2, 8), (1, 0)], 32 * PAGE),
                area(4 << 20, 10, Vec::new(), 10 * PAGE),
            ],
            ..ProcessRssSample::default()
        }
    }

    #[test]
    fn ranges_are_as_resident_as_what_they_touch() {
        let sample = sample();
        let residency = Residency::new(&sample);
        let bytes = |pages: u64| (pages * PAGE) as f64;
        assert_eq!(residency.resident(0, 8 << 20), bytes(42));
        assert_eq!(residency.counted(0, 8 << 20), bytes(21));
        assert_eq!(residency.resident(1 << 20, (1 << 20) + 24 * PAGE), bytes(20));
        assert!(residency.at((1 << 20) - 1).is_none() && residency.at(2 << 20).is_none());
    }

    #[test]
    fn a_small_block_is_there_or_not_and_a_large_one_in_part() {
        let sample = sample();
        let residency = Residency::new(&sample);
        let start = 1 << 20;
        let area = residency.at(start).unwrap();
        assert_eq!(area.resident_share(start + 20 * PAGE, start + 20 * PAGE + 100), 1.0);
        assert_eq!(area.resident_share(start + 50 * PAGE, start + 50 * PAGE + 100), 0.0);
        assert_eq!(area.resident_share(start, start + 64 * PAGE), 0.5);
    }
}
