//! What the resident memory of a process tree consisted of: each RSS sample of the supervisor is joined with what was live
//! at that time.
//!
//! Resident pages of the C library's heaps and of pymalloc's arenas are live blocks or slack. Resident pages of other
//! anonymous memory are large blocks and mappings that the program made, or unexplained. Pages of a block that were
//! never touched do not count.

mod coarse;
mod places;
mod residency;
mod survivors;

use std::path::Path;

use deadweight_capture::rss_samples::{self, AreaKind, FileKind, MappedFile, ProcessRssSample, RssSample};
use deadweight_capture::{Addr, MapKind};

use self::coarse::from_coarse;
use self::places::{Place, Places, raise};
use self::residency::Residency;
use self::survivors::{chosen_samples, survivors};
use crate::Error;
use crate::answer::ledger::{LedgerSample, Resident, Share};
use crate::read::Recordings;
use crate::replay::{Process, Replay};

/// Joins a full sample with what is live now. `known` is false if it is no longer known what was live then.
fn from_full(replay: &Replay, sample: &RssSample, known: bool) -> LedgerSample {
    let mut processes: Vec<Share> = sample
        .processes
        .iter()
        .map(|process| Share {
            pid: process.pid,
            bytes: process.counted,
        })
        .collect();
    processes.sort_by_key(|share| (std::cmp::Reverse(share.bytes), share.pid));
    let outside = |file: &&MappedFile| matches!(file.kind, FileKind::Data | FileKind::Shared) && !file.path.is_empty();
    let mut files: Vec<MappedFile> = Vec::new();
    for (file, bytes) in sample.processes.iter().flat_map(|process| {
        let counted = |file: &MappedFile| if process.proportional { file.pss } else { file.rss };
        process
            .files
            .iter()
            .filter(outside)
            .map(move |file| (file, counted(file)))
    }) {
        match files
            .iter_mut()
            .find(|one| (one.kind, &one.path) == (file.kind, &file.path))
        {
            Some(one) => {
                one.rss = one.rss.max(file.rss);
                one.pss = one.pss.saturating_add(bytes);
            }
            None => files.push(MappedFile {
                pss: bytes,
                ..file.clone()
            }),
        }
    }
    files.sort_by(|one, other| other.pss.cmp(&one.pss).then_with(|| one.path.cmp(&other.path)));
    LedgerSample {
        nanos: sample.nanos,
        total: sample.total,
        resident: known.then(|| resident(replay, sample)),
        processes,
        files,
        live: replay.tree().live_parts(),
        is_coarse: false,
        unattributed: 0,
        survivors: Vec::new(),
    }
}

fn resident(replay: &Replay, sample: &RssSample) -> Resident {
    let mut all = Resident::default();
    let mut places = Places::default();
    for process in &sample.processes {
        let counted = |rss: u64, pss: u64| if process.proportional { pss } else { rss };
        for file in &process.files {
            let part = match file.kind {
                FileKind::Code => &mut all.code_files,
                FileKind::Data => &mut all.data_files,
                FileKind::Shared => &mut all.shared,
                FileKind::Deadweight => &mut all.deadweight,
            };
            raise(part, counted(file.rss, file.pss));
        }
        for area in &process.areas {
            match area.kind {
                AreaKind::Stack => raise(&mut all.stacks, counted(area.rss, area.pss)),
                AreaKind::Deadweight => raise(&mut all.deadweight, counted(area.rss, area.pss)),
                _ => {}
            }
        }
        let recorded = replay.running(process.pid);
        // A forked child that has recorded nothing yet has its parent's memory.
        let copied = || process.copy_of.and_then(|parent| replay.running(parent));
        let line = match (recorded, copied()) {
            (Some(index), _) => Some((replay.process(index), ancestry(replay, index))),
            (None, Some(parent)) => Some((None, ancestry(replay, parent))),
            (None, None) => None,
        };
        match line {
            Some((own, line)) => {
                places.add(&of_process(own, &line, process));
                raise(&mut all.unexplained, process.rest);
            }
            None => {
                let heaps = process.areas.iter().filter(|area| Place::of(area.kind).is_some());
                raise(&mut all.unrecorded, process.rest);
                heaps.for_each(|area| raise(&mut all.unrecorded, counted(area.rss, area.pss)));
            }
        }
    }
    places.settle(&mut all);
    all
}

