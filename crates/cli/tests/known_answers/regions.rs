//! Regions: what a program's own named parts need, and functions that are treated as regions.

use deadweight_analysis::{Amount, Region, RegionSource, analyse_with};

use crate::pythons::{Findings, Python, each};
use crate::recording::{Mode, Recording, around, folder};
use crate::skips::skip;
use crate::started::{own_program, plain, python_package, run};

const MIB: u64 = 1 << 20;
/// What lists, threads and asyncio need beside the blocks.
const BESIDE: u64 = 256 << 10;

/// Name, times entered, and MiB: the most at once, left behind, freed again.
const EXPECTED: [(&str, u64, [i64; 3]); 21] = [
    ("outer", 1, [30, 10, 27]),
    ("inner", 1, [7, 7, 0]),
    ("drop", 1, [0, -10, 0]),
    ("raises", 1, [3, 3, 0]),
    ("recursive", 5, [5, 0, 5]),
    ("generator", 6, [2, 0, 0]),
    ("thread 2", 1, [2, 2, 0]),
    ("thread 4", 1, [4, 4, 0]),
    ("thread 6", 1, [6, 6, 0]),
    ("shared", 3, [6, 12, 0]),
    ("coroutine", 1, [12, 0, 28]),
    ("task 2", 1, [2, 2, 0]),
    ("task 3", 1, [3, 3, 0]),
    ("task 5", 1, [5, 5, 0]),
    ("creates tasks", 1, [12, 0, 12]),
    ("stream", 3, [3, 0, 0]),
    ("first", 1, [0, 0, 0]),
    ("second", 1, [2, 2, 0]),
    ("around the fork", 1, [0, 0, 0]),
    ("__main__:plain_function", 1, [8, 0, 8]),
    ("left at the end", 1, [1, 1, 0]),
];

fn named<'a>(regions: &'a [Region], name: &str, source: RegionSource) -> Option<&'a Region> {
    regions
        .iter()
        .find(|region| region.name == name && region.source == source)
}

/// In a sampled run small blocks are estimated, within four standard errors.
fn is_near(amount: Amount, mib: i64) -> bool {
    let truth = mib.unsigned_abs() * MIB;
    amount.bytes.abs_diff(truth) <= BESIDE + 4 * amount.error_bytes()
}

fn check_own(regions: &[Region], mode: Mode, findings: &mut Findings) {
    for (name, entries, [peak, growth, churn]) in EXPECTED {
        let Some(region) = named(regions, name, RegionSource::Program) else {
            findings.check(false, || format!("{mode:?}: there is no region {name}"));
            continue;
        };
        findings.check(region.entries == entries, || {
            format!("{mode:?}: {name} was entered {} times, not {entries}", region.entries)
        });
        findings.check(is_near(region.peak, peak), || {
            format!("{mode:?}: {name} had {:?} at once, not {peak} MiB", region.peak)
        });
        let wrong_by = region.growth_bytes().abs_diff(growth * MIB as i64);
        findings.check(wrong_by <= BESIDE + 4 * region.growth_error_bytes(), || {
            format!("{mode:?}: {name} grew by {}, not {growth} MiB", region.growth_bytes())
        });
        // Streams and asyncio churn small objects.
        findings.check(is_near(region.churn, churn), || {
            format!("{mode:?}: {name} freed {:?} again, not {churn} MiB", region.churn)
        });
        let is_whole = region.heap_peak.bytes >= region.peak.bytes && region.spans_nanos.len() <= entries as usize;
        findings.check(is_whole, || format!("{mode:?}: {region:?}"));
        findings.check(region.unfinished == 0, || {
            format!("{mode:?}: {name} was not left {} times", region.unfinished)
        });
    }
    // While all three threads held what they had, the heap was theirs together.
    let together = named(regions, "thread 2", RegionSource::Program).map_or(0, |region| region.heap_peak.bytes);
    findings.check(together >= 12 * MIB, || {
        format!("{mode:?}: {together} bytes of heap in three threads")
    });
}

