//! Findings out of heap snapshots: what keeps memory alive.

pub(crate) mod advice;
mod garbage;
mod history;
mod holders;
mod leaks;
mod pinned;

pub(crate) use holders::expression;

use super::evidence::Evidence;
use crate::model::{Finding, Report};

/// All findings of these kinds.
pub(crate) fn find(evidence: &Evidence<'_>, report: &Report) -> Vec<Finding> {
    let mut found = garbage::collectable(evidence, report);
    found.extend(garbage::uncollectable(evidence, report));
    found.extend(leaks::lost_references(evidence, report));
    found.extend(holders::growing(evidence, report));
    found.extend(leaks::native(evidence, report));
    found.extend(pinned::find(evidence, report));
    found
}