/// The memory of one process by allocator. `own` is its recording, if there is one; `line` is that and its ancestors by
/// fork.
fn of_process(own: Option<&Process>, line: &[&Process], sample: &ProcessRssSample) -> Places {
    let mut places = Places::default();
    let residency = Residency::new(sample);
    for (area, place) in sample
        .areas
        .iter()
        .filter_map(|area| Some((area, Place::of(area.kind)?)))
    {
        let bytes = if sample.proportional { area.pss } else { area.rss };
        places.resident(place, bytes as f64);
    }
    let is_own = |owner: &Process| own.is_some_and(|own| std::ptr::eq(owner, own));
    // Arenas lie in other anonymous memory; in a forked child, so do those of its ancestors.
    for owner in line {
        let arenas = owner.ranges.iter().filter(|piece| piece.kind == MapKind::Arena);
        let replaced = |start: u64| !is_own(owner) && own.is_some_and(|own| own.ranges.at(start).is_some());
        for arena in arenas.filter(|piece| !replaced(piece.start)) {
            let bytes = residency.counted(arena.start, arena.end);
            places.resident(Place::Other, -bytes);
            places.resident(Place::Pymalloc, bytes);
        }
    }
    if let Some(own) = own {
        live(own, line, &residency, &mut places);
    }
    // What a child has of its ancestors' blocks: pages of its own where it wrote, or where they freed them.
    let mut inherited = Places::default();
    for owner in line.iter().filter(|owner| !is_own(owner)) {
        live(owner, line, &residency, &mut inherited);
    }
    if line.iter().any(|owner| !is_own(owner)) {
        places.add_copies(&inherited, sample);
    }
    places
}

/// The process and its ancestors by fork.
fn ancestry(replay: &Replay, index: usize) -> Vec<&Process> {
    let mut line: Vec<&Process> = Vec::new();
    let mut next = Some(index);
    while let Some(process) = next.and_then(|index| replay.process(index)) {
        if line.len() >= 16 {
            break; // a cycle, in a damaged capture
        }
        line.push(process);
        next = replay.parent_of_fork(process);
    }
    line
}

/// Adds the resident part of a process's live memory to the allocators that it belongs to.
fn live(owner: &Process, line: &[&Process], residency: &Residency<'_>, places: &mut Places) {
    for (Addr(addr), block) in owner.blocks() {
        let Some(area) = residency.at(addr) else { continue };
        let Some(kind) = Place::of(area.kind()) else { continue };
        let in_arena = || {
            line.iter()
                .any(|one| one.ranges.at(addr).is_some_and(|piece| piece.kind == MapKind::Arena))
        };
        let is_small = block.allocator.is_python() && block.size <= places::LARGEST_PYMALLOC;
        let place = match kind {
            Place::Other if is_small && in_arena() => Place::Pymalloc,
            kind => kind,
        };
        let size = place.occupied(block.size);
        let weight = owner.recording.weigh(block.size);
        let many = weight.milliblocks as f64 / 1000.0;
        let part = area.resident_share(addr, addr.saturating_add(block.size.max(1)));
        let bytes = many * part * size as f64;
        places.live(place, block.allocator.is_python(), bytes);
        places.variance += weight.variance as f64 * part;
    }
    for piece in owner.ranges.iter() {
        if matches!(piece.kind, MapKind::Anonymous | MapKind::Reserved) {
            places.live(Place::Other, false, residency.resident(piece.start, piece.end));
        }
    }
}

/// Blocks that may be visited for samples other than the highest, the last and those at which survivors are counted.
const MOST_VISITS: usize = 30_000_000;

