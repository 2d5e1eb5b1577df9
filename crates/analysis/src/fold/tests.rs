//! A folded capture must answer what the same capture answers without folding.

use std::collections::BTreeMap;
use std::path::Path;

use deadweight_capture::manifest::Manifest;
use deadweight_capture::read::{Capture, FOLD_FILE, ProcessId, segment_file_name};
use deadweight_capture::wire::{State, VERSION};
use deadweight_capture::write::{Requests, SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, CodeId, Event, Frame, LineTableKind, MapKind, StackId, StringId};
use proptest::prelude::*;

use super::Folder;
use crate::{Analysis, analyse};

/// A process whose segments are written anew from all its events each time: the same events give the same bytes.
#[derive(Clone, Debug)]
struct Program {
    id: ProcessId,
    exact: bool,
    start_nanos: u64,
    segment_bytes: usize,
    events: Vec<Event<'static>>,
}

impl Program {
    fn new(pid: u32, exact: bool, start_nanos: u64, segment_bytes: usize) -> Program {
        let mut program = Program {
            id: ProcessId { pid, incarnation: 0 },
            exact,
            start_nanos,
            segment_bytes,
            events: Vec::new(),
        };
        let process = Event::Process {
            parent: pid - 1,
            python: 0x030b_07f0,
            forked: pid > 1,
            argv: b"python\0a.py\0",
        };
        program.events.push(process);
        program
    }

    fn has_ended(&self) -> bool {
        matches!(self.events.last(), Some(Event::End { .. }))
    }

    fn segments(&self) -> Vec<Vec<u8>> {
        let mut events = self.events.iter().peekable();
        let mut segments = Vec::new();
        let mut nanos = self.start_nanos;
        while events.peek().is_some() || segments.is_empty() {
            let mut bytes = vec![0; self.segment_bytes];
            let info = SegmentInfo {
                pid: self.id.pid,
                incarnation: self.id.incarnation,
                index: segments.len() as u32,
                exact: self.exact,
                interval_bytes: if self.exact { 0 } else { 4096 },
                always_bytes: if self.exact { 0 } else { 65536 },
                start_nanos: nanos,
                requests: Requests::NONE,
                snapshot_writer: 0,
            };
            let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
            while let Some(event) = events.peek() {
                if writer.put(event).is_err() {
                    break;
                }
                if let Event::Clock { nanos: now } = **event {
                    nanos = now;
                }
                events.next();
            }
            if events.peek().is_some() {
                writer.set_state(State::Full);
                writer.seal();
            } else if self.has_ended() {
                writer.set_state(State::Ended);
                writer.seal();
            }
            segments.push(bytes);
        }
        segments
    }

    /// Brings the files up to date. Folded ones do not come back.
    fn write(&self, folder: &Path, written: &mut BTreeMap<ProcessId, usize>) {
        let segments = self.segments();
        let from = written.get(&self.id).copied().unwrap_or(0);
        for (index, bytes) in segments.iter().enumerate().skip(from) {
            std::fs::write(folder.join(segment_file_name(self.id, index as u32)), bytes).unwrap();
        }
        written.insert(
            self.id,
            if self.has_ended() {
                segments.len()
            } else {
                segments.len() - 1
            },
        );
    }
}

fn folder_of(path: &Path) -> Folder {
    Folder {
        is_running: |_| true,
        ..Folder::new(path, 1 << 20)
    }
}

fn analysed(path: &Path) -> Analysis {
    analyse(&Capture::open(path).unwrap()).unwrap()
}

/// All of an analysis as text, with the names of all frames instead of the tables behind them.
fn shown(analysis: &Analysis) -> String {
    let mut text = format!("{:#?}{:#?}\n", analysis.peak, analysis.warnings);
    for process in &analysis.processes {
        let mut process = process.clone();
        let stacks = std::mem::take(&mut process.stacks);
        let frames: Vec<Vec<_>> = (0..stacks.len() as u32)
            .map(|id| stacks.frames(StackId(id)).collect())
            .collect();
        text += &format!("{process:#?}{frames:?}\n");
    }
    text
}

fn same(a: &Analysis, b: &Analysis) -> Result<(), TestCaseError> {
    prop_assert_eq!((a.exact, a.interval_bytes), (b.exact, b.interval_bytes));
    prop_assert_eq!(shown(a), shown(b));
    Ok(())
}

fn name(at: usize) -> &'static str {
    ["f", "g", "<module>", "naïve"][at % 4]
}

