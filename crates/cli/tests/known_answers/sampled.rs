//! The default mode: large blocks are exact, sums of small ones are unbiased estimates that know their error.

use deadweight_analysis::{Amount, ProcessAnswer};

use crate::amounts::{agrees, at_line, is_explained, line_of};
use crate::exact::{PROGRAMS, check_program};
use crate::pythons::each;
use crate::recording::{Mode, Recording};
use crate::started::shared_program;
use crate::stated;

const SEEDS: std::ops::Range<u64> = 1..11;

/// Blocks that the free lists of tuples may hand out without an allocation.
const FREE_LIST: u64 = 2_000;

/// What one line of churn.py allocated (ever, or live at the end of `main`, which is the peak).
#[derive(Debug)]
pub struct Measure {
    pub function: String,
    pub line: u32,
    pub is_peak: bool,
    /// The truth, in bytes: between these two.
    pub least: u64,
    pub most: u64,
    /// Other memory that the same line makes, in bytes at most: a code object's cache (to 3.10), a longer list,
    /// compiled code.
    pub beside: u64,
}

impl Measure {
    pub fn amount(&self, process: &ProcessAnswer) -> Amount {
        at_line(process, &self.function, self.line, |amounts| {
            if self.is_peak { amounts.peak } else { amounts.allocated }
        })
    }

    /// How many of its own standard errors an estimate is off.
    fn deviation(&self, amount: Amount) -> f64 {
        let (found, error) = (amount.bytes as f64, amount.error_bytes().max(1) as f64);
        let nearest = found.clamp(self.least as f64, self.most as f64);
        (found - nearest) / error
    }
}

/// What churn.py states.
pub fn measures(recording: &Recording) -> Vec<Measure> {
    let program = shared_program("churn");
    let text = |function: &str| match function {
        "drop" => "held[i] = bytes(100)",
        "keep_bytes" => "held[i] = bytes(200)",
        "keep_tuples" => "held[i] = (held, i & 0xFF)",
        "keep_points" => "held[i] = Point()",
        _ => "list(range(1 << 40",
    };
    // The JIT, where it is on, compiles a hot line in the middle of it.
    let jit = std::env::var_os("PYTHON_JIT").is_some_and(|jit| jit == "1");
    let other = if jit { 64 * 1024 } else { 1024 };
    let kept = recording.facts.all("kept").chain(recording.facts.all("churn"));
    let measures = kept.map(|fact| {
        let function = fact["function"].as_str().expect("a function").to_string();
        let bytes = stated::number(fact, "count") * stated::number(fact, "size");
        let is_tuples = function == "keep_tuples";
        // The list of keep_ints is made in the same line, and is always recorded.
        let list = if function == "keep_ints" {
            stated::number(fact, "list")
        } else {
            0
        };
        let may_lack = if is_tuples {
            FREE_LIST * stated::number(fact, "size")
        } else {
            0
        };
        Measure {
            line: line_of(&program, text(&function)),
            is_peak: fact["expect"] == "kept",
            least: list + bytes - may_lack,
            most: list + bytes,
            beside: list / 8 + other,
            function,
        }
    });
    measures.collect()
}

#[test]
fn large_blocks_are_exact_and_small_ones_within_their_error() {
    each("sampled", |python, findings| {
        for name in PROGRAMS {
            for seed in [1, 2] {
                check_program(python, Mode::Sampled(seed), name, findings);
            }
        }
    });
}

/// Five sums, ten seeds each. A single sum's mean may be 4 standard errors off, because forty of them are looked at; the mean
/// over all sums of one Python may not be more than 3 off.
#[test]
fn estimates_of_small_objects_are_unbiased_and_know_their_error() {
    each("estimates", |python, findings| {
        let what = "churn.py";
        let mut deviations: std::collections::BTreeMap<String, Vec<f64>> = Default::default();
        for seed in SEEDS {
            let recorded = Recording::of(python, Mode::Sampled(seed), shared_program("churn"));
            let Some(recording) = findings.take(what, recorded) else {
                return;
            };
            let Some(process) = findings.take(what, recording.process()) else {
                return;
            };
            is_explained(&recording.analysis, what, findings);
            if seed == SEEDS.start {
                agrees(&recording, process, what, findings);
            }
            for measure in measures(&recording) {
                let amount = measure.amount(process);
                deviations
                    .entry(measure.function.clone())
                    .or_default()
                    .push(measure.deviation(amount));
            }
        }
        for (function, off) in &deviations {
            let inside = off.iter().filter(|off| off.abs() <= 3.0).count();
            let shown: Vec<String> = off.iter().map(|off| format!("{off:+.1}")).collect();
            findings.check(off.len() == 10 && inside >= 9, || {
                format!("{function}: {inside} of 10 estimates are within 3 standard errors: {shown:?}")
            });
            let mean = off.iter().sum::<f64>() / (off.len() as f64).sqrt();
            findings.check(mean.abs() <= 4.0, || {
                format!("{function}: the mean of ten estimates is {mean:+.1} standard errors off: {shown:?}")
            });
        }
        let all: Vec<f64> = deviations.into_values().flatten().collect();
        let count = all.len() as f64;
        let mean = all.iter().sum::<f64>() / count.sqrt();
        let spread = (all.iter().map(|off| off * off).sum::<f64>() / count).sqrt();
        findings.check(mean.abs() <= 3.0, || {
            format!("all estimates together are {mean:+.1} standard errors off")
        });
        // The stated error is neither a boast nor a fig leaf.
        findings.check((0.6..1.5).contains(&spread), || {
            format!("errors are {spread:.2} times the stated ones")
        });
        findings.detail = format!(" ({count} estimates, mean {mean:+.2} and spread {spread:.2} standard errors)");
    });
}
