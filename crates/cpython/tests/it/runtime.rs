//! The runtime's fields against the life of a process.

use std::process::Command;
use std::time::{Duration, Instant};

use deadweight_cpython::debug_offsets::DebugOffsets;
use deadweight_cpython::layout::RuntimeLayout;
use deadweight_cpython::runtime::{Runtime, thread_id};
use deadweight_cpython::{Memory, Version, layout_for};

use crate::process::Process;
use crate::symbols::Symbols;
use crate::{Subject, interpreters};

#[test]
fn finalizing_is_seen_at_the_end_and_never_before() {
    Subject::each(|subject| {
        let mut finalizing = Vec::new();
        let mut last = String::new();
        while let Some(stop) = subject.process.next_stop() {
            finalizing.push(subject.runtime.is_finalizing(&subject.process.memory));
            last = stop.scenario;
            subject.process.go_on();
        }
        assert_eq!(last, "finalizing", "{}", subject.name);
        assert_eq!(finalizing.pop(), Some(true), "{}", subject.name);
        assert!(!finalizing.contains(&true), "{}", subject.name);
    });
}

#[test]
fn a_subinterpreter_is_seen_while_it_lives() {
    Subject::each(|subject| {
        let mut met = false;
        while let Some(stop) = subject.process.next_stop() {
            let several = subject.runtime.has_several_interpreters(&subject.process.memory);
            assert_eq!(
                several,
                stop.scenario == "subinterpreter",
                "{}: {}",
                subject.name,
                stop.scenario
            );
            met |= several;
            subject.process.go_on();
        }
        assert!(met, "{}: no subinterpreter could be made", subject.name);
    });
}

#[test]
fn both_spellings_of_the_running_version_are_read() {
    Subject::each(|subject| {
        let process = &subject.process;
        assert_eq!(Version::from_hex(process.version_hex), process.version());
        assert!(!Version::is_free_threaded(process.version_text.as_bytes()));
        if let Some(address) = subject.symbols.find("Py_Version") {
            assert_eq!(process.memory.u32(address), Some(process.version_hex));
        } else {
            assert!(subject.layout.minor < 11, "{}", subject.name);
        }
    });
}

#[test]
fn the_interpreters_own_offsets_agree_with_the_layout_of_its_version_only() {
    Subject::each(|subject| {
        let mem = &subject.process.memory;
        let address = subject.symbols.address("_PyRuntime");
        let own = DebugOffsets::read(mem, subject.layout, address);
        if let RuntimeLayout::Fixed { .. } = subject.layout.runtime {
            assert!(own.is_err());
        } else {
            let own = own.unwrap();
            assert_eq!((own.version, own.free_threaded), (subject.process.version_hex, false));
            assert_eq!(own.check(subject.layout), Ok(()), "{}", subject.name);
        }
        for minor in (13..=15).filter(|&minor| minor != subject.layout.minor) {
            let other = layout_for(Version {
                major: 3,
                minor,
                micro: 0,
            })
            .unwrap();
            let mismatch = Runtime::locate(mem, other, address).unwrap_err();
            println!("{}: with the layout of 3.{minor}: {mismatch}", subject.name);
        }
    });
}

/// Holds the GIL for ever, in the main interpreter or in a subinterpreter on the same thread.
const BUSY: &str = r#"
import os, sys, threading
text = sys.version.encode().hex()
os.write(1, b"version %s %d\n" % (text.encode(), sys.hexversion))
os.write(1, b"stop busy %d\n" % threading.get_ident())
if WHERE == "main":
    while True:
        pass
import _xxsubinterpreters as interpreters
interpreters.run_string(interpreters.create(), "while True:\n    pass")
"#;

#[test]
fn up_to_3_11_the_running_thread_state_is_the_right_one_in_subinterpreters_too() {
    for python in interpreters::all() {
        for place in ["main", "sub"] {
            let mut process = Process::start(&python, &format!("WHERE = '{place}'{BUSY}"));
            if process.version().minor > 11 {
                continue;
            }
            let thread = process.next_announced_stop().expect("a stop").thread;
            let layout = layout_for(process.version()).unwrap();
            let runtime = Symbols::of_python(process.pid()).address("_PyRuntime");
            let runtime = Runtime::locate(&process.memory, layout, runtime).unwrap();
            let mem = &process.memory;
            // Until the subinterpreter runs. It imports its start-up modules first.
            let deadline = Instant::now() + Duration::from_secs(20);
            while runtime.has_several_interpreters(mem) != (place == "sub") {
                assert!(Instant::now() < deadline, "no subinterpreter");
            }
            std::thread::sleep(Duration::from_millis(500));
            let stopped = Command::new("kill")
                .args(["-STOP", &process.pid().to_string()])
                .status()
                .unwrap();
            assert!(stopped.success());
            let current = runtime.current_thread_state(mem).expect("a thread that holds the GIL");
            assert_eq!(thread_id(mem, layout, current), Some(thread));
            // PyThreadState.interp: the subinterpreter is the newest.
            let interpreter = mem.u64(current + 16);
            assert_eq!(
                interpreter,
                runtime.newest_interpreter(mem),
                "{}: {place}",
                python.display()
            );

            let specific = 0x1000;
            let chosen = runtime.thread_state(mem, layout, specific, thread);
            assert_eq!(chosen, if place == "sub" { current } else { specific });
            // Another thread must not take the running thread's state for its own.
            assert_eq!(runtime.thread_state(mem, layout, specific, thread + 8), specific);
        }
    }
}
