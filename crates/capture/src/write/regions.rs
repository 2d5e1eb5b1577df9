//! Events of regions: those of the program, and those of a fold.

use super::{Full, SegmentWriter};
use crate::wire::tag;
use crate::{Event, StringId};

impl SegmentWriter<'_> {
    /// The program entered a region; see [`crate::Event::RegionEnter`].
    pub fn region_enter(&mut self, number: u32, outer: u32, name: StringId) -> Result<(), Full> {
        self.event(tag::REGION_ENTER, &[number, outer, name.0].map(u64::from), &[])
    }

    /// The program left a region.
    pub fn region_leave(&mut self, number: u32) -> Result<(), Full> {
        self.event(tag::REGION_LEAVE, &[u64::from(number)], &[])
    }

    /// The events that follow belong to this region, or to none (0).
    pub fn region(&mut self, number: u32) -> Result<(), Full> {
        self.event(tag::REGION, &[u64::from(number)], &[])
    }

    /// Folded: events of regions; others are ignored.
    pub(super) fn folded_region(&mut self, event: &Event<'_>) -> Result<(), Full> {
        match *event {
            Event::RegionTotals {
                track,
                name,
                entries,
                unfinished,
                nanos,
            } => {
                let numbers = [u64::from(track), u64::from(name.0), entries, unfinished, nanos];
                self.event(tag::REGION_TOTALS, &numbers, &[])
            }
            Event::RegionOpen {
                track,
                number,
                outer,
                name,
                entered_nanos,
                code,
                repeated,
            } => {
                let [track, number, outer, name, code] = [track, number, outer, name.0, code.0].map(u64::from);
                {
                    let numbers = [track, number, outer, name, entered_nanos, code, u64::from(repeated)];
                    self.event(tag::REGION_OPEN, &numbers, &[])
                }
            }
            Event::RegionAmount {
                kind,
                bytes,
                milliblocks,
                variance,
            } => self.event(tag::REGION_AMOUNT, &[kind as u64, bytes, milliblocks, variance], &[]),
            Event::RegionSpan {
                track,
                name,
                first_nanos,
                last_nanos,
            } => {
                let numbers = [u64::from(track), u64::from(name.0), first_nanos, last_nanos];
                self.event(tag::REGION_SPAN, &numbers, &[])
            }
            Event::RegionOwner {
                addr,
                track,
                number,
                mapping,
            } => {
                let numbers = [u64::from(track), u64::from(number), u64::from(mapping)];
                self.with_addr_or_full(tag::REGION_OWNER, addr, &numbers)
            }
            Event::RegionLeft { track, number, outer } => {
                self.event(tag::REGION_LEFT, &[track, number, outer].map(u64::from), &[])
            }
            _ => Ok(()),
        }
    }
}
