//! The committed samples of each format version give the answers that they always gave.

use std::path::PathBuf;

use deadweight_analysis::{Amount, Analysis, Composition, analyse};
use deadweight_capture::StackId;
use deadweight_capture::read::{Capture, ProcessId, Tail};
use deadweight_capture::wire::State;

const START: u64 = 1_000_000_000;
const KIB: u64 = 1024;

fn fixture(name: &str) -> Analysis {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/captures");
    analyse(&Capture::open(&PathBuf::from(fixtures).join(name)).unwrap()).unwrap()
}

fn amount(kib: u64, blocks: u64) -> Amount {
    Amount {
        bytes: kib * KIB,
        blocks,
        variance: 0,
    }
}

#[test]
fn exact_captures_of_all_versions() {
    check_exact(&fixture("v1/exact"));
    check_exact(&fixture("v2/exact"));
    check_exact(&fixture("v3/exact"));
}

fn check_exact(analysis: &Analysis) {
    assert!(analysis.exact);
    assert_eq!(analysis.interval_bytes, 0);
    assert_eq!(analysis.warnings, [""; 0]);
    // The child's last block, before it was killed and the parent freed.
    assert_eq!(analysis.peak.nanos, START + 3_000_000);
    assert_eq!(analysis.peak.heap, amount(100 + 500 + 200 + 1024 + 300 + 10, 6));
    assert_eq!(
        analysis.peak.composition,
        Composition {
            python_bytes: 600 * KIB,
            native_bytes: 510 * KIB,
            mapped_bytes: 1024 * KIB,
        }
    );

    let [parent, child] = &analysis.processes[..] else {
        panic!("two processes")
    };
    assert_eq!(
        parent.id,
        ProcessId {
            pid: 100,
            incarnation: 0
        }
    );
    assert_eq!(parent.argv, ["python", "bench.py", "--fast"]);
    assert_eq!((parent.python, parent.forked), (Some(0x030b_07f0), false));
    assert_eq!(parent.span_nanos, (START, START + 4_000_000));
    assert_eq!((parent.state, parent.tail), (State::Ended, Tail::Complete));
    assert_eq!(parent.max_rss_bytes, Some(9_000_000));
    assert_eq!((parent.lost_events, parent.unseen_frees), (3, 0));
    assert_eq!(parent.notes, ["Two threads had no name."]);
    assert_eq!(parent.own_peak, amount(1824, 4));
    assert_eq!(parent.own_peak_nanos, START + 1_000_000);
    assert_eq!(parent.at_tree_peak, amount(1824, 4));
    assert_eq!(parent.end, amount(100 + 200 + 512, 3));
    let frames = |id| {
        let frames = parent.stacks.frames(StackId(id));
        frames
            .map(|frame| (frame.file, frame.line, frame.function))
            .collect::<Vec<_>>()
    };
    assert_eq!(frames(2), [("bench.py", 5, "load"), ("bench.py", 10, "<module>")]);
    assert_eq!(frames(3), [("<native>", 0, "<thread worker>")]);
    assert_eq!(frames(4), [("<python>", 0, "<start-up>")]);
    let load = parent.amounts[2];
    assert_eq!(
        (load.peak, load.allocated, load.end),
        (amount(500, 1), amount(500, 1), amount(0, 0))
    );
    let module = parent.amounts[1];
    assert_eq!((module.peak, module.end), (amount(1024, 1), amount(512, 1)));

    assert_eq!((child.parent, child.forked), (100, true));
    assert_eq!((child.state, child.tail), (State::Recording, Tail::Open));
    assert_eq!((child.own_peak, child.end), (amount(310, 2), amount(310, 2)));
    assert_eq!(child.max_rss_bytes, None);
}

#[test]
fn folded_captures_of_all_versions() {
    check_folded(&fixture("v1/folded"));
    check_folded(&fixture("v2/folded"));
    check_folded(&fixture("v3/folded"));
}

