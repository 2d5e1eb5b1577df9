//! How fast a large snapshot is analysed, and with how much memory: `heap_speed [OBJECTS]`.
//!
//! The snapshot is made up: records in lists, each an instance with attributes and a string, one in ten of them in a
//! cycle with its neighbour; one in twenty cycles is garbage.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use deadweight_capture::read::{HeapFiles, ProcessId, SegmentFile, heap_file_name};
use deadweight_capture::write::{Full, SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, EdgeLabel, HeapObject, RootKind, StackId, StringId, TypeId};
use deadweight_heap::analyse_heap;

const FILE_BYTES: usize = 64 << 20;
const PROCESS: ProcessId = ProcessId { pid: 1, incarnation: 0 };

/// Writes an event.
type Put = Box<dyn Fn(&mut SegmentWriter<'_>) -> Result<(), Full>>;

/// Writes a snapshot to files of a fixed size.
struct Files<'a> {
    folder: &'a Path,
    segments: Vec<SegmentFile>,
    bytes: Vec<u8>,
    events: Vec<Put>,
}

impl Files<'_> {
    fn put(&mut self, event: impl Fn(&mut SegmentWriter<'_>) -> Result<(), Full> + 'static) {
        self.events.push(Box::new(event));
        if self.events.len() == 1 << 20 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let index = self.segments.len() as u32;
        let info = SegmentInfo {
            pid: PROCESS.pid,
            index,
            interval_bytes: 65_536,
            always_bytes: 1 << 18,
            ..SegmentInfo::default()
        };
        self.bytes.fill(0);
        let mut writer = SegmentWriter::begin(&mut self.bytes, &info).expect("room for a header");
        for event in self.events.drain(..) {
            event(&mut writer).expect("room for a million events");
        }
        let len = writer.finish();
        let path = self.folder.join(heap_file_name(PROCESS, 0, index));
        std::fs::write(&path, &self.bytes[..len]).expect("the folder can be written");
        self.segments.push(SegmentFile {
            index,
            path,
            len: len as u64,
        });
    }

    fn object(&mut self, addr: u64, type_id: u32, size: u64, references: u64, tracked: bool) {
        let object = HeapObject {
            addr: Addr(addr),
            type_id: TypeId(type_id),
            size,
            references,
            tracked,
            prefix: if tracked { 16 } else { 0 },
        };
        self.put(move |writer| writer.heap_object(&object));
    }

    fn edge(&mut self, to: u64, label: EdgeLabel) {
        self.put(move |writer| writer.heap_edge(Addr(to), label, true));
    }
}

/// A status line of this process, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

fn make(folder: &Path, objects: u64) -> HeapFiles {
    let mut files = Files {
        folder,
        segments: Vec::new(),
        bytes: vec![0; FILE_BYTES],
        events: Vec::new(),
    };
    let names: [&'static str; 8] = [
        "dict",
        "app.Record",
        "str",
        "list",
        "app.Store",
        "main",
        "items",
        "next",
    ];
    for (at, name) in names.into_iter().enumerate() {
        files.put(move |writer| writer.string(StringId(at as u32 + 1), name.as_bytes()));
    }
    for id in 1..=5 {
        files.put(move |writer| writer.heap_type(TypeId(id), StringId(id)));
    }
    // A record is three objects: the instance, its string, its list. They lie as an allocator of size classes puts
    // them: each kind in places of its own.
    let records = objects / 3;
    let record = |i: u64| 0x7000_0000_0000 + i * 64 + 16;
    let string = |i: u64| 0x7100_0000_0000 + i * 80;
    let list = |i: u64| 0x7200_0000_0000 + i * 72 + 16;
    let store = 0x6000_0000_0000;
    files.object(store, 4, 56 + records * 8, 1, true);
    for i in 0..records {
        if i % 200 >= 2 {
            files.edge(record(i), EdgeLabel::Index(i as u32));
        }
    }
    for i in 0..records {
        let (is_cycle, is_garbage) = (i % 10 < 2, i % 200 < 2);
        let references = u64::from(is_cycle) + u64::from(!is_garbage);
        files.object(record(i), 2, 48, references, true);
        files.edge(string(i), EdgeLabel::Attribute(StringId(7)));
        files.edge(list(i), EdgeLabel::Attribute(StringId(6)));
        if is_cycle {
            files.edge(record(i ^ 1), EdgeLabel::Attribute(StringId(8)));
        }
        // Strings of other records too, so that not all references are to near addresses.
        files.object(list(i), 4, 72, 1, true);
        let far = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % records;
        files.edge(string(far), EdgeLabel::Index(0));
        files.edge(string((far + 1) % records), EdgeLabel::Index(1));
    }
    for i in 0..records {
        files.object(string(i), 3, 70, 3, false);
        if i % 1000 == 0 {
            files.put(move |writer| {
                writer.alloc(Addr(string(i)), 70, StackId(1 + i as u32 % 50), Allocator::PyObject);
                Ok(())
            });
        }
    }
    files.put(|writer| writer.heap_root(RootKind::Frame, StringId(6)));
    files.edge(store, EdgeLabel::Local(StringId(7)));
    files.put(move |writer| writer.heap_end(records * 3 + 1, 0, 0));
    files.flush();
    HeapFiles {
        process: PROCESS,
        number: 0,
        segments: files.segments,
    }
}

fn analyse(folder: &Path, objects: u64) {
    let listed = std::fs::read_dir(folder).expect("the folder").count() as u32;
    let segments = (0..listed).map(|index| {
        let path = folder.join(heap_file_name(PROCESS, 0, index));
        SegmentFile { index, path, len: 0 }
    });
    let files = HeapFiles {
        process: PROCESS,
        number: 0,
        segments: segments.collect(),
    };
    let before = status("VmHWM:");
    let start = Instant::now();
    let answer = analyse_heap(&files).expect("a snapshot");
    let seconds = start.elapsed().as_secs_f64();
    let peak = status("VmHWM:").saturating_sub(before) * 1024;
    println!(
        "{seconds:.2} s, {:.1} M objects/s, {} bytes an object at the peak, the file being read included",
        objects as f64 / seconds / 1e6,
        peak / objects.max(1)
    );
    for group in answer.cycles.iter().take(3) {
        println!("{} x {}: {:?}", group.instances, group.type_name, group.cycle);
    }
    println!("garbage: {:?}", answer.garbage);
    for holder in answer.holders.iter().take(3) {
        println!("{:?} {:?} {:?}", holder.path, holder.amount, holder.elements);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let objects = arguments
        .get(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000_000);
    // In a process of its own the analysis shows how much memory it needs itself.
    if let Some(folder) = arguments.get(2) {
        return analyse(folder.as_ref(), objects);
    }
    let folder = std::env::temp_dir().join(format!("heap_speed.{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the snapshot");
    let written: u64 = make(&folder, objects).segments.iter().map(|file| file.len).sum();
    println!("{objects} objects, {} MiB", written >> 20);
    let itself = std::env::current_exe().expect("the path of this program");
    let status = Command::new(itself).arg(objects.to_string()).arg(&folder).status();
    let _ = std::fs::remove_dir_all(&folder);
    assert!(status.is_ok_and(|status| status.success()));
}