fn check_functions(regions: &[Region], mode: Mode, findings: &mut Findings) {
    let function = named(regions, "__main__:plain_function", RegionSource::Function);
    let Some(function) = function else {
        return findings.check(false, || format!("{mode:?}: there is no function"));
    };
    // Four calls of 8 MiB each, of which some may be taken together.
    findings.check((1..=4).contains(&function.entries), || {
        format!("{mode:?}: {function:?}")
    });
    let allocated = function.churn.bytes + function.kept.bytes;
    findings.check(allocated.abs_diff(32 * MIB) <= 4 * BESIDE, || {
        format!("{mode:?}: {allocated} bytes in plain_function, not 32 MiB")
    });
    findings.check(is_near(function.peak, 8), || {
        format!("{mode:?}: {:?} at once in plain_function", function.peak)
    });
    let method = named(regions, "regions:Loader.load", RegionSource::Function);
    let kept = method.map_or(0, |method| method.kept.bytes + method.churn.bytes);
    findings.check(kept.abs_diff(18 * MIB) <= 4 * BESIDE, || {
        format!("{mode:?}: {method:?} instead of 18 MiB in Loader.load")
    });
}

fn try_regions(python: &Python, mode: Mode, findings: &mut Findings) -> Result<(), String> {
    let folder = folder();
    let mut command = around(python, mode, folder.path());
    command.arg(own_program("regions")).env("PYTHONPATH", python_package());
    let ended = run(&mut command)?;
    findings.check(ended.how() == "exit 0" && ended.out == "done\n", || {
        format!("{ended:?}")
    });
    let recording = Recording::read(ended, folder)?.sound()?;
    let [program, child] = &recording.analysis.processes[..] else {
        return Err(format!("{} processes", recording.analysis.processes.len()));
    };
    check_own(&program.regions, mode, findings);
    let inherited = named(&child.regions, "around the fork", RegionSource::Program);
    let in_child = named(&child.regions, "in the child", RegionSource::Program);
    findings.check(
        inherited.is_none() && in_child.is_some_and(|region| is_near(region.peak, 5)),
        || format!("{mode:?}: the child has {:?}", child.regions),
    );
    let functions = ["__main__:plain_function", "regions:Loader.load"].map(str::to_owned);
    let analysis = analyse_with(&recording.capture, &functions).map_err(|error| error.to_string())?;
    match analysis.processes.first() {
        Some(process) => check_functions(&process.regions, mode, findings),
        None => findings.check(false, || "no process".to_owned()),
    }
    Ok(())
}

#[test]
fn each_region_has_its_own_memory_in_threads_and_tasks() {
    each("regions", |python, findings| {
        if !python.has("_ctypes") {
            return skip("regions", &format!("Python {} has no ctypes", python.name));
        }
        for mode in [Mode::Exact, Mode::Sampled(1)] {
            let tried = try_regions(python, mode, findings);
            findings.take("regions", tried);
        }
    });
}

#[test]
fn outside_of_a_run_a_region_does_nothing() {
    each("regions without a run", |python, findings| {
        let folder = folder();
        let mut command = plain(python, folder.path());
        command.arg(own_program("regions")).env("PYTHONPATH", python_package());
        if let Some(ended) = findings.take("plain", run(&mut command)) {
            let is_right = ended.how() == "exit 0" && ended.out == "done\n" && ended.err.is_empty();
            findings.check(is_right, || format!("{ended:?}"));
        }
        let same = "import deadweight\ndef f(): pass\nassert deadweight.region('f')(f) is f\n\
                    import sys\nassert 'ctypes' not in sys.modules";
        let mut command = plain(python, folder.path());
        command.args(["-c", same]).env("PYTHONPATH", python_package());
        if let Some(ended) = findings.take("decorated", run(&mut command)) {
            findings.check(ended.how() == "exit 0", || format!("{ended:?}"));
        }
    });
}
