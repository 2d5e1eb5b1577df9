//! Snapshots written by hand, with the writer that the agent uses.

use std::collections::HashMap;

use deadweight_capture::read::{HeapFiles, ProcessId, SegmentFile, heap_file_name};
use deadweight_capture::write::{SegmentInfo, SegmentWriter};
use deadweight_capture::{Addr, Allocator, EdgeLabel, Event, HeapObject, RootKind, StackId, StringId, TypeId};
use deadweight_heap::{Error, Heap, SnapshotAnswer, analyse_heap, analyse_within};

/// Owned, because the names in the events are.
#[derive(Clone, Debug)]
enum Entry {
    Text(StringId, String),
    Other(Event<'static>),
}

/// A snapshot in the making.
#[derive(Clone, Default)]
pub struct Snapshot {
    entries: Vec<Entry>,
    names: HashMap<String, u32>,
    types: HashMap<String, u32>,
    objects: u64,
    /// Every block of the run is recorded.
    pub exact: bool,
}

impl Snapshot {
    pub fn new() -> Snapshot {
        Snapshot::default()
    }

    fn put(&mut self, event: Event<'static>) -> &mut Snapshot {
        self.entries.push(Entry::Other(event));
        self
    }

    pub fn name(&mut self, text: &str) -> StringId {
        let next = self.names.len() as u32 + 1;
        let id = StringId(*self.names.entry(text.to_owned()).or_insert(next));
        if id.0 == next {
            self.entries.push(Entry::Text(id, text.to_owned()));
        }
        id
    }

    /// An object that the collector tracks.
    pub fn tracked(&mut self, addr: u64, kind: &str, size: u64, references: u64) -> &mut Snapshot {
        self.object(addr, kind, size, references, true)
    }

    /// An object that it does not track.
    pub fn plain(&mut self, addr: u64, kind: &str, size: u64, references: u64) -> &mut Snapshot {
        self.object(addr, kind, size, references, false)
    }

    fn object(&mut self, addr: u64, kind: &str, size: u64, references: u64, tracked: bool) -> &mut Snapshot {
        let name = self.name(kind);
        let next = self.types.len() as u32;
        let type_id = TypeId(*self.types.entry(kind.to_owned()).or_insert(next));
        if type_id.0 == next {
            self.put(Event::HeapType { id: type_id, name });
        }
        self.objects += 1;
        self.put(Event::HeapObject(HeapObject {
            addr: Addr(addr),
            type_id,
            size,
            references,
            tracked,
            prefix: if tracked { 16 } else { 0 },
        }))
    }

    pub fn edge(&mut self, to: u64, label: EdgeLabel, counted: bool) -> &mut Snapshot {
        self.put(Event::HeapEdge {
            to: Addr(to),
            label,
            counted,
        })
    }

    pub fn attr(&mut self, name: &str, to: u64) -> &mut Snapshot {
        let name = self.name(name);
        self.edge(to, EdgeLabel::Attribute(name), true)
    }

    pub fn key(&mut self, name: &str, to: u64) -> &mut Snapshot {
        let name = self.name(name);
        self.edge(to, EdgeLabel::Key(name), true)
    }

    pub fn item(&mut self, at: u32, to: u64) -> &mut Snapshot {
        self.edge(to, EdgeLabel::Index(at), true)
    }

    pub fn word(&mut self, offset: u32, to: u64) -> &mut Snapshot {
        self.put(Event::HeapWord { to: Addr(to), offset })
    }

    /// A running function with a local variable.
    pub fn frame(&mut self, function: &str, local: &str, to: u64) -> &mut Snapshot {
        let (name, local) = (self.name(function), self.name(local));
        self.put(Event::HeapRoot {
            kind: RootKind::Frame,
            name,
        });
        self.edge(to, EdgeLabel::Local(local), false)
    }

