//! Walks against `sys._getframe`.

use deadweight_cpython::frame::{End, RawFrame, Walk, walk};
use deadweight_cpython::layout::FrameChain;
use deadweight_cpython::{Memory, Version, bytes, code, layout_for, unicode};

use crate::Subject;
use crate::process::{Stop, TrueCode};

const FINALIZING: &str = "finalizing";

#[test]
fn every_walk_is_what_getframe_says() {
    Subject::each(|subject| {
        let (mut stops, mut compared, mut mismatches) = (0, 0, Vec::new());
        while let Some(stop) = subject.process.next_stop() {
            if stop.scenario != FINALIZING {
                stops += 1;
                compared += stop.frames.len();
                compare(subject, &stop, &mut mismatches);
            }
            subject.process.go_on();
        }
        println!(
            "{}: {compared} frames at {stops} stops, {} mismatches",
            subject.name,
            mismatches.len()
        );
        assert!(mismatches.is_empty(), "{}: {mismatches:#?}", subject.name);
        assert!(stops > 90, "{} stops only", stops);
    });
}

fn compare(subject: &Subject, stop: &Stop, mismatches: &mut Vec<String>) {
    let mem = &subject.process.memory;
    let code_type = subject.symbols.address("PyCode_Type");
    let mut out = vec![RawFrame::default(); 4096];
    let state = subject.thread_state(stop.thread);
    let result = walk(mem, subject.layout, code_type, state, &mut out);
    let wanted: Vec<RawFrame> = stop
        .frames
        .iter()
        .map(|frame| RawFrame {
            code: frame.code,
            offset: frame.lasti,
            incomplete: false,
        })
        .collect();
    let expected = Walk {
        len: wanted.len(),
        truncated: false,
        end: End::Complete,
    };
    if result != expected {
        mismatches.push(format!("{}: {result:?}, expected {expected:?}", stop.scenario));
    }
    for (depth, pair) in wanted
        .iter()
        .zip(&out)
        .enumerate()
        .filter(|(_, (wanted, found))| wanted != found)
    {
        mismatches.push(format!("{}: depth {depth}: (wanted, found) = {pair:?}", stop.scenario));
    }

    // A buffer of any smaller size holds the innermost frames and says that there are more.
    for room in [0, 1, 2, wanted.len() - 1, wanted.len()] {
        let mut small = vec![RawFrame::default(); room];
        let result = walk(mem, subject.layout, code_type, state, &mut small);
        let expected = Walk {
            len: room,
            truncated: room < wanted.len(),
            end: End::Complete,
        };
        if result != expected || small != wanted[..room] {
            mismatches.push(format!("{}: with room for {room}: {result:?}", stop.scenario));
        }
    }

    // With another type for the code type, nothing is taken for a frame.
    let wrong = walk(
        mem,
        subject.layout,
        subject.symbols.address("PyBytes_Type"),
        state,
        &mut out,
    );
    if wrong
        != (Walk {
            len: 0,
            truncated: false,
            end: End::BadFrame,
        })
    {
        mismatches.push(format!("{}: with the wrong code type: {wrong:?}", stop.scenario));
    }

    for frame in &wanted {
        if let Err(what) = compare_code(subject, frame.code) {
            mismatches.push(format!("{}: code {:#x}: {what}", stop.scenario, frame.code));
        }
    }
}

/// A code object's metadata against its attributes.
fn compare_code(subject: &Subject, address: u64) -> Result<(), String> {
    let mem = &subject.process.memory;
    let layout = subject.layout;
    let metadata = code::metadata(mem, layout, address).ok_or("no metadata")?;
    let identity = code::identity(mem, layout, address).ok_or("no identity")?;
    if (identity.first_line, identity.filename, identity.line_table)
        != (metadata.first_line, metadata.filename, metadata.line_table)
    {
        return Err(format!("{metadata:?} and {identity:?} disagree"));
    }
    let text = |object: u64| {
        let mut buffer = [0; 512];
        let text = unicode::utf8(mem, layout, object, &mut buffer).ok_or("not a string")?;
        assert!(!text.truncated);
        Ok::<_, String>(String::from_utf8(buffer[..text.len].to_vec()).unwrap())
    };
    let content = bytes::content(mem, layout, metadata.line_table).ok_or("not a bytes object")?;
    let mut line_table = vec![0; content.len as usize];
    assert!(mem.read_into(content.addr, &mut line_table));
    let found = TrueCode {
        first_line: metadata.first_line,
        qualified_name: text(metadata.qualified_name)?,
        filename: text(metadata.filename)?,
        line_table,
    };
    let wanted = subject.process.codes.get(&address).ok_or("never described")?;
    if &found == wanted {
        Ok(())
    } else {
        Err(format!("{found:?}, expected {wanted:?}"))
    }
}

