//! Draws runs: stacks through a real capture, amounts by hand, so that nothing here depends on how a replay
//! estimates.

use std::collections::BTreeMap;

use deadweight_analysis::manifest::{Exit, ExitKind, Manifest, SeenProcess};
use deadweight_analysis::{
    Amount, Analysis, Capture, Composition, Peak, ProcessAnswer, ProcessId, StackAmounts, State, Tail, analyse,
};
use deadweight_capture::read::segment_file_name;
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, CodeId, Frame, LineTableKind, StackId, StringId};
use deadweight_report::{BuildOptions, Report, build};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1000 * SECOND;
/// When the heap was at its highest.
pub const PEAK_NANOS: u64 = START + 38 * SECOND;

pub type Place = (&'static str, u32, &'static str);

pub const MAIN: Place = ("/home/me/project/bench.py", 40, "main");
pub const TRIPS: Place = ("/home/me/project/bench.py", 18, "make_trips");
pub const LOAD: Place = ("/home/me/project/data/load.py", 7, "Loader.load");
pub const COPY: Place = (
    "/home/me/project/.venv/lib/python3.11/site-packages/pandas/core/internals/managers.py",
    583,
    "BaseBlockManager.copy",
);
pub const EMPTY: Place = (
    "/home/me/project/.venv/lib/python3.11/site-packages/numpy/core/numeric.py",
    204,
    "ones",
);
pub const DECODE: Place = ("/usr/lib/python3.11/json/decoder.py", 353, "JSONDecoder.raw_decode");

pub fn amount(bytes: u64, blocks: u64, error: u64) -> Amount {
    Amount {
        bytes,
        blocks,
        variance: error * error,
    }
}

/// What came from a stack: at the peak, ever, at the end.
pub fn amounts(peak: Amount, allocated: Amount, end: Amount) -> StackAmounts {
    StackAmounts {
        peak,
        allocated,
        end,
        ..StackAmounts::default()
    }
}

/// Only live at the peak, and at the end still.
pub fn kept(bytes: u64) -> StackAmounts {
    let all = amount(bytes, 1, 0);
    amounts(all, all, all)
}

/// Live at the peak, gone at the end.
pub fn freed(bytes: u64) -> StackAmounts {
    let all = amount(bytes, 1, 0);
    amounts(all, all, Amount::default())
}

/// Definitions of one process's stacks, given outermost frame first.
struct Definitions<'w, 'b> {
    writer: &'w mut SegmentWriter<'b>,
    strings: BTreeMap<String, StringId>,
    codes: BTreeMap<Place, CodeId>,
    nodes: BTreeMap<(StackId, Place), StackId>,
}

impl Definitions<'_, '_> {
    fn string(&mut self, text: &str) -> StringId {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let id = StringId(self.strings.len() as u32 + 1);
        self.writer.string(id, text.as_bytes()).unwrap();
        self.strings.insert(text.to_owned(), id);
        id
    }

    fn stack(&mut self, frames: &[Place]) -> StackId {
        let mut parent = StackId::NONE;
        for place in frames {
            if let Some(id) = self.nodes.get(&(parent, *place)) {
                parent = *id;
                continue;
            }
            let (file, line, function) = *place;
            let frame = if file == "<native>" {
                let name = self.string(function);
                Frame::NativeThread { name }
            } else {
                let (file, name) = (self.string(file), self.string(function));
                let next = CodeId(self.codes.len() as u32 + 1);
                let code = *self.codes.entry(*place).or_insert(next);
                if code == next {
                    let kind = LineTableKind::Locations;
                    self.writer.code(code, file, name, line, kind, &[]).unwrap();
                }
                // Not started: the line is the code's first one.
                Frame::Python { code, offset: -1 }
            };
            let id = StackId(self.nodes.len() as u32 + 1);
            self.writer.stack(id, parent, frame).unwrap();
            self.nodes.insert((parent, *place), id);
            parent = id;
        }
        parent
    }
}

