//! Amounts by stack, summed up by a line.

use std::collections::HashMap;
use std::path::PathBuf;

use deadweight_analysis::{Amount, Analysis, FrameName, ProcessAnswer, ProcessId, StackAmounts};

use crate::attribution::frames::frames;
use crate::attribution::ownership::Ownership;
use crate::model::Site;
use crate::words::names;

/// One stack of one process with the lines that it counts for.
pub(crate) struct Row<'a> {
    /// Index of the process in the analysis.
    pub(crate) process: usize,
    /// Index of the stack in the process.
    pub(crate) stack: usize,
    /// The innermost frame.
    pub(crate) inner: FrameName<'a>,
    /// The user's own innermost frame.
    pub(crate) user: FrameName<'a>,
    /// How many frames are inside of `user`.
    user_depth: usize,
    /// What came from it.
    pub(crate) amounts: StackAmounts,
}

impl Row<'_> {
    /// How many frames are inside of the user's own innermost one.
    pub(crate) fn user_depth(&self) -> usize {
        self.user_depth
    }
}

/// All stacks that any memory came from.
pub(crate) struct Rows<'a> {
    analysis: &'a Analysis,
    pub(crate) list: Vec<Row<'a>>,
}

/// Which line a stack counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// The innermost line.
    Inner,
    /// The user's own innermost line.
    User,
}

/// What was allocated and freed again. A sampled block is either in both sums or in the first alone, so the
/// variances subtract like the bytes.
pub(crate) fn churned(amounts: &StackAmounts) -> Amount {
    Amount {
        bytes: amounts.allocated.bytes.saturating_sub(amounts.end.bytes),
        blocks: amounts.allocated.blocks.saturating_sub(amounts.end.blocks),
        variance: amounts.allocated.variance.saturating_sub(amounts.end.variance),
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn new(analysis: &'a Analysis, user_roots: &[PathBuf]) -> Rows<'a> {
        let mut ownership = Ownership::new(user_roots);
        let mut list = Vec::new();
        for (process, answer) in analysis.processes.iter().enumerate() {
            for (stack, amounts) in answer.amounts.iter().enumerate() {
                if *amounts == StackAmounts::default() {
                    continue;
                }
                let frames = frames(answer, stack);
                let user_depth = ownership.user_frame(&frames);
                list.push(Row {
                    process,
                    stack,
                    inner: frames[0],
                    user: frames[user_depth],
                    user_depth,
                    amounts: *amounts,
                });
            }
        }
        Rows { analysis, list }
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> usize {
        self.analysis.processes.len()
    }

    /// The process at an index.
    pub(crate) fn process(&self, index: usize) -> &'a ProcessAnswer {
        &self.analysis.processes[index]
    }

    /// Where a process is in the analysis.
    pub(crate) fn index_of(&self, process: ProcessId) -> Option<usize> {
        self.analysis.processes.iter().position(|answer| answer.id == process)
    }

    /// The frames of a row, innermost first.
    pub(crate) fn frames(&self, row: &Row<'a>) -> Vec<FrameName<'a>> {
        frames(&self.analysis.processes[row.process], row.stack)
    }

    /// The process of a row.
    pub(crate) fn pid(&self, row: &Row<'a>) -> u32 {
        self.analysis.processes[row.process].id.pid
    }

    /// The process with the most bytes of `amount`, the earlier one if two have the same.
    pub(crate) fn heaviest_pid(&self, amount: impl Fn(&Row<'a>) -> Amount) -> Option<u32> {
        let mut bytes = vec![0u64; self.analysis.processes.len()];
        for row in &self.list {
            bytes[row.process] = bytes[row.process].saturating_add(amount(row).bytes);
        }
        let most = bytes.iter().copied().max().filter(|most| *most > 0)?;
        let at = bytes.iter().position(|bytes| *bytes == most)?;
        Some(self.analysis.processes[at].id.pid)
    }

    /// The sum over all rows.
    pub(crate) fn total(&self, amount: impl Fn(&Row<'a>) -> Amount) -> Amount {
        self.list.iter().fold(Amount::default(), |mut sum, row| {
            sum += amount(row);
            sum
        })
    }

    /// The lines with the most bytes of `amount`, ties by file, line and function; lines with none are left out.
    pub(crate) fn sites(&self, by: By, most: usize, amount: impl Fn(&Row<'a>) -> Amount) -> Vec<Site> {
        struct Sum {
            amount: Amount,
            heaviest: usize,
            heaviest_bytes: u64,
        }
        let mut sums: HashMap<FrameName<'a>, Sum> = HashMap::new();
        for (index, row) in self.list.iter().enumerate() {
            let part = amount(row);
            if part.bytes == 0 {
                continue;
            }
            let at = match by {
                By::Inner => row.inner,
                By::User => row.user,
            };
            let sum = sums.entry(at).or_insert(Sum {
                amount: Amount::default(),
                heaviest: index,
                heaviest_bytes: 0,
            });
            sum.amount += part;
            if part.bytes > sum.heaviest_bytes {
                (sum.heaviest, sum.heaviest_bytes) = (index, part.bytes);
            }
        }
        let mut order: Vec<(FrameName<'a>, Sum)> = sums.into_iter().collect();
        order.sort_by(|(a, x), (b, y)| {
            let place = |at: &FrameName<'a>| (at.file, at.line, at.function);
            y.amount.bytes.cmp(&x.amount.bytes).then(place(a).cmp(&place(b)))
        });
        order.truncate(most);
        let site = |(at, sum): (FrameName<'a>, Sum)| {
            let row = &self.list[sum.heaviest];
            let depth = match by {
                By::Inner => 0,
                By::User => row.user_depth,
            };
            Site {
                at: names::line(&at),
                bytes: sum.amount.bytes,
                error_bytes: sum.amount.error_bytes(),
                blocks: sum.amount.blocks,
                stack: self.frames(row).iter().skip(depth + 1).map(names::line).collect(),
            }
        };
        order.into_iter().map(site).collect()
    }
}
