//! The stack of an event: the running thread's frames, once a comparison has shown that they are walked correctly.

use deadweight_capture::StackId;

use super::state::{Recorder, StackState};
use crate::catalogue::Defining;
use crate::os;
use crate::python::{Reason, ThreadView};
use crate::stacks::fixed;
use crate::thread::Thread;

impl Recorder {
    /// The stack of the calling thread.
    #[inline]
    pub(super) fn current_stack(&mut self, thread: &Thread) -> StackId {
        match self.stack_state {
            StackState::Off => return fixed::STACKS_OFF,
            StackState::Untested { asked } => {
                if !asked {
                    self.ask_for_self_test();
                }
                return fixed::START_UP;
            }
            StackState::On { .. } => {}
        }
        let (Some(python), Some(interpreter)) = (&self.python, &self.interpreter) else {
            return fixed::STACKS_OFF;
        };
        match interpreter.walk(python, thread, self.stacks.frames()) {
            ThreadView::Native => self.native_stack(thread),
            ThreadView::NoFrame => fixed::INTERPRETER,
            ThreadView::Frames(walk) => {
                if let StackState::On {
                    deepest,
                    tests_left: 1..,
                    asked: false,
                } = self.stack_state
                    && walk.len > 2 * deepest
                {
                    self.ask_for_self_test();
                }
                let layout = self.interpreter.map(|interpreter| interpreter.layout);
                let mut defining = Defining {
                    catalogue: &mut self.catalogue,
                    output: &mut self.output,
                    layout,
                };
                self.stacks.intern(walk.len, walk.truncated, &mut defining)
            }
        }
    }

    /// The stack of a thread without Python state: its name. The name is read again from time to time, as threads are often named
    /// late.
    pub(super) fn native_stack(&mut self, thread: &Thread) -> StackId {
        const USES: u32 = 256;
        let age = thread.native_age.get().wrapping_add(1);
        if thread.native_epoch.get() == self.epoch && age < USES {
            thread.native_age.set(age);
            return StackId(thread.native_stack.get());
        }
        let mut buffer = [0; 16];
        let name = self.catalogue.string(os::thread_name(&mut buffer), &mut self.output);
        let mut defining = Defining {
            catalogue: &mut self.catalogue,
            output: &mut self.output,
            layout: None,
        };
        let stack = self.stacks.native_thread(name, &mut defining);
        thread.native_stack.set(stack.0);
        thread.native_epoch.set(self.epoch);
        thread.native_age.set(0);
        stack
    }

    pub(super) fn ask_for_self_test(&mut self) {
        let asked = self.add_pending_call(|callbacks| callbacks.self_test);
        match &mut self.stack_state {
            StackState::Untested { asked: place } | StackState::On { asked: place, .. } => *place = asked,
            StackState::Off => {}
        }
    }

    /// Evaluates the outcome of a comparison; `None` if there was nothing to compare yet.
    pub(super) fn tested(&mut self, outcome: Option<Result<usize, Reason>>) {
        let tests_left = match self.stack_state {
            StackState::On { tests_left, .. } => tests_left.saturating_sub(1),
            _ => 4,
        };
        match outcome {
            Some(Ok(deepest)) => {
                self.stack_state = StackState::On {
                    deepest,
                    tests_left,
                    asked: false,
                }
            }
            Some(Err(reason)) => self.stacks_off(reason),
            None => match &mut self.stack_state {
                StackState::Untested { asked } | StackState::On { asked, .. } => *asked = false,
                StackState::Off => {}
            },
        }
    }

    pub(super) fn stacks_off(&mut self, reason: Reason) {
        self.stack_state = StackState::Off;
        self.note(&[b"Python stacks are off: ", reason.as_bytes()]);
    }
}
