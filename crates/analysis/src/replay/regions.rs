//! The regions of a process: those that the program enters itself, and functions that are treated as regions.

mod born;
mod function_name;
mod functions;
mod track;

use deadweight_capture::Event;

pub(crate) use self::born::Born;
pub use self::function_name::is_function_name;
pub(crate) use self::function_name::{FunctionName, functions};
use self::functions::Functions;
use self::track::Track;
use crate::replay::weight::Weight;
use crate::stacks::StackTree;
use crate::{Region, RegionSource};

/// All regions of one process. Track 0 holds the program's own, track n those of the n-th function.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// Whether there are any regions.
    is_used: bool,
    own: Track,
    functions: Functions,
}

impl Regions {
    /// Treats these functions as regions.
    pub fn new(functions: &[FunctionName]) -> Regions {
        Regions {
            is_used: !functions.is_empty(),
            own: Track::default(),
            functions: Functions::new(functions),
        }
    }

    /// Whether [`Regions::born`], [`Regions::dead`] and [`Regions::cut`] have to be called.
    #[inline(always)]
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// Python has this version (`Py_Version`).
    pub fn set_python(&mut self, version: u32) {
        self.functions.plain_names = version < 0x030b_0000;
    }

    /// Takes an event of the program's own regions.
    pub fn event(&mut self, event: &Event<'_>, nanos: u64, live: Weight) {
        self.is_used = true;
        match *event {
            Event::RegionEnter { number, outer, name } => self.own.enter((number, outer), name, nanos, live),
            Event::RegionLeave { number } => self.own.leave(number, nanos),
            Event::Region { number } => self.own.mark(number),
            _ => {}
        }
    }

    #[cold]
    pub fn born(&mut self, born: &Born, stacks: &StackTree) {
        self.own.born(born);
        self.functions.born(born, stacks);
    }

    /// A block, or a part of a mapping, is gone.
    #[cold]
    pub fn dead(&mut self, addr: u64, weight: Weight) {
        for track in self.tracks_mut() {
            let owner = track.forget(addr, false);
            track.dead(owner, weight);
        }
    }

    /// `weight` of the mapping that began at `start` is gone; what is left of it begins at `rest`.
    pub fn cut(&mut self, start: u64, weight: Weight, rest: &[u64]) {
        for track in self.tracks_mut() {
            let owner = track.forget(start, true);
            track.dead(owner, weight);
            for &start in rest {
                track.own(start, true, owner);
            }
        }
    }

    /// The process has ended: open regions end here.
    pub fn stop(&mut self, nanos: u64) {
        self.tracks_mut().for_each(|track| track.stop(nanos));
    }

    fn tracks_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        std::iter::once(&mut self.own).chain(self.functions.tracks_mut())
    }

    fn tracks(&self) -> impl Iterator<Item = (u32, &Track)> {
        (0..).zip(std::iter::once(&self.own).chain(self.functions.tracks()))
    }

    /// The answer. Regions that were not left end now.
    pub fn answer(mut self, nanos: u64, stacks: &StackTree) -> Vec<Region> {
        self.tracks_mut().for_each(|track| track.stop(nanos));
        let mut regions = Vec::new();
        for (number, track) in self.tracks() {
            for (name, sums) in track.sums() {
                let (text, source) = match self.functions.name(number) {
                    Some(name) => (name.to_owned(), RegionSource::Function),
                    None => (stacks.text(name).to_owned(), RegionSource::Program),
                };
                regions.push(sums.answer(text, source));
            }
        }
        regions
    }

    // ---- folds ----

    /// The events that a fold keeps.
    pub fn folded(&self) -> Vec<Event<'static>> {
        let mut events = Vec::new();
        if self.is_used {
            events.push(Event::Region {
                number: self.own.marked(),
            });
        }
        for (number, track) in self.tracks() {
            track.folded(number, self.functions.outermost(number), &mut events);
        }
        events
    }

    /// Restores from an event of a fold.
    pub fn restore(&mut self, event: &Event<'_>) {
        self.is_used = true;
        let number = match *event {
            Event::Region { number } => return self.own.mark(number),
            Event::RegionTotals { track, .. }
            | Event::RegionOpen { track, .. }
            | Event::RegionSpan { track, .. }
            | Event::RegionOwner { track, .. }
            | Event::RegionLeft { track, .. } => Some(track),
            _ => None,
        };
        self.functions.restoring = number.unwrap_or(self.functions.restoring);
        let number = self.functions.restoring;
        if let Some(track) = self.tracks_mut().nth(number as usize) {
            track.restore(event);
        }
        if let Event::RegionOpen {
            number: entered, code, ..
        } = *event
        {
            self.functions.restore_inside(number, entered, code);
        }
    }
}
