//! Writes the committed sample of the current format version; see `fixtures/captures/v3/README.md`.

use std::path::{Path, PathBuf};

use deadweight_capture::manifest::{Exit, ExitKind, Manifest};
use deadweight_capture::read::{FOLD_FILE, ProcessId, segment_file_name};
use deadweight_capture::wire::{State, VERSION};
use deadweight_capture::write::{Full, SegmentInfo, SegmentWriter};
use deadweight_capture::{
    Addr, Allocator, CodeId, Event, Frame, LineTableKind, MapKind, StackId, StackTotals, StringId,
};

const START: u64 = 1_000_000_000;
const KIB: u64 = 1024;

fn segment(info: &SegmentInfo, state: State, events: &[Event<'_>]) -> Result<Vec<u8>, Full> {
    let mut bytes = vec![0; 64 * 1024];
    let mut writer = SegmentWriter::begin(&mut bytes, info).ok_or(Full)?;
    for event in events {
        writer.put(event)?;
    }
    writer.set_state(state);
    if state == State::Recording {
        // As a killed process leaves it: the last chunk is open. Cut to a page.
        bytes.truncate(4096);
    } else {
        let size = writer.finish();
        bytes.truncate(size);
    }
    Ok(bytes)
}

fn process(parent: u32, forked: bool, argv: &'static [u8]) -> Event<'static> {
    Event::Process {
        parent,
        python: 0x030b_07f0,
        forked,
        argv,
    }
}

fn text(id: u32, bytes: &'static [u8]) -> Event<'static> {
    Event::String {
        id: StringId(id),
        bytes,
    }
}

fn stack(id: u32, parent: u32, frame: Frame) -> Event<'static> {
    Event::Stack {
        id: StackId(id),
        parent: StackId(parent),
        frame,
    }
}

fn alloc(addr: u64, size: u64, stack: u32, allocator: Allocator) -> Event<'static> {
    Event::Alloc {
        addr: Addr(addr),
        size,
        stack: StackId(stack),
        allocator,
    }
}

fn python(code: u32, offset: i32) -> Frame {
    Frame::Python {
        code: CodeId(code),
        offset,
    }
}

/// `load` on line 5, called by the module on line 10, and a thread without Python.
fn definitions() -> Vec<Event<'static>> {
    let code = |id, name, first_line, line_table| Event::Code {
        id: CodeId(id),
        file: StringId(1),
        name: StringId(name),
        first_line,
        kind: LineTableKind::Ranges,
        line_table,
    };
    vec![
        text(1, b"bench.py"),
        text(2, b"<module>"),
        text(3, b"load"),
        text(4, b"worker"),
        code(1, 2, 1, &[8, 0, 8, 9]),
        code(2, 3, 4, &[4, 0, 8, 1]),
        stack(1, 0, python(1, 8)),
        stack(2, 1, python(2, 6)),
        stack(3, 0, Frame::NativeThread { name: StringId(4) }),
        stack(4, 0, Frame::StartUp),
    ]
}