fn check_folded(analysis: &Analysis) {
    assert!(!analysis.exact);
    assert_eq!(analysis.interval_bytes, 64 * KIB);
    assert_eq!(
        analysis.warnings,
        ["pid 200: segment 1 is missing: what was recorded there is not in this report"]
    );
    assert_eq!(analysis.peak.nanos, START + 1_000_000);
    assert_eq!(analysis.peak.heap, amount(5000, 3));
    assert_eq!(analysis.peak.composition.python_bytes, 4000 * KIB);
    let [process] = &analysis.processes[..] else {
        panic!("one process")
    };
    assert_eq!(process.span_nanos, (START, START + 2_500_000));
    assert_eq!((process.state, process.tail), (State::Ended, Tail::Complete));
    assert_eq!(process.max_rss_bytes, Some(7_000_000));
    assert_eq!(process.unseen_frees, 1);
    assert_eq!(process.amounts[2].peak, amount(5000, 3));
    assert_eq!(process.amounts[2].allocated, amount(9000, 5));
    assert_eq!(process.amounts[2].end, amount(0, 0));
    // One sample of 100 bytes: it stands for 655.86 blocks, of which the interval is about the sum.
    let sample = process.amounts[3].end;
    assert_eq!((sample.bytes, sample.blocks), (65_586, 656));
    assert!(sample.error_bytes() > 65_000 && sample.error_bytes() < 66_000);
    assert_eq!(process.end, sample);
}

#[test]
fn samples_over_time_since_version_3() {
    let analysis = fixture("v3/folded");
    let samples = &analysis.processes[0].history.samples;
    let of_stack = |sample: usize| samples[sample].levels.iter().map(|level| (level.stack, level.bytes));
    assert_eq!((samples[0].bytes, samples[0].allocated_bytes), (5000 * KIB, 6000 * KIB));
    assert_eq!((samples[1].bytes, samples[1].allocated_bytes), (2000 * KIB, 9000 * KIB));
    assert!(of_stack(0).eq([(StackId(2), 5000 * KIB)]) && of_stack(1).eq([(StackId(2), 2000 * KIB)]));
}

#[test]
fn regions_since_version_2() {
    check_regions(&fixture("v2/regions"));
    check_regions(&fixture("v3/regions"));
}

fn check_regions(analysis: &Analysis) {
    let [process] = &analysis.processes[..] else {
        panic!("one process")
    };
    let [thread, outer, inner] = &process.regions[..] else {
        panic!("three regions: {:?}", process.regions)
    };
    assert_eq!([&thread.name, &outer.name, &inner.name], ["worker", "outer", "inner"]);
    // Its thread did not leave it.
    assert_eq!((thread.entries, thread.unfinished, thread.nanos), (1, 1, 1_000_000));
    assert_eq!(
        (thread.peak, thread.kept, thread.churn),
        (amount(50, 1), amount(50, 1), amount(0, 0))
    );
    // What the inner one did was done in the outer one too; the other thread's block was not.
    assert_eq!((outer.entries, outer.unfinished, outer.nanos), (1, 0, 3_000_000));
    assert_eq!((outer.peak, outer.kept), (amount(700, 2), amount(300, 1)));
    assert_eq!((outer.churn, outer.freed), (amount(400, 1), amount(100, 1)));
    assert_eq!(outer.growth_bytes(), 200 * KIB as i64);
    assert_eq!(
        (inner.peak, inner.kept, inner.churn),
        (amount(300, 1), amount(300, 1), amount(0, 0))
    );
    // It freed a block of the outer one, and one from before.
    assert_eq!((inner.freed, inner.growth_bytes()), (amount(500, 2), -200 * KIB as i64));
    assert_eq!((outer.heap_peak, inner.heap_peak), (amount(800, 3), amount(800, 3)));
    assert_eq!(inner.spans_nanos, [(START + 2_000_000, START + 3_000_000)]);
}
