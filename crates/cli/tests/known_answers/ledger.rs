//! A second, simple replay of one process's events: large blocks one by one, and the heap's total.
//!
//! It shares nothing with `deadweight-analysis` but the reader, so that the two can be held against each other.

use std::collections::{BTreeMap, HashMap};

use deadweight_capture::read::{Capture, ProcessId, Tail, segments};
use deadweight_capture::{Event, MapKind, StackId};

/// Blocks of at least this size are kept one by one. In a sampled run all of them are recorded: four intervals.
pub const LARGE: u64 = 256 * 1024;

/// Size and stack.
pub type Block = (u64, StackId);

#[derive(Clone, Copy)]
struct Mapping {
    end: u64,
    anonymous: bool,
    stack: StackId,
}

/// What the events of one process say.
#[derive(Default)]
pub struct Ledger {
    /// Every large block that was ever made.
    pub births: Vec<Block>,
    /// Large blocks and mappings live when the process's heap was highest, and at the end.
    pub large_at_peak: Vec<Block>,
    pub large_at_end: Vec<Block>,
    /// The highest heap and the last one; in a sampled run an estimate.
    pub peak: f64,
    pub end: f64,
    /// Anonymous bytes mapped by the program, after each change.
    pub mapped: Vec<u64>,
    pub tails: Vec<Tail>,
    /// Blocks that were never freed although another was born at their address: the old one, the new one.
    pub unseen_frees: Vec<(Block, Block)>,
    interval: u64,
    always: u64,
    blocks: HashMap<u64, Block>,
    large: HashMap<u64, Block>,
    mappings: BTreeMap<u64, Mapping>,
    /// Whether the heap has grown to a new peak that is not looked at yet.
    rising: bool,
}

impl Ledger {
    /// Reads a process's segments. The capture must be too small to have been folded.
    pub fn of(capture: &Capture, process: ProcessId) -> Result<Ledger, String> {
        if capture.fold().is_some() {
            return Err("the capture is folded: this program is too large for this test".to_string());
        }
        let files = capture.processes().iter().find(|files| files.process == process);
        let mut ledger = Ledger::default();
        for file in files.into_iter().flat_map(|files| &files.segments) {
            let bytes = std::fs::read(&file.path).map_err(|error| error.to_string())?;
            if bytes.iter().take(8).all(|byte| *byte == 0) {
                continue; // the process was killed before it wrote the header
            }
            for segment in segments(&bytes) {
                let segment = segment.map_err(|error| format!("{}: {error}", file.path.display()))?;
                (ledger.interval, ledger.always) = match segment.header() {
                    header if header.exact => (0, 0),
                    header => (header.interval_bytes, header.always_bytes),
                };
                let mut events = segment.events();
                for event in events.by_ref() {
                    ledger.take(&event);
                }
                ledger.tails.push(events.tail());
            }
        }
        ledger.look_at_peak();
        ledger.large_at_end = ledger.large_now();
        Ok(ledger)
    }

    /// What a recorded block stands for.
    fn weight(&self, size: u64) -> f64 {
        if size >= self.always || self.interval == 0 {
            return size as f64;
        }
        let size = size.max(1) as f64;
        size / (1.0 - (-size / self.interval as f64).exp())
    }

    fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Alloc { addr, size, stack, .. } => {
                if let Some(old) = self.blocks.get(&addr.0) {
                    self.unseen_frees.push((*old, (size, stack)));
                }
                self.free(addr.0);
                self.blocks.insert(addr.0, (size, stack));
                if size >= LARGE {
                    self.large.insert(addr.0, (size, stack));
                    self.births.push((size, stack));
                }
                self.grow(self.weight(size));
            }
            Event::Free { addr } => self.free(addr.0),
            Event::Map { addr, len, kind, stack } => {
                let end = addr.0 + len;
                let anonymous = kind == MapKind::Anonymous;
                self.cut(addr.0, end);
                self.map(addr.0, Mapping { end, anonymous, stack });
                self.note_mapped();
            }
            Event::Unmap { addr, len } => {
                self.cut(addr.0, addr.0 + len);
                self.note_mapped();
            }
            Event::Remap {
                old,
                old_len,
                new,
                new_len,
                stack,
            } => {
                let pieces = self.cut(old.0, old.0 + old_len);
                self.cut(new.0, new.0 + new_len);
                let anonymous = pieces.first().is_some_and(|piece| piece.anonymous);
                let end = new.0 + new_len;
                self.map(new.0, Mapping { end, anonymous, stack });
                self.note_mapped();
            }
            _ => {}
        }
    }

    fn free(&mut self, addr: u64) {
        if let Some((size, _)) = self.blocks.remove(&addr) {
            self.shrink(self.weight(size));
            self.large.remove(&addr);
        }
    }

    fn grow(&mut self, bytes: f64) {
        self.end += bytes;
        self.rising |= self.end > self.peak;
    }

    fn shrink(&mut self, bytes: f64) {
        self.look_at_peak();
        self.end -= bytes;
    }

    fn look_at_peak(&mut self) {
        if self.rising && self.end > self.peak {
            self.peak = self.end;
            self.large_at_peak = self.large_now();
        }
        self.rising = false;
    }

    fn large_now(&self) -> Vec<Block> {
        let mapped = self
            .mappings
            .iter()
            .filter(|(start, map)| map.anonymous && map.end - **start >= LARGE);
        let mapped = mapped.map(|(start, map)| (map.end - start, map.stack));
        self.large.values().copied().chain(mapped).collect()
    }

    fn map(&mut self, start: u64, mapping: Mapping) {
        self.mappings.insert(start, mapping);
        if mapping.anonymous {
            self.grow((mapping.end - start) as f64);
        }
    }

    /// Takes a range out of all mappings and returns what was in it.
    fn cut(&mut self, start: u64, end: u64) -> Vec<Mapping> {
        self.look_at_peak();
        let touched = self.mappings.range(..end).filter(|(_, map)| map.end > start);
        let touched: Vec<(u64, Mapping)> = touched.map(|(at, map)| (*at, *map)).collect();
        for (at, map) in &touched {
            self.mappings.remove(at);
            if map.anonymous {
                self.shrink((map.end.min(end) - (*at).max(start)) as f64);
            }
            if *at < start {
                self.mappings.insert(*at, Mapping { end: start, ..*map });
            }
            if map.end > end {
                self.mappings.insert(end, *map);
            }
        }
        touched.into_iter().map(|(_, map)| map).collect()
    }

    fn note_mapped(&mut self) {
        let anonymous = self.mappings.iter().filter(|(_, map)| map.anonymous);
        self.mapped.push(anonymous.map(|(start, map)| map.end - start).sum());
    }
}
