//! Findings that came, went and stayed.

use std::collections::BTreeMap;

use super::model::{FindingChange, SiteChange, Standing, Trend};
use super::significance::{Estimate, Floor, Rule, judge, order};
use crate::identity::Fingerprint;
use crate::model::{Finding, FindingKind};

/// A finding in the runs of a side.
pub(super) struct FindingRow {
    found: Finding,
    /// Bytes in each run; `None` in one that does not have it.
    bytes: Vec<Option<u64>>,
}

impl FindingRow {
    pub(super) fn new(found: Finding, runs: usize) -> FindingRow {
        FindingRow {
            found,
            bytes: vec![None; runs],
        }
    }

    pub(super) fn add(&mut self, run: usize, bytes: u64) {
        if let Some(place) = self.bytes.get_mut(run) {
            *place = Some(bytes);
        }
    }

    pub(super) fn is_in_most(&self) -> bool {
        2 * self.bytes.iter().flatten().count() > self.bytes.len()
    }

    fn estimate(&self) -> Estimate {
        let bytes: Vec<u64> = self.bytes.iter().map(|bytes| bytes.unwrap_or(0)).collect();
        Estimate::exactly(&bytes)
    }
}

/// What the size of a finding may differ by from run to run, of itself: resident memory depends on the luck of
/// addresses, and what is counted at one moment on that moment.
const OF_ITSELF: Floor = Floor { part: 0.25, least: 0 };

/// Compares the findings of two sides. A finding that is absent on a side is below the size from which it is reported
/// there: `floor` is well above that. `snapshot_floor` is for what heap snapshots tell.
pub(super) fn compare(
    before: &BTreeMap<Fingerprint, FindingRow>,
    after: &BTreeMap<Fingerprint, FindingRow>,
    runs: (usize, usize),
    floor: u64,
    snapshot_floor: u64,
) -> Vec<FindingChange> {
    let mut names: Vec<&Fingerprint> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes: Vec<FindingChange> = names
        .into_iter()
        .filter_map(|name| {
            let (was, is) = (before.get(name), after.get(name));
            let shown = &is.or(was)?.found;
            let standing = match (was, is) {
                (Some(_), Some(_)) => Standing::Stayed,
                (Some(_), None) => Standing::Went,
                _ => Standing::Came,
            };
            let estimate = |row: Option<&FindingRow>, runs: usize| {
                row.map_or_else(|| Estimate::exactly(&vec![0; runs]), FindingRow::estimate)
            };
            let (was_bytes, is_bytes) = (estimate(was, runs.0), estimate(is, runs.1));
            let from_snapshots = matches!(
                shown.kind,
                FindingKind::CyclicGarbage | FindingKind::Uncollectable | FindingKind::GrowingHolder
            );
            let least = if from_snapshots { snapshot_floor } else { floor };
            let of_itself = match standing {
                Standing::Stayed => OF_ITSELF.of(was_bytes.bytes.max(is_bytes.bytes)),
                _ => 0,
            };
            let rule = Rule {
                sigmas: 0.0,
                floor: least.max(of_itself),
                unseen: 0.0,
            };
            let mut figure = judge(was_bytes, is_bytes, rule);
            // There is no being out of memory by chance.
            if shown.kind == FindingKind::OutOfMemory {
                figure.trend = match standing {
                    Standing::Came => Trend::Rose,
                    Standing::Went => Trend::Fell,
                    Standing::Stayed => Trend::NoChange,
                };
            }
            let site = shown.user_sites.first().or(shown.sites.first());
            Some(FindingChange {
                fingerprint: name.to_string(),
                kind: shown.kind,
                standing,
                figure,
                before_severity: was.map(|row| row.found.severity),
                after_severity: is.map(|row| row.found.severity),
                type_name: shown.type_name.clone(),
                chain: shown.chain.clone(),
                cycle: shown.cycle,
                at: site.map(|site| site.at.clone()),
                title: shown.title.clone(),
                suggestion: is.and_then(|row| row.found.suggestion.clone()),
            })
        })
        .collect();
    changes.sort_by(|a, b| order(&a.figure, &b.figure).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    changes
}

/// A finding that came or went although its line kept as much. Of spikes another one is the peak now, and the finding was
/// hidden, or is; and whether something grew is seen in some runs' snapshots and not in others'.
pub(super) fn other_moments(changes: &mut [FindingChange], user_sites: &[SiteChange]) {
    for change in changes.iter_mut() {
        let is_of_moments = matches!(change.kind, FindingKind::PeakSpike | FindingKind::GrowingHolder);
        if !is_of_moments || change.standing == Standing::Stayed {
            continue;
        }
        let is_its_line = |site: &&SiteChange| {
            let at = match change.standing {
                Standing::Went => &site.before,
                _ => &site.after,
            };
            at.is_some() && *at == change.at
        };
        if user_sites
            .iter()
            .find(is_its_line)
            .is_some_and(|site| !site.figure.has_changed())
        {
            change.figure.trend = Trend::NoChange;
        }
    }
    changes.sort_by(|a, b| order(&a.figure, &b.figure).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
}