/// A process with its stacks, each outermost frame first.
pub fn process(pid: u32, parent: u32, argv: &[&str], stacks: &[(&[Place], StackAmounts)]) -> ProcessAnswer {
    let id = ProcessId { pid, incarnation: 0 };
    let mut bytes = vec![0; 1 << 20];
    let info = SegmentInfo {
        pid,
        exact: true,
        start_nanos: START,
        ..SegmentInfo::default()
    };
    let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
    let command: Vec<u8> = argv.iter().flat_map(|word| word.bytes().chain([0])).collect();
    writer.process(parent, 0x030b_07f0, false, &command).unwrap();
    let mut definitions = Definitions {
        writer: &mut writer,
        strings: BTreeMap::new(),
        codes: BTreeMap::new(),
        nodes: BTreeMap::new(),
    };
    let ids: Vec<StackId> = stacks.iter().map(|(frames, _)| definitions.stack(frames)).collect();
    for (index, id) in ids.iter().enumerate() {
        writer.alloc(Addr(0x1000 * (index as u64 + 1)), 64, *id, Allocator::Malloc);
    }
    writer.end(0).unwrap();
    writer.set_state(State::Ended);
    writer.seal();

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(segment_file_name(id, 0)), &bytes).unwrap();
    let analysis = analyse(&Capture::open(folder.path()).unwrap()).unwrap();
    let [mut answer] = <[ProcessAnswer; 1]>::try_from(analysis.processes).expect("one process");

    let most = ids.iter().map(|id| id.0 as usize + 1).max().unwrap_or(0);
    answer.amounts = vec![StackAmounts::default(); most];
    let (mut peak, mut end) = (Amount::default(), Amount::default());
    for (id, (_, amounts)) in ids.iter().zip(stacks) {
        let place = &mut answer.amounts[id.0 as usize];
        place.peak += amounts.peak;
        place.allocated += amounts.allocated;
        place.end += amounts.end;
        place.end_native_bytes += amounts.end_native_bytes;
        place.largest_bytes = place.largest_bytes.max(amounts.largest_bytes);
        peak += amounts.peak;
        end += amounts.end;
    }
    answer.id = id;
    answer.parent = parent;
    answer.argv = argv.iter().map(|word| (*word).to_owned()).collect();
    answer.python = Some(0x030b_07f0);
    answer.span_nanos = (START, START + 41 * SECOND);
    answer.own_peak = peak;
    answer.own_peak_nanos = PEAK_NANOS;
    answer.at_tree_peak = peak;
    answer.end = end;
    answer.max_rss_bytes = None;
    answer.python_ends_nanos = Some(START + 41 * SECOND);
    answer.python_ended = true;
    answer.state = State::Ended;
    answer.tail = Tail::Complete;
    answer.lost_events = 0;
    answer.notes.clear();
    answer
}

/// The answer for these processes, all at their peak 38 seconds after the start.
pub fn analysis(processes: Vec<ProcessAnswer>) -> Analysis {
    let mut heap = Amount::default();
    for process in &processes {
        heap += process.at_tree_peak;
    }
    Analysis {
        exact: false,
        interval_bytes: 64 * KIB,
        peak: Peak {
            nanos: if processes.is_empty() { 0 } else { PEAK_NANOS },
            heap,
            composition: Composition {
                python_bytes: heap.bytes / 4,
                native_bytes: heap.bytes / 2,
                mapped_bytes: heap.bytes / 4,
            },
        },
        moments: Vec::new(),
        processes,
        warnings: Vec::new(),
    }
}

pub fn exit(kind: ExitKind, status: Option<i32>, signal: Option<i32>) -> Exit {
    Exit {
        kind,
        status,
        signal,
        ..Exit::default()
    }
}

pub fn out_of_memory() -> Exit {
    Exit {
        kind: ExitKind::OomKilled,
        signal: Some(9),
        limit_bytes: Some(2048 * MIB),
        limit_kind: Some("cgroup".to_owned()),
        ..Exit::default()
    }
}

pub fn seen(pid: u32, parent: u32, argv: &[&str], rss: u64, exit: Exit) -> SeenProcess {
    SeenProcess {
        pid,
        parent,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        peak_rss_bytes: rss,
        exit,
        ..SeenProcess::default()
    }
}

pub fn manifest(rss: u64) -> Manifest {
    Manifest {
        argv: vec!["bench.py".to_owned(), "--fast".to_owned()],
        cwd: "/home/me/project".to_owned(),
        started_unix: 1_795_378_440,
        started_monotonic_nanos: START,
        sampling_interval_bytes: 64 * KIB,
        pid: Some(4123),
        seconds: Some(41.2),
        exit: Some(exit(ExitKind::Ok, Some(0), None)),
        peak_rss_bytes: Some(rss),
        peak_rss_seconds: Some(38.1),
        ..Manifest::default()
    }
}