#[test]
fn a_layout_of_another_version_never_panics() {
    Subject::each(|subject| {
        let mut out = vec![RawFrame::default(); 256];
        let mut stops = 0;
        while let Some(stop) = subject.process.next_stop() {
            if stop.scenario != FINALIZING && stops < 20 {
                stops += 1;
                for minor in 9..=15 {
                    let layout = layout_for(Version {
                        major: 3,
                        minor,
                        micro: 0,
                    })
                    .unwrap();
                    let state = subject.thread_state(stop.thread);
                    let code_type = subject.symbols.address("PyCode_Type");
                    let result = walk(&subject.process.memory, layout, code_type, state, &mut out);
                    for frame in &out[..result.len] {
                        assert_eq!(subject.process.memory.u64(frame.code + 8), Some(code_type));
                    }
                }
            }
            subject.process.go_on();
        }
    });
}

/// From 3.13 on a specialised call of a class puts a frame between `__init__` and its caller. It is hidden on top of
/// the stack by a property that this test proves: it has no traceable instruction at all, while all others have one.
#[test]
fn only_the_trampoline_of_init_has_no_traceable_instruction() {
    Subject::each(|subject| {
        let mut trampolines = 0;
        while let Some(stop) = subject.process.next_stop() {
            if stop.scenario != FINALIZING {
                trampolines += count_trampolines(subject, &stop);
            }
            subject.process.go_on();
        }
        println!("{}: {trampolines} trampolines met", subject.name);
        assert_eq!(trampolines > 0, subject.layout.minor >= 13, "{}", subject.name);
    });
}

/// Follows the chain without the walk's rules. Every code object that `sys._getframe` never showed must be the
/// trampoline's.
fn count_trampolines(subject: &Subject, stop: &Stop) -> usize {
    let mem = &subject.process.memory;
    let state = subject.thread_state(stop.thread);
    let (frames, mut frame) = match subject.layout.frames {
        FrameChain::Direct { current_frame, frames } => (frames, mem.u64(state + u64::from(current_frame)).unwrap()),
        FrameChain::CFrame {
            cframe,
            current_frame,
            frames,
        } => {
            let cframe = mem.u64(state + u64::from(cframe)).unwrap();
            (frames, mem.u64(cframe + u64::from(current_frame)).unwrap())
        }
        FrameChain::Objects(_) => return 0,
    };
    let mut trampolines = 0;
    while frame != 0 {
        let code = mem.u64(frame + u64::from(frames.code)).unwrap() & !frames.code_tag;
        if mem.u8(frame + u64::from(frames.owner)).unwrap() < frames.hidden_owners_from {
            assert_eq!(mem.u64(code + 8), Some(subject.symbols.address("PyCode_Type")));
            let first_traceable = mem.i32(code + u64::from(frames.first_traceable)).unwrap();
            let instructions = mem.i64(code + 16).unwrap();
            let shown = subject.process.codes.contains_key(&code);
            assert_eq!(
                i64::from(first_traceable) < instructions,
                shown,
                "{}: {}",
                subject.name,
                stop.scenario
            );
            if !shown {
                trampolines += 1;
                // Exported from 3.14 on.
                let cleanup = subject.symbols.find("_Py_InitCleanup");
                assert!(cleanup.is_none_or(|cleanup| cleanup == code));
            }
        }
        frame = mem.u64(frame + u64::from(frames.previous)).unwrap();
    }
    trampolines
}
