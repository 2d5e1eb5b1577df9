//! Real interpreters are the truth: each test starts every Python found, reads its memory from outside through this
//! crate, and compares with what the process says about itself.

mod frames;
mod heap;
mod interpreters;
mod objects;
mod process;
mod runtime;
mod symbols;

use deadweight_cpython::runtime::{Runtime, thread_id};
use deadweight_cpython::{Layout, Memory, layout_for};

use process::Process;
use symbols::Symbols;

/// The program that the interpreters run: how to tell the truth, then what to be doing meanwhile.
const TARGET: &str = concat!(include_str!("target/witness.py"), include_str!("target/scenarios.py"));

/// The program of the tests of the heap.
const ZOO: &str = concat!(
    include_str!("target/witness.py"),
    include_str!("target/zoo.py"),
    include_str!("target/zoo_measures.py")
);

/// A process at its first stop, with all that is needed to read it.
struct Subject {
    name: String,
    process: Process,
    layout: &'static Layout,
    symbols: Symbols,
    runtime: Runtime,
}

impl Subject {
    /// One for each interpreter, one after the other.
    fn each(check: impl FnMut(&mut Self)) {
        Self::each_running(TARGET, check);
    }

    /// One for each interpreter, which runs `program`.
    fn each_running(program: &str, mut check: impl FnMut(&mut Self)) {
        for python in interpreters::all() {
            let process = Process::start(&python, program);
            let layout = layout_for(process.version()).expect("a version with a layout");
            let symbols = Symbols::of_python(process.pid());
            let runtime = Runtime::locate(&process.memory, layout, symbols.address("_PyRuntime"))
                .unwrap_or_else(|mismatch| panic!("{}: {mismatch}", python.display()));
            check(&mut Self {
                name: interpreters::name(&python),
                process,
                layout,
                symbols,
                runtime,
            });
        }
    }

    /// The thread state whose thread is `thread`, from the list of the newest interpreter that has one.
    fn thread_state(&self, thread: u64) -> u64 {
        // PyInterpreterState.tstate_head or threads.head, PyInterpreterState.next and PyThreadState.next, as compiled
        // from the headers. Only this test needs them: the agent asks the interpreter.
        let (threads_head, next_interpreter) = match self.layout.minor {
            9 | 10 => (8, 0),
            11 => (16, 0),
            12 => (72, 0),
            13 => (7344, 7264),
            14 => (7344, 7272),
            15 => (7336, 7264),
            minor => panic!("no offsets for 3.{minor}"),
        };
        const NEXT_THREAD: u64 = 8;
        let mem = &self.process.memory;
        let mut interpreter = self.runtime.newest_interpreter(mem).expect("an interpreter");
        loop {
            let next = mem.u64(interpreter + next_interpreter).unwrap();
            // The main interpreter is the last: a subinterpreter may have a state for the same thread.
            if next == 0 {
                break;
            }
            interpreter = next;
        }
        let mut state = mem.u64(interpreter + threads_head).unwrap();
        while state != 0 {
            if thread_id(mem, self.layout, state) == Some(thread) {
                return state;
            }
            state = mem.u64(state + NEXT_THREAD).unwrap();
        }
        panic!("{}: no thread state of thread {thread:#x}", self.name);
    }
}