    /// A dictionary of the interpreter, whose edges follow.
    pub fn interpreter(&mut self, name: &str) -> &mut Snapshot {
        let name = self.name(name);
        self.put(Event::HeapRoot {
            kind: RootKind::Interpreter,
            name,
        })
    }

    pub fn block(&mut self, addr: u64, size: u64, stack: u32, allocator: Allocator) -> &mut Snapshot {
        self.put(Event::Alloc {
            addr: Addr(addr),
            size,
            stack: StackId(stack),
            allocator,
        })
    }

    /// A native block that was not recorded.
    pub fn chunk(&mut self, addr: u64, size: u64) -> &mut Snapshot {
        self.put(Event::HeapChunk { addr: Addr(addr), size })
    }

    pub fn malloc(&mut self, addr: u64, size: u64, stack: u32) -> &mut Snapshot {
        self.block(addr, size, stack, Allocator::Malloc)
    }

    pub fn end(&mut self) -> &mut Snapshot {
        let objects = self.objects;
        self.put(Event::HeapEnd {
            objects,
            failed: 0,
            pause_nanos: 1000,
        })
    }

    /// The events as a segment.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4096 + self.entries.len() * 200];
        let info = SegmentInfo {
            pid: 7,
            exact: self.exact,
            interval_bytes: if self.exact { 0 } else { 65_536 },
            always_bytes: if self.exact { 0 } else { 1 << 18 },
            start_nanos: 5_000_000_000,
            ..SegmentInfo::default()
        };
        let mut writer = SegmentWriter::begin(&mut bytes, &info).unwrap();
        for entry in &self.entries {
            match entry {
                Entry::Text(id, text) => writer.string(*id, text.as_bytes()).unwrap(),
                Entry::Other(event) => writer.put(event).unwrap(),
            }
        }
        let len = writer.finish();
        bytes.truncate(len);
        bytes
    }

    /// Opened for questions.
    pub fn open(&self) -> Heap {
        with_files(&[&self.bytes()], 0, Heap::open).unwrap()
    }

    /// The answer to it.
    pub fn answer(&self) -> SnapshotAnswer {
        analyse(&[&self.bytes()], 0).unwrap()
    }
}

/// The answer to a snapshot of these files.
pub fn analyse(files: &[&[u8]], number: u32) -> Result<SnapshotAnswer, Error> {
    with_files(files, number, analyse_heap)
}

#[test]
fn what_would_take_too_much_memory_is_not_analysed() {
    let mut snapshot = Snapshot::new();
    for at in 1..=1000 {
        snapshot.tracked(at * 64, "node", 56, 1);
    }
    let bytes = snapshot.bytes();
    let within = |most| with_files(&[&bytes], 0, |files| analyse_within(files, most).map(|_| ()));
    assert!(within(64 << 20).is_ok());
    // More than the objects take as they are read, and less than all of the analysis.
    for most in [10, 60_000, 1 << 20] {
        match within(most) {
            Err(Error::NoRoom { needed, .. }) => assert!(needed > most, "{needed} {most}"),
            other => panic!("{other:?}"),
        }
    }
}

fn with_files<T>(files: &[&[u8]], number: u32, read: impl FnOnce(&HeapFiles) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let process = ProcessId { pid: 7, incarnation: 0 };
    let mut segments = Vec::new();
    for (index, bytes) in files.iter().enumerate() {
        let index = index as u32;
        let path = folder.path().join(heap_file_name(process, number, index));
        std::fs::write(&path, bytes).unwrap();
        segments.push(SegmentFile {
            index,
            path,
            len: bytes.len() as u64,
        });
    }
    read(&HeapFiles {
        process,
        number,
        segments,
    })
}

/// A chain as `Type.edge` texts.
pub fn chain(steps: &[deadweight_heap::Step]) -> Vec<String> {
    let short = |name: &str| deadweight_heap::short_type(name).to_owned();
    steps
        .iter()
        .map(|step| format!("{}{}", short(&step.type_name), step.edge))
        .collect()
}