/// Every block recorded; a parent that ends, and a forked child that is killed.
fn exact(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let info = |pid, index, start_nanos| SegmentInfo {
        pid,
        index,
        exact: true,
        start_nanos,
        ..SegmentInfo::default()
    };
    let mut first = vec![process(1, false, b"python\0bench.py\0--fast\0")];
    first.extend(definitions());
    first.extend([
        alloc(0x1000, 100 * KIB, 4, Allocator::PyObject),
        Event::Clock {
            nanos: START + 1_000_000,
        },
        alloc(0x20000, 500 * KIB, 2, Allocator::PyMem),
        alloc(0xa0000, 200 * KIB, 3, Allocator::Malloc),
        Event::Map {
            addr: Addr(0x7f00_0000_0000),
            len: 1024 * KIB,
            kind: MapKind::Anonymous,
            stack: StackId(1),
        },
        Event::Map {
            addr: Addr(0x7f01_0000_0000),
            len: 1024 * KIB,
            kind: MapKind::File,
            stack: StackId(1),
        },
    ]);
    let second = [
        Event::Clock {
            nanos: START + 4_000_000,
        },
        Event::Free { addr: Addr(0x20000) },
        Event::Unmap {
            addr: Addr(0x7f00_0000_0000),
            len: 256 * KIB,
        },
        Event::Remap {
            old: Addr(0x7f00_0004_0000),
            old_len: 768 * KIB,
            new: Addr(0x7f02_0000_0000),
            new_len: 512 * KIB,
            stack: StackId(1),
        },
        Event::Note {
            text: "Two threads had no name.".as_bytes(),
        },
        Event::Lost { events: 3 },
        Event::End {
            max_rss_bytes: 9_000_000,
        },
    ];
    let child = [
        process(100, true, b"python\0bench.py\0--fast\0"),
        text(1, b"bench.py"),
        stack(1, 0, Frame::Interpreter),
        alloc(0x30000, 300 * KIB, 1, Allocator::Malloc),
        Event::Free { addr: Addr(0x20000) },
        Event::Clock {
            nanos: START + 3_000_000,
        },
        alloc(0x90000, 10 * KIB, 1, Allocator::Aligned),
    ];
    let files = [
        (100, 0, segment(&info(100, 0, START), State::Full, &first)),
        (100, 1, segment(&info(100, 1, START + 1_000_000), State::Ended, &second)),
        (
            101,
            0,
            segment(&info(101, 0, START + 2_000_000), State::Recording, &child),
        ),
    ];
    for (pid, index, bytes) in files {
        let bytes = bytes.map_err(|Full| "a fixture's segment is too small")?;
        let id = ProcessId { pid, incarnation: 0 };
        std::fs::write(folder.join(segment_file_name(id, index)), bytes)?;
    }
    write_manifest(folder, true)
}

fn level(bytes: u64) -> Event<'static> {
    Event::Level {
        stack: StackId(2),
        bytes,
    }
}

/// A sampled run whose beginning is folded.
fn folded(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let info = |index, start_nanos| SegmentInfo {
        pid: 200,
        index,
        interval_bytes: 64 * KIB,
        always_bytes: 1024 * KIB,
        start_nanos,
        ..SegmentInfo::default()
    };
    let mut fold = vec![
        Event::Folded {
            first_nanos: START,
            last_nanos: START + 2_000_000,
            unseen_frees: 1,
            gone: false,
            tail_open: false,
        },
        Event::Position {
            segment: 3,
            chunk: 128,
            consumed: 0,
        },
        process(1, false, b"python\0bench.py\0"),
        Event::Warning {
            text: b"pid 200: segment 1 is missing: what was recorded there is not in this report",
        },
        Event::ProcessPeak {
            bytes: 5000 * KIB,
            milliblocks: 3000,
            variance: 0,
            nanos: START + 1_000_000,
        },
        Event::TreePeak {
            python_bytes: 4000 * KIB,
            native_bytes: 1000 * KIB,
            mapped_bytes: 0,
            nanos: START + 1_000_000,
            now: false,
        },
    ];
    fold.extend(definitions());
    fold.extend([
        Event::Totals(StackTotals {
            stack: StackId(2),
            allocated_bytes: 9000 * KIB,
            allocated_milliblocks: 5000,
            allocated_variance: 0,
            peak_bytes: 5000 * KIB,
            peak_milliblocks: 3000,
            peak_variance: 0,
        }),
        alloc(0x100000, 2000 * KIB, 2, Allocator::PyMem),
        Event::History {
            origin_nanos: START,
            width_nanos: 1_000_000,
        },
        Event::Sample { bytes: 5000 * KIB },
        Event::Allocated { bytes: 6000 * KIB },
        level(5000 * KIB),
        Event::Sample { bytes: 2000 * KIB },
        Event::Allocated { bytes: 9000 * KIB },
        level(2000 * KIB),
    ]);
    let last = [
        Event::Clock {
            nanos: START + 2_500_000,
        },
        alloc(0x1000, 100, 3, Allocator::Malloc),
        Event::Free { addr: Addr(0x100000) },
        Event::End {
            max_rss_bytes: 7_000_000,
        },
    ];
    let too_small = |Full| "a fixture's segment is too small";
    let bytes = segment(&info(0, START), State::Full, &fold).map_err(too_small)?;
    std::fs::write(folder.join(FOLD_FILE), bytes)?;
    let bytes = segment(&info(3, START + 2_000_000), State::Ended, &last).map_err(too_small)?;
    let id = ProcessId {
        pid: 200,
        incarnation: 0,
    };
    std::fs::write(folder.join(segment_file_name(id, 3)), bytes)?;
    write_manifest(folder, false)
}

