//! The runtime: whether it is finalizing, whether it has subinterpreters, and which thread state belongs to a thread.

use crate::debug_offsets::DebugOffsets;
use crate::layout::{Layout, RuntimeLayout};
use crate::memory::{Memory, field, is_plausible};
use crate::mismatch::Mismatch;

/// Where the fields of one process's `_PyRuntime` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    finalizing: u64,
    interpreters_head: u64,
    interpreter_next: u64,
    current_thread: Option<u64>,
}

impl Runtime {
    /// Finds the fields of the `_PyRuntime` at `runtime` (the address of that symbol).
    ///
    /// From 3.13 on they come from the interpreter's own `_Py_DebugOffsets`, which is compared with the layout at the
    /// same time: a disagreement is the error.
    pub fn locate<M: Memory>(mem: &M, layout: &Layout, runtime: u64) -> Result<Self, Mismatch> {
        if !is_plausible(runtime) {
            return Err(Mismatch {
                field: "_PyRuntime",
                expected: 0,
                found: Some(runtime),
            });
        }
        match layout.runtime {
            RuntimeLayout::Fixed {
                finalizing,
                interpreters_head,
                interpreter_next,
                current_thread,
            } => Ok(Self {
                finalizing: field(runtime, finalizing),
                interpreters_head: field(runtime, interpreters_head),
                interpreter_next: u64::from(interpreter_next),
                current_thread: current_thread.map(|offset| field(runtime, offset)),
            }),
            RuntimeLayout::DebugOffsets(_) => {
                let offsets = DebugOffsets::read(mem, layout, runtime)?;
                offsets.check(layout)?;
                Ok(Self {
                    finalizing: runtime.wrapping_add(offsets.fields.finalizing),
                    interpreters_head: runtime.wrapping_add(offsets.fields.interpreters_head),
                    interpreter_next: offsets.fields.interpreter_next,
                    current_thread: None,
                })
            }
        }
    }

    /// Whether the interpreter has begun to shut down: thread states may be freed, so stop walking. True if that
    /// cannot be read.
    #[inline]
    pub fn is_finalizing<M: Memory>(&self, mem: &M) -> bool {
        mem.u64(self.finalizing) != Some(0)
    }

    /// Address of the `PyInterpreterState` that was created last, which is the main one if it is the only one. `None`
    /// before the first is created.
    #[inline]
    pub fn newest_interpreter<M: Memory>(&self, mem: &M) -> Option<u64> {
        mem.u64(self.interpreters_head).filter(|&addr| is_plausible(addr))
    }

    /// Whether there are subinterpreters.
    #[inline]
    pub fn has_several_interpreters<M: Memory>(&self, mem: &M) -> bool {
        self.newest_interpreter(mem)
            .and_then(|newest| mem.u64(newest.wrapping_add(self.interpreter_next)))
            .is_some_and(|next| next != 0)
    }

    /// Address of the thread state that holds the GIL: 3.9 to 3.11 keep it in one global variable. `None` if no
    /// thread holds it, and from 3.12 on.
    #[inline]
    pub fn current_thread_state<M: Memory>(&self, mem: &M) -> Option<u64> {
        mem.u64(self.current_thread?).filter(|&addr| is_plausible(addr))
    }

    /// The thread state to walk in the thread whose `pthread_self` is `this_thread`, given the one that
    /// `PyGILState_GetThisThreadState` returned (0 if none).
    ///
    /// Up to 3.11 that function knows only thread states of the main interpreter: if this thread runs a subinterpreter, its
    /// thread state is the one that holds the GIL. From 3.12 on the answer is `specific` itself.
    #[inline]
    pub fn thread_state<M: Memory>(&self, mem: &M, layout: &Layout, specific: u64, this_thread: u64) -> u64 {
        if self.current_thread.is_some()
            && self.has_several_interpreters(mem)
            && let Some(current) = self.current_thread_state(mem)
            && current != specific
            && thread_id(mem, layout, current) == Some(this_thread)
        {
            return current;
        }
        specific
    }
}

/// What `pthread_self` returned in the thread of the thread state at `thread_state`.
#[inline]
pub fn thread_id<M: Memory>(mem: &M, layout: &Layout, thread_state: u64) -> Option<u64> {
    is_plausible(thread_state).then(|| mem.u64(field(thread_state, layout.thread.id)))?
}
