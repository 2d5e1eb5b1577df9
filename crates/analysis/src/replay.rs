//! The replay: one pass over all events in the order of time, which knows what is live in each process.

mod history;
mod process;
mod ranges;
mod regions;
mod restore;
mod tree;
pub(crate) mod weight;

use deadweight_capture::Event;
use deadweight_capture::read::{Events, ProcessId};

use crate::replay::weight::Recording;
use crate::{Composition, Peak};
pub(crate) use process::Process;
pub use regions::is_function_name;
pub(crate) use regions::{FunctionName, functions};
pub(crate) use tree::{Cell, Tree};

/// Everything that is live, in all processes.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    processes: Vec<Process>,
    tree: Tree,
    /// Functions that are treated as regions.
    functions: Vec<FunctionName>,
}

impl Replay {
    /// A replay in which nothing is live yet. These functions are treated as regions.
    pub fn new(functions: Vec<FunctionName>) -> Replay {
        Replay {
            functions,
            ..Replay::default()
        }
    }

    /// Adds a process with nothing live, and returns its index.
    pub fn add(&mut self, id: ProcessId, recording: Recording) -> usize {
        self.processes.push(Process::new(id, recording, &self.functions));
        self.processes.len() - 1
    }

    pub fn process(&self, index: usize) -> Option<&Process> {
        self.processes.get(index)
    }

    /// Index of the program that runs in this process now.
    pub fn running(&self, pid: u32) -> Option<usize> {
        let runs = |process: &&Process| process.id().pid == pid && !process.is_gone() && process.first_nanos.is_some();
        let latest = self.processes.iter().filter(runs).max_by_key(|process| process.id());
        let id = latest?.id();
        self.processes.iter().position(|process| process.id() == id)
    }

    /// The program that ran in this process last, if it ended its recording between these times.
    pub fn ended(&self, pid: u32, from_nanos: u64, to_nanos: u64) -> Option<&Process> {
        let ended = |process: &&Process| {
            process.id().pid == pid && process.is_gone() && (from_nanos..=to_nanos).contains(&process.nanos())
        };
        self.processes.iter().filter(ended).max_by_key(|process| process.id())
    }

    /// The process that a forked one came from.
    pub fn parent_of_fork(&self, child: &Process) -> Option<usize> {
        let begun = child.first_nanos?;
        let is_parent = |process: &&Process| {
            process.id().pid == child.metadata.parent && process.first_nanos.is_some_and(|first| first <= begun)
        };
        let parents = self
            .processes
            .iter()
            .filter(|_| child.metadata.forked)
            .filter(is_parent);
        let id = parents.max_by_key(|process| process.id())?.id();
        self.processes.iter().position(|process| process.id() == id)
    }

    /// Number of recorded live blocks.
    pub fn blocks(&self) -> usize {
        self.processes.iter().map(Process::block_count).sum()
    }

    pub fn process_mut(&mut self, index: usize) -> Option<&mut Process> {
        self.processes.get_mut(index)
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Takes one event of one process. Over all processes, events must come in the order of time.
    #[cfg(test)]
    pub fn event(&mut self, index: usize, event: &Event<'_>) {
        if let Some(process) = self.processes.get_mut(index) {
            match *event {
                Event::Clock { nanos } => process.clock(nanos),
                ref event => process.event(&mut self.tree, event),
            }
        }
    }

    /// Takes events of one process up to `bound` (time, and process id for ties), and says whether a later one follows. The
    /// process's time is then that of the later event.
    pub fn run(&mut self, index: usize, events: &mut Events<'_>, bound: (u64, ProcessId)) -> bool {
        let Some(process) = self.processes.get_mut(index) else {
            return false;
        };
        for event in events {
            match event {
                Event::Clock { nanos } => {
                    process.clock(nanos);
                    if (process.nanos(), process.id()) > bound {
                        return true;
                    }
                }
                ref event => process.event(&mut self.tree, event),
            }
        }
        false
    }

    /// The process has ended, and its memory no longer counts. What was live in it at the end stays known.
    pub fn leave(&mut self, index: usize) {
        if let Some(process) = self.processes.get_mut(index) {
            process.leave(&mut self.tree);
        }
    }

    /// Takes an event of a fold. The events of a process's fold come together, and before all its other events.
    pub fn restore(&mut self, index: usize, event: &Event<'_>) {
        if let Some(process) = self.processes.get_mut(index) {
            restore::restore(process, &mut self.tree, event);
        }
    }

    /// The tree's peak.
    pub fn peak(&self) -> Peak {
        let (heap, [python_bytes, native_bytes, mapped_bytes], nanos) = self.tree.peak();
        Peak {
            nanos,
            heap: heap.amount(),
            composition: Composition {
                python_bytes,
                native_bytes,
                mapped_bytes,
            },
        }
    }

    pub fn into_processes(self) -> (Vec<Process>, Tree) {
        (self.processes, self.tree)
    }
}

#[cfg(test)]
mod tests;
