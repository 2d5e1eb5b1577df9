//! What the resident memory at the peak was made of.

use deadweight_analysis::{Analysis, FileKind, LedgerSample, Resident};

use crate::model::{Ledger, LedgerFile, Slack};

/// Files that are named.
const MOST_FILES: usize = 20;

/// Moments from 98 % of the highest total on differ from it by chance.
const NEARLY: u64 = 98;

/// The moment with the most resident memory: of those that come close to it, one with the most live, because what was freed
/// stays resident for a while; and of these a close look, if there is one.
pub(crate) fn highest(moments: &[LedgerSample]) -> Option<&LedgerSample> {
    let live = |moment: &LedgerSample| moment.live.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
    let total = moments.iter().map(|moment| moment.total).max()? / 100 * NEARLY;
    let near = || moments.iter().filter(|moment| moment.total >= total);
    let most_live = near().map(live).max()? / 100 * NEARLY;
    // Of equals, the first.
    let candidates = near().filter(|moment| live(moment) >= most_live).rev();
    candidates.max_by_key(|moment| (!moment.is_coarse, moment.total))
}

/// The ledger. Without a look from outside it is empty; where the capture no longer has what was live then, the parts
/// that need it are missing.
pub(crate) fn build(analysis: &Analysis, rss: Option<u64>, start_nanos: Option<u64>) -> Ledger {
    let Some(moment) = highest(&analysis.moments) else {
        return Ledger::default();
    };
    let files = moment
        .files
        .iter()
        .filter(|file| file.pss > 0)
        .take(MOST_FILES)
        .map(|file| LedgerFile {
            path: file.path.clone(),
            bytes: file.pss,
            shared: file.kind == FileKind::Shared,
        });
    let mut ledger = Ledger {
        seconds: start_nanos.map(|start| moment.nanos.saturating_sub(start) as f64 / 1e9),
        total: Some(moment.total),
        files: files.collect(),
        ..Ledger::default()
    };
    if let Some(resident) = &moment.resident {
        fill(&mut ledger, resident);
        grow(&mut ledger, moment, analysis, rss.unwrap_or(0));
    }
    ledger
}

fn fill(ledger: &mut Ledger, resident: &Resident) {
    ledger.python_objects = Some(resident.python);
    ledger.native_blocks = Some(resident.native);
    ledger.allocator_slack = Some(resident.slack());
    ledger.file_backed = Some(resident.code_files + resident.data_files);
    ledger.shared_memory = Some(resident.shared);
    ledger.thread_stacks = Some(resident.stacks);
    ledger.deadweight = Some(resident.deadweight);
    ledger.unexplained = Some(resident.unexplained + resident.unrecorded);
    ledger.error_bytes = Some(resident.error);
    ledger.code_files = Some(resident.code_files);
    ledger.slack = Some(Slack {
        malloc_heap: resident.heap_slack,
        malloc_arenas: resident.arena_slack,
        pymalloc: resident.pymalloc_slack,
    });
}

/// Between the look and the peak the memory grew: what was live at the heap's peak and not at the look explains that,
/// and the rest is unexplained.
fn grow(ledger: &mut Ledger, moment: &LedgerSample, analysis: &Analysis, rss: u64) {
    let mut missing = rss.saturating_sub(moment.total);
    ledger.total = ledger.total.map(|total| total + missing);
    // A program may free much between the kernel's totals and the moment that the events are from.
    missing += moment.unattributed;
    ledger.unexplained = ledger
        .unexplained
        .map(|bytes| bytes.saturating_sub(moment.unattributed));
    let [python, native, mapped] = moment.live;
    let peak = &analysis.peak.composition;
    let grown = [
        (&mut ledger.python_objects, peak.python_bytes.saturating_sub(python)),
        (
            &mut ledger.native_blocks,
            (peak.native_bytes + peak.mapped_bytes).saturating_sub(native + mapped),
        ),
    ];
    for (part, grown) in grown {
        let more = grown.min(missing);
        *part = part.map(|bytes| bytes + more);
        missing -= more;
    }
    ledger.unexplained = ledger.unexplained.map(|bytes| bytes + missing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadweight_analysis::{Composition, Peak};

    fn analysis(total: u64, live: [u64; 3], peak: Composition) -> Analysis {
        let resident = Resident {
            python: 40,
            native: 50,
            unexplained: total - 90,
            ..Resident::default()
        };
        Analysis {
            exact: true,
            interval_bytes: 0,
            peak: Peak {
                composition: peak,
                ..Peak::default()
            },
            moments: vec![LedgerSample {
                nanos: 3_000_000_000,
                total,
                resident: Some(resident),
                processes: Vec::new(),
                files: Vec::new(),
                live,
                is_coarse: false,
                unattributed: 0,
                survivors: Vec::new(),
            }],
            processes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn it_adds_up_to_the_peak_although_the_look_was_earlier() {
        let peak = Composition {
            python_bytes: 60,
            native_bytes: 70,
            mapped_bytes: 5,
        };
        let ledger = build(&analysis(100, [50, 65, 5], peak), Some(130), Some(1_000_000_000));
        assert_eq!(ledger.python_objects, Some(50));
        assert_eq!(ledger.native_blocks, Some(55));
        assert_eq!(ledger.unexplained, Some(25));
        assert_eq!((ledger.total, ledger.seconds), (Some(130), Some(2.0)));
    }

    #[test]
    fn what_cannot_be_told_is_missing() {
        let mut analysis = analysis(100, [0; 3], Composition::default());
        analysis.moments[0].resident = None;
        let ledger = build(&analysis, Some(100), None);
        assert_eq!(
            (ledger.python_objects, ledger.unexplained, ledger.total),
            (None, None, Some(100))
        );
        analysis.moments.clear();
        assert_eq!(build(&analysis, Some(100), None), Ledger::default());
    }
}
