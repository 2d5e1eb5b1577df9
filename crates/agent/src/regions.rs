//! Which of the program's regions (`deadweight.region`) a thread is in.
//!
//! The Python package keeps the current region in a context variable, so each thread and each asyncio task has its own, and a task
//! inherits that of its creator. At each event the agent reads the running thread's context by plain loads, as it reads
//! frames, but only if another context has become current since the last event. Before it relies on that, it compares once
//! what it reads with what Python has set; if they differ, regions are known by thread only.

use deadweight_cpython::context::ContextPlace;
use deadweight_cpython::{Layout, Memory};

use crate::os;
use crate::python::OwnMemory;
use crate::thread::Thread;

/// Offset of the digits of an `int`; the same from 3.9 to 3.15.
const INT_DIGITS: u64 = 24;

/// The program's regions.
pub struct Regions {
    /// Whether the program uses regions.
    pub in_use: bool,
    /// Address of the context variable.
    variable: u64,
    /// Where a thread state keeps its context; `None` if that is not known.
    place: Option<ContextPlace>,
    /// The region that the capture has for the events that follow.
    pub marked: u32,
}

/// The process's own memory, read through the kernel, so that any address is safe.
struct ProbedMemory;

impl Memory for ProbedMemory {
    fn read<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        os::read_own_memory(address, &mut bytes).then_some(bytes)
    }
}

impl Regions {
    /// No regions.
    pub const fn new() -> Regions {
        Regions {
            in_use: false,
            variable: 0,
            place: None,
            marked: 0,
        }
    }

    /// Called when the program begins to use regions: `variable` has the value `value` in the thread with this state. Returns whether
    /// tasks can be told apart.
    #[cold]
    pub fn begin(&mut self, layout: &Layout, state: u64, variable: u64, value: u64) -> bool {
        self.in_use = true;
        self.variable = variable;
        self.place = ContextPlace::locate(&ProbedMemory, layout, state, variable, value);
        self.place.is_some()
    }

    /// Notes that the calling thread is in this region, in its current context.
    pub fn set(&self, thread: &Thread, state: Option<u64>, region: u32) {
        thread.region.set(region);
        let version = self
            .place
            .zip(state)
            .and_then(|(place, state)| place.version(&OwnMemory, state));
        thread.region_version.set(version.unwrap_or(0));
    }

    /// The region that the calling thread is in, 0 for none; `state` is the thread's state.
    pub fn current(&self, layout: &Layout, thread: &Thread, state: Option<u64>) -> u32 {
        let Some(place) = self.place else {
            return thread.region.get();
        };
        let Some(state) = state else { return 0 };
        let version = place.version(&OwnMemory, state).unwrap_or(0);
        if version != thread.region_version.get() {
            let value = place.value(&OwnMemory, layout, state, self.variable);
            thread
                .region
                .set(value.and_then(|value| number(layout, value)).unwrap_or(0));
            thread.region_version.set(version);
        }
        thread.region.get()
    }
}

/// The number of a region: the first item of the tuple that is the variable's value.
fn number(layout: &Layout, value: u64) -> Option<u32> {
    let items = value.checked_add(u64::from(layout.heap.tuple_items))?;
    OwnMemory.u32(OwnMemory.u64(items)?.checked_add(INT_DIGITS)?)
}
