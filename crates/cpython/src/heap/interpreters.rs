//! The interpreters of a process, and the objects that they hold.

use crate::layout::{InterpreterFields, InterpreterLayout, Layout};
use crate::memory::{Memory, is_plausible};
use crate::mismatch::Mismatch;
use crate::runtime::Runtime;

/// More interpreters than this are a cycle.
const MAX_INTERPRETERS: usize = 4096;

/// Where the fields of an interpreter are in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreters {
    newest: Runtime,
    id: u64,
    next: u64,
    threads_head: u64,
    gc: u64,
    modules: u64,
    sysdict: u64,
    builtins: u64,
}

/// An object that an interpreter itself holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Address of the object.
    pub object: u64,
    /// What it is: `sys.modules`, `sys.__dict__`, `builtins.__dict__`.
    pub name: &'static str,
}

impl Interpreters {
    /// Finds the fields for the `_PyRuntime` at `runtime` (the address of that symbol).
    ///
    /// From 3.13 on they come from `_Py_DebugOffsets`. Its offset of `gc.collecting` is compared with the layout: a
    /// disagreement, which means that the collector's lists are elsewhere too, is the error.
    pub fn locate<M: Memory>(mem: &M, layout: &Layout, runtime: u64) -> Result<Self, Mismatch> {
        let newest = Runtime::locate(mem, layout, runtime)?;
        let entry = |field: &'static str, offset: u16| {
            mem.u64(runtime.wrapping_add(u64::from(offset))).ok_or(Mismatch {
                field,
                expected: u64::from(offset),
                found: None,
            })
        };
        match layout.heap.interpreter {
            InterpreterLayout::Fixed(fields) => {
                let InterpreterFields {
                    id,
                    next,
                    threads_head,
                    gc,
                    modules,
                    sysdict,
                    builtins,
                } = fields;
                Ok(Self {
                    newest,
                    id: id.into(),
                    next: next.into(),
                    threads_head: threads_head.into(),
                    gc: gc.into(),
                    modules: modules.into(),
                    sysdict: sysdict.into(),
                    builtins: builtins.into(),
                })
            }
            InterpreterLayout::DebugOffsets { position, collecting } => {
                Mismatch::compare(
                    "gc.collecting",
                    layout.heap.gc.collecting.into(),
                    Some(entry("gc.collecting", collecting)?),
                )?;
                Ok(Self {
                    newest,
                    id: entry("interpreter_state.id", position.id)?,
                    next: entry("interpreter_state.next", position.next)?,
                    threads_head: entry("interpreter_state.threads_head", position.threads_head)?,
                    gc: entry("interpreter_state.gc", position.gc)?,
                    modules: entry("interpreter_state.imports_modules", position.modules)?,
                    sysdict: entry("interpreter_state.sysdict", position.sysdict)?,
                    builtins: entry("interpreter_state.builtins", position.builtins)?,
                })
            }
        }
    }

    /// Gives each interpreter to `each`, the newest first and the main one last. False if the chain is broken.
    pub fn each<M: Memory>(&self, mem: &M, mut each: impl FnMut(u64)) -> bool {
        let mut next = self.newest.newest_interpreter(mem);
        for _ in 0..MAX_INTERPRETERS {
            let Some(interpreter) = next else { return false };
            each(interpreter);
            match mem.u64(interpreter.wrapping_add(self.next)) {
                Some(0) => return true,
                found => next = found.filter(|&addr| is_plausible(addr)),
            }
        }
        false
    }

    /// The main interpreter: the one whose id is 0.
    pub fn main<M: Memory>(&self, mem: &M) -> Option<u64> {
        let mut main = None;
        self.each(mem, |interpreter| {
            if mem.u64(interpreter.wrapping_add(self.id)) == Some(0) {
                main = Some(interpreter);
            }
        });
        main
    }

    /// The thread state that was created last in the interpreter at `interpreter`.
    pub fn newest_thread<M: Memory>(&self, mem: &M, interpreter: u64) -> Option<u64> {
        mem.u64(interpreter.wrapping_add(self.threads_head))
            .filter(|&addr| is_plausible(addr))
    }

    /// The objects that the interpreter at `interpreter` itself holds; missing ones are left out.
    pub fn roots<M: Memory>(&self, mem: &M, interpreter: u64, mut each: impl FnMut(Root)) {
        let fields = [
            ("sys.modules", self.modules),
            ("sys.__dict__", self.sysdict),
            ("builtins.__dict__", self.builtins),
        ];
        for (name, offset) in fields {
            if let Some(object) = mem.u64(interpreter.wrapping_add(offset))
                && is_plausible(object)
            {
                each(Root { object, name });
            }
        }
    }

    /// Address of the collector's state of the interpreter at `interpreter`.
    #[must_use]
    pub const fn gc(&self, interpreter: u64) -> u64 {
        interpreter.wrapping_add(self.gc)
    }
}
