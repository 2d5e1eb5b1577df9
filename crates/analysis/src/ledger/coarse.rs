//! Coarse samples: what they consisted of is derived from the last full sample.

use deadweight_capture::rss_samples::{AreaKind, FileKind, MappedFile, RssSample};

use super::places::raise;
use crate::answer::ledger::LedgerSample;
use crate::replay::Replay;

/// Longest time that a process still exists after the end of its recording.
const LONGEST_END_NANOS: u64 = 1_000_000_000;

/// Derives a coarse sample, which only has totals of each kind of resident memory, from the last full one. Growth of
/// anonymous memory is attributed to what has become live since.
pub(super) fn from_coarse(replay: &Replay, sample: &RssSample, kinds: [u64; 4], base: &LedgerSample) -> LedgerSample {
    let mut ledger = LedgerSample {
        nanos: sample.nanos,
        total: sample.total,
        live: live_at(replay, sample, base),
        is_coarse: true,
        ..base.clone()
    };
    let grown = sample.total.saturating_sub(base.total);
    if let Some(share) = ledger.processes.first_mut() {
        share.bytes = share.bytes.saturating_add(grown);
    }
    let before = kinds_of(sample);
    let more = |at: usize| {
        kinds
            .get(at)
            .zip(before.get(at))
            .map_or(0, |(now, before)| now.saturating_sub(*before))
    };
    let mut left = grown;
    let mut take = |bytes: u64| {
        let taken = bytes.min(left);
        left -= taken;
        taken
    };
    let (files, shared) = (take(more(1)), take(more(2)));
    let of_kind = |kind: FileKind| move |file: &&mut MappedFile| file.kind == kind;
    if let Some(file) = ledger.files.iter_mut().find(of_kind(FileKind::Data)) {
        file.pss = file.pss.saturating_add(files);
    }
    if let Some(file) = ledger.files.iter_mut().find(of_kind(FileKind::Shared)) {
        file.pss = file.pss.saturating_add(shared);
    }
    let has_data = ledger.files.iter().any(|file| file.kind == FileKind::Data);
    if let Some(resident) = &mut ledger.resident {
        let of_files = if has_data {
            &mut resident.data_files
        } else {
            &mut resident.code_files
        };
        raise(of_files, files);
        raise(&mut resident.shared, shared);
        let ([python, native, mapped], [python_before, native_before, mapped_before]) = (ledger.live, base.live);
        let not_python = native.saturating_add(mapped);
        let not_python_before = native_before.saturating_add(mapped_before);
        raise(&mut resident.python, take(python.saturating_sub(python_before)));
        raise(&mut resident.native, take(not_python.saturating_sub(not_python_before)));
        // The main heap is touched as it grows: what is not live there was freed.
        raise(&mut resident.heap_slack, take(more(3)));
        raise(&mut resident.unexplained, left);
        ledger.unattributed = left;
    }
    ledger
}

/// What was live at a coarse sample. A process keeps its memory for some milliseconds after the end of its recording, while
/// the kernel tears it down.
fn live_at(replay: &Replay, sample: &RssSample, base: &LedgerSample) -> [u64; 3] {
    let mut live = replay.tree().live_parts();
    let largest = base.processes.first().map(|share| share.pid);
    let ended = largest
        .filter(|&pid| replay.running(pid).is_none())
        .and_then(|pid| replay.ended(pid, sample.nanos.saturating_sub(LONGEST_END_NANOS), sample.nanos));
    if let Some(process) = ended {
        for (sum, part) in live.iter_mut().zip(process.live_parts()) {
            *sum = sum.saturating_add(part);
        }
    }
    live
}

/// Resident memory of a sample by kind: anonymous, files, shared, and the size of the main heap. Written pages of a private
/// file mapping, which the kernel counts as anonymous, count as files here.
fn kinds_of(sample: &RssSample) -> [u64; 4] {
    let mut kinds = [0; 4];
    let [anonymous, files, shared, heap] = &mut kinds;
    for process in &sample.processes {
        raise(anonymous, process.rest);
        for area in &process.areas {
            raise(anonymous, area.rss);
            if area.kind == AreaKind::Heap {
                raise(heap, area.end.saturating_sub(area.start));
            }
        }
        for file in &process.files {
            let of_kind = if file.kind == FileKind::Shared {
                &mut *shared
            } else {
                &mut *files
            };
            raise(of_kind, file.rss);
        }
    }
    kinds
}