/// One process, most of its memory made by a library under the user's lines.
pub fn bench() -> (Manifest, Analysis) {
    let trips = amounts(
        amount(1440 * MIB, 92_000, 12 * MIB),
        amount(7200 * MIB, 460_000, 30 * MIB),
        amount(20 * MIB, 900, MIB),
    );
    let load = amounts(
        amount(640 * MIB, 41_000, 8 * MIB),
        amount(1100 * MIB, 70_000, 10 * MIB),
        amount(620 * MIB, 40_000, 8 * MIB),
    );
    let json = amounts(
        amount(210 * MIB, 900_000, 4 * MIB),
        amount(2000 * MIB, 9_000_000, 12 * MIB),
        Amount::default(),
    );
    let small = amounts(
        amount(70 * MIB, 4000, 2 * MIB),
        amount(70 * MIB, 4000, 2 * MIB),
        Amount::default(),
    );
    let answer = process(
        4123,
        4100,
        &["python", "bench.py", "--fast"],
        &[
            (&[MAIN, TRIPS, COPY], trips),
            (&[MAIN, LOAD, EMPTY], load),
            (&[MAIN, LOAD, DECODE], json),
            (&[MAIN], small),
            (&[("<native>", 0, "arrow-io")], kept(5 * MIB)),
        ],
    );
    let mut analysis = analysis(vec![answer]);
    analysis.peak.heap.variance = 15 * MIB * 15 * MIB;
    (manifest(2540 * MIB), analysis)
}

/// A pool of workers, one of them killed because memory ran out, and a process that nobody recorded.
pub fn pool() -> (Manifest, Analysis) {
    const WORK: Place = ("/home/me/project/work.py", 12, "work");
    let worker = |pid, bytes| {
        let argv = [
            "python",
            "-c",
            "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)",
        ];
        process(
            pid,
            4123,
            &argv,
            &[(&[WORK, COPY], freed(bytes)), (&[WORK], kept(3 * MIB))],
        )
    };
    let mut killed = worker(4125, 900 * MIB);
    killed.state = State::Recording;
    killed.tail = Tail::Open;
    killed.notes = vec!["Python stacks are off: this build of Python is not known.".to_owned()];
    let mut lost = worker(4124, 700 * MIB);
    lost.lost_events = 12;
    lost.max_rss_bytes = Some(777 * MIB);
    let parent = process(
        4123,
        4100,
        &["python", "bench.py", "--fast"],
        &[(&[MAIN], kept(16 * MIB))],
    );
    let mut analysis = analysis(vec![parent, lost, killed]);
    analysis.exact = true;
    analysis.interval_bytes = 0;
    analysis.warnings = vec!["A segment of pid 4125 is shorter than its header says.".to_owned()];
    let mut manifest = manifest(1700 * MIB);
    manifest.exact = true;
    manifest.exit = Some(exit(ExitKind::Failed, Some(1), None));
    manifest.processes = vec![
        seen(
            4123,
            4100,
            &["python", "bench.py", "--fast"],
            40 * MIB,
            exit(ExitKind::Failed, Some(1), None),
        ),
        seen(
            4125,
            4123,
            &["python", "-c", "spawn_main()"],
            950 * MIB,
            out_of_memory(),
        ),
        seen(
            4130,
            4123,
            &["/bin/sh", "-c", "sort big.csv"],
            20 * MIB,
            exit(ExitKind::Ok, Some(0), None),
        ),
    ];
    (manifest, analysis)
}

/// Names as a hostile or unlucky program has them.
pub fn hostile() -> (Manifest, Analysis) {
    const ESCAPES: Place = (
        "/tmp/\u{1b}]0;owned\u{7}a;b\n<&>.py",
        3,
        "f\u{1b}[31m;g\"\u{0}h\u{202e}",
    );
    const LONG: Place = (
        "/a/very/deep/folder/with/many/parts/that/go/on/and/on/and/on/until/nothing/else/fits/in/any/line/at/all/",
        u32::MAX,
        "数据处理函数.<locals>.这个名字也很长很长很长很长很长很长很长很长很长很长.<lambda>",
    );
    let answer = process(
        4123,
        1,
        &["py\u{1b}[2Jthon", "x\ny"],
        &[
            (&[LONG, ESCAPES], kept(300 * MIB)),
            (&[ESCAPES, LONG], freed(200 * MIB)),
            (&[], kept(5 * MIB)),
        ],
    );
    let mut analysis = analysis(vec![answer]);
    analysis.warnings = vec![
        "\u{1b}[31mred\u{1b}[0m warning about /one/path/that/is/longer/than/any/line/that/anyone/would/ever/want.py"
            .to_owned(),
    ];
    let mut manifest = manifest(400 * MIB);
    manifest.argv = vec!["\u{1b}[2Jbench.py".to_owned()];
    (manifest, analysis)
}

pub fn nothing() -> Analysis {
    analysis(Vec::new())
}

pub fn report((manifest, analysis): (Manifest, Analysis)) -> Report {
    build(Some(&manifest), &analysis, &[], &BuildOptions::default())
}