/// A region with another one in it, in whose end a block outlives it, and a second thread in a region of its own.
fn regions(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let info = SegmentInfo {
        pid: 300,
        exact: true,
        start_nanos: START,
        ..SegmentInfo::default()
    };
    let clock = |millis: u64| Event::Clock {
        nanos: START + millis * 1_000_000,
    };
    let enter = |number, outer, name| Event::RegionEnter {
        number,
        outer,
        name: StringId(name),
    };
    let mut events = vec![process(1, false, b"python\0bench.py\0")];
    events.extend(definitions());
    events.extend([
        text(5, b"outer"),
        text(6, b"inner"),
        alloc(0x1000, 100 * KIB, 1, Allocator::PyMem),
        clock(1),
        enter(1, 0, 5),
        Event::Region { number: 1 },
        alloc(0x20000, 400 * KIB, 2, Allocator::PyMem),
        clock(2),
        enter(2, 1, 6),
        Event::Region { number: 2 },
        alloc(0x90000, 300 * KIB, 2, Allocator::PyMem),
        Event::Free { addr: Addr(0x1000) },
        clock(3),
        enter(3, 0, 4),
        Event::Region { number: 3 },
        alloc(0xf0000, 50 * KIB, 3, Allocator::Malloc),
        Event::Region { number: 2 },
        Event::Free { addr: Addr(0x20000) },
        Event::RegionLeave { number: 2 },
        Event::Region { number: 1 },
        clock(4),
        Event::RegionLeave { number: 1 },
        Event::Region { number: 0 },
        Event::End {
            max_rss_bytes: 5_000_000,
        },
    ]);
    let bytes = segment(&info, State::Ended, &events).map_err(|Full| "a fixture's segment is too small")?;
    let id = ProcessId {
        pid: 300,
        incarnation: 0,
    };
    std::fs::write(folder.join(segment_file_name(id, 0)), bytes)?;
    write_manifest(folder, true)
}

fn write_manifest(folder: &Path, exact: bool) -> Result<(), Box<dyn std::error::Error>> {
    let manifest = Manifest {
        format: VERSION,
        deadweight: "0.1.0".into(),
        argv: vec!["bench.py".into()],
        cwd: "/home/user".into(),
        started_unix: 1_700_000_000,
        started_monotonic_nanos: START,
        exact,
        sampling_interval_bytes: if exact { 0 } else { 64 * KIB },
        max_size_bytes: 256 << 20,
        seconds: Some(0.5),
        exit: Some(Exit {
            kind: ExitKind::Ok,
            status: Some(0),
            ..Exit::default()
        }),
        ..Manifest::default()
    };
    Ok(manifest.write(folder)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target: PathBuf = std::env::args_os().nth(1).ok_or("where to? (a folder)")?.into();
    for (name, make) in [
        ("exact", exact as fn(&Path) -> _),
        ("folded", folded),
        ("regions", regions),
    ] {
        let folder = target.join(name);
        std::fs::create_dir_all(&folder)?;
        make(&folder)?;
    }
    Ok(())
}