/// Replays up to each RSS sample of the capture with `run`, and joins it with what is live then.
pub(crate) fn each(
    folder: &Path,
    recordings: &mut Recordings,
    mut run: impl FnMut(&mut Recordings, u64) -> Result<(), Error>,
) -> Result<Vec<LedgerSample>, Error> {
    let samples = rss_samples::read(folder);
    // Of the time before the end of a fold it is no longer known what was live.
    let folded = recordings
        .streams
        .iter()
        .map(|stream| stream.nanos)
        .filter(|_| recordings.is_folded());
    let folded = folded.max().unwrap_or(0);
    let highest = samples.iter().map(|sample| sample.total).max();
    let counted = chosen_samples(&samples);
    let mut joined: Vec<LedgerSample> = Vec::with_capacity(samples.len());
    let mut visits = 0;
    for (at, sample) in samples.iter().enumerate() {
        let matters = Some(sample.total) == highest || counted.contains(&at) || at + 1 == samples.len();
        if !matters && visits > MOST_VISITS {
            continue;
        }
        run(recordings, sample.nanos)?;
        visits += recordings.replay.blocks();
        let ledger = match (sample.kinds, joined.iter().rfind(|ledger| !ledger.is_coarse)) {
            (Some(kinds), Some(base)) => from_coarse(&recordings.replay, sample, kinds, base),
            _ => from_full(&recordings.replay, sample, sample.nanos >= folded),
        };
        joined.push(LedgerSample {
            survivors: if counted.contains(&at) {
                survivors(&recordings.replay, sample)
            } else {
                Vec::new()
            },
            ..ledger
        });
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::weight::Recording;
    use deadweight_capture::read::ProcessId;
    use deadweight_capture::rss_samples::Area;
    use deadweight_capture::{Allocator, Event, StackId};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_coarse_sample_right_after_the_end_of_a_recording_has_what_was_live() {
        let mut replay = Replay::default();
        let exact = Recording {
            exact: true,
            interval_bytes: 0,
            always_bytes: 0,
        };
        let (pid, end) = (7, 5_000_000_000);
        replay.add(ProcessId { pid, incarnation: 0 }, exact);
        let block = Event::Alloc {
            addr: Addr(4096),
            size: 300 * MIB,
            stack: StackId(1),
            allocator: Allocator::PyMem,
        };
        for event in [Event::Clock { nanos: end }, block, Event::End { max_rss_bytes: 0 }] {
            replay.event(0, &event);
        }
        let base = LedgerSample {
            nanos: end - 1_000_000_000,
            total: 100 * MIB,
            resident: Some(Resident {
                python: 90 * MIB,
                ..Resident::default()
            }),
            processes: vec![Share { pid, bytes: 100 * MIB }],
            files: Vec::new(),
            live: [90 * MIB, 0, 0],
            is_coarse: false,
            unattributed: 0,
            survivors: Vec::new(),
        };
        let coarse = |nanos| {
            let sample = RssSample {
                nanos,
                total: 310 * MIB,
                ..RssSample::default()
            };
            let ledger = from_coarse(&replay, &sample, [310 * MIB, 0, 0, 310 * MIB], &base);
            (ledger.live[0], ledger.resident.unwrap())
        };
        let (live, resident) = coarse(end + 5_000_000);
        assert_eq!((live, resident.python, resident.heap_slack), (300 * MIB, 300 * MIB, 0));
        // Long after it, the memory belongs to something else.
        let (live, resident) = coarse(end + 2_000_000_000);
        assert_eq!((live, resident.python), (0, 90 * MIB));
    }

    #[test]
    fn amounts_that_no_machine_has_add_up_without_overflow() {
        let most = |kind| Area {
            kind,
            start: 0,
            end: u64::MAX,
            rss: u64::MAX,
            pss: u64::MAX,
            uss: u64::MAX,
            runs: Vec::new(),
            unit: 0,
        };
        let file = |kind| MappedFile {
            kind,
            path: String::new(),
            rss: u64::MAX,
            pss: u64::MAX,
        };
        let process = ProcessRssSample {
            rest: u64::MAX,
            areas: [AreaKind::Heap, AreaKind::Stack, AreaKind::Stack, AreaKind::Deadweight]
                .map(most)
                .into(),
            files: [FileKind::Code, FileKind::Code, FileKind::Shared, FileKind::Deadweight]
                .map(file)
                .into(),
            ..ProcessRssSample::default()
        };
        let sample = RssSample {
            total: u64::MAX,
            processes: vec![process.clone(), process],
            ..RssSample::default()
        };
        let replay = Replay::default();
        let base = from_full(&replay, &sample, true);
        let resident = base.resident.unwrap();
        assert_eq!((resident.stacks, resident.unrecorded), (u64::MAX, u64::MAX));
        let coarse = from_coarse(&replay, &sample, [u64::MAX; 4], &base);
        assert_eq!(coarse.resident.unwrap().slack(), 0);
    }
}
