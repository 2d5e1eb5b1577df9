//! How long a process worked.

use deadweight_analysis::ProcessAnswer;

/// How many samples there are before Python begins to end, which may take long.
pub(crate) fn samples_of_work(answer: &ProcessAnswer) -> usize {
    let samples = 0..answer.history.samples.len();
    let before = |end: u64| {
        samples
            .clone()
            .take_while(|&sample| answer.history.nanos(sample) <= end)
            .count()
    };
    answer.python_ends_nanos.map_or(samples.len(), before)
}