/// One step of a random program.
#[derive(Clone, Debug)]
enum Step {
    Event(usize, Event<'static>),
    Later(usize, u64),
    Define(usize),
    End(usize),
    Fold { margin: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0usize..3;
    let addr = || (0u64..40).prop_map(|slot| Addr(0x1000 + slot * 8));
    let stack = || (1u32..9).prop_map(StackId);
    let size = prop::sample::select(vec![0u64, 16, 100, 5000, 70_000]);
    let kind = prop::sample::select(vec![MapKind::Anonymous, MapKind::File]);
    let allocator = (0u8..4).prop_map(|number| Allocator::from_wire(number).unwrap());
    let range = || (0u64..32, 1u64..8).prop_map(|(at, len)| (Addr(at << 12), len << 12));
    let event = prop_oneof![
        12 => (addr(), size, stack(), allocator)
            .prop_map(|(addr, size, stack, allocator)| Event::Alloc { addr, size, stack, allocator }),
        9 => addr().prop_map(|addr| Event::Free { addr }),
        3 => (range(), kind, stack()).prop_map(|((addr, len), kind, stack)| Event::Map { addr, len, kind, stack }),
        3 => range().prop_map(|(addr, len)| Event::Unmap { addr, len }),
        2 => (range(), range(), stack()).prop_map(|((old, old_len), (new, new_len), stack)| Event::Remap {
            old, old_len, new, new_len, stack,
        }),
        1 => (1u64..5).prop_map(|events| Event::Lost { events }),
        1 => Just(Event::Note { text: b"Python stacks are off." }),
        3 => (1u32..9, 0u32..9, 1u32..4).prop_map(|(number, outer, name)| Event::RegionEnter {
            number, outer, name: StringId(name),
        }),
        2 => (1u32..9).prop_map(|number| Event::RegionLeave { number }),
        4 => (0u32..9).prop_map(|number| Event::Region { number }),
    ];
    prop_oneof![
        80 => (process.clone(), event).prop_map(|(process, event)| Step::Event(process, event)),
        25 => (process.clone(), 1u64..200).prop_map(|(process, micros)| Step::Later(process, micros)),
        // Long enough for samples over time, and for their distance to double.
        4 => (process.clone(), 3_000u64..300_000).prop_map(|(process, micros)| Step::Later(process, micros)),
        8 => process.clone().prop_map(Step::Define),
        1 => process.prop_map(Step::End),
        6 => (0u64..300).prop_map(|margin| Step::Fold { margin }),
    ]
}

/// The name of a file in which there is `f`.
const FILE: StringId = StringId(500);

/// The definitions of the next stack of a process.
fn define(events: &mut Vec<Event<'static>>) {
    let defined = events
        .iter()
        .filter(|event| matches!(event, Event::Stack { .. }))
        .count() as u32;
    let id = defined + 1;
    events.push(Event::String {
        id: FILE,
        bytes: b"a.py",
    });
    events.push(Event::String {
        id: StringId(id),
        bytes: name(id as usize).as_bytes(),
    });
    events.push(Event::Code {
        id: CodeId(id),
        file: FILE,
        name: StringId(id),
        first_line: 10 * id,
        kind: LineTableKind::Ranges,
        line_table: &[4, 1, 4, 2],
    });
    events.push(Event::Stack {
        id: StackId(id),
        parent: StackId(id / 2),
        frame: Frame::Python {
            code: CodeId(id),
            offset: 5,
        },
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_folded_capture_answers_what_it_would_have_answered(
        exact: [bool; 3],
        segment_bytes in 400usize..1500,
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let (folded, whole, doubled) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
        for folder in [&folded, &whole, &doubled] {
            let manifest = Manifest {
                format: VERSION,
                regions: vec!["a:f".to_owned(), "a:g".to_owned()],
                ..Manifest::default()
            };
            manifest.write(folder.path())?;
        }
        let mut programs: Vec<Program> = (0..3)
            .map(|at| Program::new(at as u32 + 1, exact[at], 1_000_000 + 7 * at as u64, segment_bytes))
            .collect();
        let mut written = BTreeMap::new();
        let mut folder = folder_of(folded.path());
        let mut now = 1_000_000;
        let mut folds = 0;
        for step in steps {
            match step {
                Step::Event(process, _) | Step::Later(process, _) | Step::Define(process) | Step::End(process)
                    if programs[process].has_ended() => {}
                Step::Event(process, event) => {
                    // Whatever happens, happens at the present.
                    programs[process].events.push(Event::Clock { nanos: now });
                    programs[process].events.push(event);
                }
                Step::Later(process, micros) => {
                    now += micros * 1000;
                    programs[process].events.push(Event::Clock { nanos: now });
                }
                Step::Define(process) => define(&mut programs[process].events),
                Step::End(process) => {
                    programs[process].events.push(Event::Clock { nanos: now });
                    programs[process].events.push(Event::End { max_rss_bytes: 77 });
                }
                Step::Fold { margin } => {
                    programs.iter().for_each(|program| program.write(folded.path(), &mut written));
                    folder.fold((now - 1000).saturating_sub(margin * 1000)).unwrap();
                    folds += 1;
                    if folds % 3 == 0 {
                        // A supervisor that is started anew goes on from the fold.
                        folder = folder_of(folded.path());
                    }
                }
            }
        }
        // All that still run were seen to run until now.
        for program in &mut programs {
            if !program.has_ended() {
                program.events.push(Event::Clock { nanos: now + 1_000_000 });
            }
            program.write(folded.path(), &mut written);
            program.write(whole.path(), &mut BTreeMap::new());
            program.write(doubled.path(), &mut BTreeMap::new());
        }
        let expected = analysed(whole.path());
        same(&analysed(folded.path()), &expected)?;
        // As if the supervisor had died before it removed what it had folded.
        if folds > 0 {
            std::fs::copy(folded.path().join(FOLD_FILE), doubled.path().join(FOLD_FILE))?;
            same(&analysed(doubled.path()), &expected)?;
        }
    }
}

/// A program that allocates and frees in a window of `live` blocks.
fn churn(program: &mut Program, events: u64, live: u64, from: u64) {
    for at in from..from + events {
        if at % 10 == 0 {
            program.events.push(Event::Clock {
                nanos: program.start_nanos + at * 1000,
            });
        }
        program.events.push(Event::Alloc {
            addr: Addr(0x1000 + at * 16),
            size: 100 + at % 50,
            stack: StackId(1 + at as u32 % 3),
            allocator: Allocator::PyObject,
        });
        if at >= live {
            program.events.push(Event::Free {
                addr: Addr(0x1000 + (at - live) * 16),
            });
        }
    }
}

fn bytes_in(path: &Path) -> u64 {
    Capture::open(path).unwrap().len_bytes()
}

#[test]
fn a_long_run_stays_below_its_limit() {
    let (folded, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let limit = 1 << 20;
    let mut folder = Folder {
        max_size_bytes: limit,
        ..folder_of(folded.path())
    };
    let mut program = Program::new(1, true, 1_000_000, 100_000);
    let mut written = BTreeMap::new();
    let mut folds = 0;
    for round in 0..40 {
        churn(&mut program, 5000, 3000, round * 5000);
        program.write(folded.path(), &mut written);
        folds += u64::from(folder.poll().unwrap().is_some());
        assert!(bytes_in(folded.path()) < limit);
    }
    assert!(folds > 2);
    program.write(whole.path(), &mut BTreeMap::new());
    assert!(bytes_in(whole.path()) > 2 * limit);
    same(&analysed(folded.path()), &analysed(whole.path())).unwrap();
}

#[test]
fn a_small_capture_is_left_alone() {
    let folded = tempfile::tempdir().unwrap();
    let mut program = Program::new(1, true, 0, 1000);
    churn(&mut program, 100, 10, 0);
    program.write(folded.path(), &mut BTreeMap::new());
    assert_eq!(Folder::new(folded.path(), 1 << 20).poll().unwrap(), None);
    assert!(Capture::open(folded.path()).unwrap().fold().is_none());
}

#[test]
fn an_empty_folder_is_left_alone() {
    let folded = tempfile::tempdir().unwrap();
    assert_eq!(Folder::new(folded.path(), 1).poll().unwrap(), None);
}

#[test]
fn of_a_running_process_the_newest_segment_stays() {
    let folded = tempfile::tempdir().unwrap();
    let mut program = Program::new(1, true, 0, 1000);
    churn(&mut program, 1000, 10, 0);
    program.write(folded.path(), &mut BTreeMap::new());
    let count = program.segments().len() as u32;
    let mut folder = Folder::new(folded.path(), 1000);
    let done = folder.poll().unwrap().unwrap();
    assert_eq!(done.removed_bytes, u64::from(count - 1) * 1000);
    let capture = Capture::open(folded.path()).unwrap();
    let left: Vec<_> = capture.processes()[0]
        .segments
        .iter()
        .map(|file| (file.index, file.len))
        .collect();
    assert_eq!(left, [(0, 0), (count - 1, 1000)]);
}

#[test]
fn of_a_process_that_ended_nothing_but_the_fold_stays() {
    let (folded, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut program = Program::new(1, true, 0, 1000);
    churn(&mut program, 1000, 10, 0);
    program.events.push(Event::End { max_rss_bytes: 5 });
    program.write(folded.path(), &mut BTreeMap::new());
    program.write(whole.path(), &mut BTreeMap::new());
    Folder::new(folded.path(), 1000).poll().unwrap().unwrap();
    let capture = Capture::open(folded.path()).unwrap();
    let left: Vec<_> = capture.processes()[0]
        .segments
        .iter()
        .map(|file| (file.index, file.len))
        .collect();
    assert_eq!(left, [(0, 0)], "the name of the first segment stays taken");
    same(&analysed(folded.path()), &analysed(whole.path())).unwrap();
}

#[test]
fn a_killed_process_no_longer_counts_after_the_fold_that_found_it_dead() {
    let folded = tempfile::tempdir().unwrap();
    let mut folder = Folder {
        is_running: |pid| pid != 2,
        ..folder_of(folded.path())
    };
    let mut programs = [Program::new(1, true, 0, 1000), Program::new(2, true, 0, 1000)];
    programs.iter_mut().for_each(|program| churn(program, 100, 1000, 0));
    let mut written = BTreeMap::new();
    programs
        .iter()
        .for_each(|program| program.write(folded.path(), &mut written));
    folder.seen.insert(2);
    folder.fold(1_000_000).unwrap();
    folder.fold(1_000_000).unwrap();
    churn(&mut programs[0], 150, 1000, 100);
    programs[0].write(folded.path(), &mut written);
    let analysis = analysed(folded.path());
    let [first, second] = &analysis.processes[..] else {
        panic!("two processes")
    };
    assert_eq!(analysis.peak.heap, first.end);
    assert_eq!(second.at_tree_peak.bytes, 0);
    assert!(second.end.bytes > 0);
}

#[test]
fn what_is_live_may_need_more_than_the_limit() {
    let folded = tempfile::tempdir().unwrap();
    let mut program = Program::new(1, true, 0, 1000);
    churn(&mut program, 2000, 5000, 0);
    program.write(folded.path(), &mut BTreeMap::new());
    let done = Folder::new(folded.path(), 4000).poll().unwrap().unwrap();
    assert!(done.fold_bytes > 4000);
    assert!(
        done.warnings[0].contains("more room in the capture than its limit of 4000 bytes"),
        "{:?}",
        done.warnings
    );
}

#[test]
fn a_damaged_segment_is_not_folded_away() {
    let (folded, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut program = Program::new(1, true, 0, 1000);
    churn(&mut program, 1000, 10, 0);
    for path in [folded.path(), whole.path()] {
        program.write(path, &mut BTreeMap::new());
        let file = path.join(segment_file_name(program.id, 2));
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[200] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    Folder::new(folded.path(), 1000).poll().unwrap().unwrap();
    let capture = Capture::open(folded.path()).unwrap();
    assert_eq!(capture.processes()[0].segments[0].len, 0);
    assert_eq!(capture.processes()[0].segments[1].index, 2);
    let analysis = analysed(folded.path());
    assert!(
        analysis.warnings[0].contains("damaged at byte 128"),
        "{:?}",
        analysis.warnings
    );
    same(&analysis, &analysed(whole.path())).unwrap();
}

#[test]
fn a_program_that_exec_replaced_no_longer_counts() {
    let folded = tempfile::tempdir().unwrap();
    let mut folder = folder_of(folded.path());
    let mut programs = [Program::new(1, true, 0, 1000), Program::new(1, true, 500_000, 1000)];
    programs[1].id.incarnation = 1;
    churn(&mut programs[0], 100, 1000, 0);
    churn(&mut programs[1], 50, 1000, 0);
    let mut written = BTreeMap::new();
    programs
        .iter()
        .for_each(|program| program.write(folded.path(), &mut written));
    folder.fold(1_000_000).unwrap();
    folder.fold(1_000_000).unwrap();
    churn(&mut programs[1], 150, 1000, 50);
    programs[1].write(folded.path(), &mut written);
    let analysis = analysed(folded.path());
    assert_eq!(analysis.peak.heap, analysis.processes[1].end);
}
