//! Entering and leaving regions.

use core::sync::atomic::Ordering;

use super::begin::recording;
use super::state::{ON, Recorder, STATE};
use crate::thread::Thread;

/// Called before the program enters its first region: `value` is the value of the context variable at `variable` in the calling
/// thread. Returns whether tasks can be told apart; otherwise regions are known by thread.
pub fn begin_regions(variable: u64, value: u64) -> bool {
    with_recording(|agent, thread| {
        let (Some(python), Some(interpreter)) = (agent.python, agent.interpreter) else {
            agent.regions.in_use = true;
            return false;
        };
        let state = interpreter.own_state(&python, thread);
        let known = state.is_some_and(|state| agent.regions.begin(interpreter.layout, state, variable, value));
        agent.regions.in_use = true;
        if !known {
            agent.note(&[b"regions are told apart by thread only: tasks of asyncio in one thread are taken together"]);
        }
        known
    })
    .unwrap_or(false)
}

/// The calling thread enters a region; `outer` is the one around it, or 0.
pub fn enter_region(number: u32, outer: u32, name: &[u8]) {
    with_recording(|agent, thread| {
        let name = agent.catalogue.string(name, &mut agent.output);
        agent.output.clock_now();
        let _ = agent
            .output
            .define(0, |writer| writer.region_enter(number, outer, name));
        agent.set_region(thread, number);
        agent.after_event();
    });
}

/// The calling thread leaves a region, and is in region `outer` again, or in none (0).
pub fn leave_region(number: u32, outer: u32) {
    with_recording(|agent, thread| {
        agent.output.clock_now();
        let _ = agent.output.define(0, |writer| writer.region_leave(number));
        agent.set_region(thread, outer);
        agent.after_event();
    });
}

fn with_recording<T>(act: impl FnOnce(&mut Recorder, &Thread) -> T) -> Option<T> {
    let thread = Thread::current();
    if STATE.load(Ordering::Acquire) != ON {
        return None;
    }
    let inside = thread.enter()?;
    let mut agent = recording(thread, &inside)?;
    Some(act(&mut agent, thread))
}

impl Recorder {
    fn set_region(&self, thread: &Thread, region: u32) {
        let state = self
            .python
            .zip(self.interpreter)
            .and_then(|(python, interpreter)| interpreter.own_state(&python, thread));
        self.regions.set(thread, state, region);
    }
}
