//! Objects that need no node of their own: most objects of a large heap are numbers and strings that refer to nothing.
//!
//! A *leaf* refers to nothing, is not tracked by the collector, has a reference count of 1, and is not an object of
//! native code that may keep references where they cannot be seen. If a single object refers to it, nothing else can
//! hold it, so it shares that object's fate. Therefore the leaves of one type that an object refers to become one node
//! that stands for all of them (from [`FEWEST_NODE`] leaves or [`SMALLEST_NODE`] bytes on), or are counted in the
//! object itself. Answers about holders, cycles and garbage stay the same, and the analysis needs a third of the
//! memory.

use deadweight_capture::read::HeapFiles;
use deadweight_capture::{EdgeLabel, Event};

use crate::Error;
use crate::graph::Inside;
use crate::graph::label::Label;
use crate::read::address::{AddressIndex, Pages};
use crate::read::events::{ObjectRecord, Source, Sources, each_event};

/// From this number of leaves of one type on they get a node: they may be the elements of a container.
const FEWEST_NODE: u32 = 4;
/// From this number of bytes on they get a node, too.
const SMALLEST_NODE: u64 = 4096;

/// A leaf as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub addr: u64,
    pub size: u32,
    pub type_number: u32,
}

impl Leaf {
    /// The object as a leaf, if its record allows that.
    pub fn of(object: &ObjectRecord) -> Option<Leaf> {
        let is_plain = object.flags == 0 && object.references == 1 && object.edges == 0 && object.prefix == 0;
        Some(Leaf {
            addr: object.addr,
            size: u32::try_from(object.size).ok().filter(|_| is_plain)?,
            type_number: object.type_number,
        })
    }

    fn object(&self) -> ObjectRecord {
        ObjectRecord {
            addr: self.addr,
            size: u64::from(self.size),
            type_number: self.type_number,
            references: 1,
            ..ObjectRecord::default()
        }
    }
}

/// The fate of a leaf: no reference to it has been seen. Any number but these three is that of its group.
const NOT_FOUND: u32 = u32::MAX;
/// The object whose edges are being read refers to it.
const IN_ROW: u32 = u32::MAX - 1;
/// It gets a node of its own.
const ALONE: u32 = u32::MAX - 2;

/// Leaves of one type that one object refers to.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// Index of the object among those that are not leaves.
    owner: u32,
    type_number: u32,
    count: u32,
    /// The leaf whose node stands for all of them.
    stands: Option<u32>,
    bytes: u64,
    /// That leaf turned out to have another reference: each of them gets a node of its own.
    broken: bool,
}

impl Group {
    fn holds(&self) -> bool {
        self.count > 0 && !self.broken
    }
}

/// Leaves by address, and the fate of each.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    list: Vec<Leaf>,
    pages: Pages,
    fates: Vec<u32>,
    groups: Vec<Group>,
    /// Leaves that the current object refers to: type and leaf.
    row: Vec<(u32, u32)>,
    owner: Option<u32>,
}

/// What became of the leaves.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// Address and node of each leaf without a node of its own, by address.
    pub places: Vec<(u64, u32)>,
    /// Nodes that stand for several leaves: the node, how many, and their bytes together.
    pub many: Vec<(u32, u32, u64)>,
    /// Leaves that are counted in other objects.
    pub inside: Vec<Inside>,
}

impl Leaves {
    /// `objects` must be sorted by address. An address among them is not a leaf's: a damaged snapshot may name an
    /// object twice, once in the form of a leaf, and each address must belong to one node.
    pub fn new(mut list: Vec<Leaf>, objects: &[ObjectRecord]) -> Leaves {
        if !list.is_sorted_by_key(|leaf| leaf.addr) {
            list.sort_unstable_by_key(|leaf| leaf.addr);
        }
        list.dedup_by_key(|leaf| leaf.addr);
        let mut objects = objects.iter().map(|object| object.addr).peekable();
        list.retain(|leaf| {
            while objects.next_if(|&addr| addr < leaf.addr).is_some() {}
            objects.peek() != Some(&leaf.addr)
        });
        Leaves {
            pages: Pages::new(list.iter().map(|leaf| leaf.addr)),
            fates: vec![NOT_FOUND; list.len()],
            list,
            ..Leaves::default()
        }
    }

    fn find(&self, addr: u64) -> Option<u32> {
        let run = self.pages.run(addr);
        let leaves = self.list.get(run.clone())?;
        let at = leaves.binary_search_by_key(&addr, |leaf| leaf.addr).ok()?;
        Some((run.start + at) as u32)
    }

    /// Folds what can be folded. `objects`, sorted, lose their edges to folded leaves, and the other leaves are added
    /// to them.
    ///
    /// # Errors
    /// See [`each_event`].
    pub fn fold(
        mut self,
        files: &HeapFiles,
        block_words: &[(u64, u64)],
        objects: &mut Vec<ObjectRecord>,
    ) -> Result<Folded, Error> {
        for &(_, word) in block_words {
            self.meet(word, None);
        }
        let index = AddressIndex::new(objects.iter().map(|object| object.addr).collect());
        let (mut sources, mut repeated) = (Sources::default(), Vec::new());
        each_event(files, &mut repeated, |_, event| {
            sources.event(event);
            self.event(event, sources, &index);
        })?;
        self.end_row();
        drop(index);
        Ok(self.settle(objects))
    }

    fn event(&mut self, event: &Event<'_>, sources: Sources, index: &AddressIndex) {
        let is_row = |source| (source == Source::Object).then_some(self.owner).flatten();
        match *event {
            Event::HeapObject(object) => {
                self.end_row();
                self.owner = index.find(object.addr.0);
            }
            Event::HeapRoot { .. } => {
                self.end_row();
                self.owner = None;
            }
            Event::HeapEdge {
                label: EdgeLabel::Closure(_),
                ..
            } => {}
            Event::HeapEdge { to, label, counted } if Label::of(label, counted).is_some() => {
                self.meet(to.0, is_row(sources.edges));
            }
            Event::HeapWord { to, .. } => self.meet(to.0, is_row(sources.words)),
            _ => {}
        }
    }

    /// Takes a reference from an object that is not a leaf (`owner`), or from elsewhere.
    #[inline]
    fn meet(&mut self, addr: u64, owner: Option<u32>) {
        let Some(leaf) = self.find(addr) else { return };
        let fate = self.fates[leaf as usize];
        match (fate, owner) {
            (NOT_FOUND, Some(_)) => {
                self.fates[leaf as usize] = IN_ROW;
                self.row.push((self.list[leaf as usize].type_number, leaf));
            }
            (NOT_FOUND | IN_ROW, _) => self.fates[leaf as usize] = ALONE,
            (ALONE, _) => {}
            (group, _) => {
                self.fates[leaf as usize] = ALONE;
                let group = &mut self.groups[group as usize];
                group.count -= 1;
                group.bytes -= u64::from(self.list[leaf as usize].size);
                group.broken |= group.stands == Some(leaf);
            }
        }
    }

    /// Groups the leaves of the current object.
    fn end_row(&mut self) {
        let Some(owner) = self.owner else { return };
        let mut row = std::mem::take(&mut self.row);
        row.retain(|&(_, leaf)| self.fates[leaf as usize] == IN_ROW);
        row.sort_unstable();
        for part in row.chunk_by(|one, other| one.0 == other.0) {
            let bytes = part
                .iter()
                .map(|&(_, leaf)| u64::from(self.list[leaf as usize].size))
                .sum();
            let Some(&(type_number, first)) = part.first() else {
                continue;
            };
            let number = self.groups.len() as u32;
            let is_node = part.len() as u32 >= FEWEST_NODE || bytes >= SMALLEST_NODE;
            self.groups.push(Group {
                owner,
                type_number,
                count: part.len() as u32,
                stands: is_node.then_some(first),
                bytes,
                broken: false,
            });
            for &(_, leaf) in part {
                self.fates[leaf as usize] = number.min(ALONE);
            }
        }
        row.clear();
        self.row = row;
    }

    fn settle(self, objects: &mut Vec<ObjectRecord>) -> Folded {
        let Leaves {
            list, fates, groups, ..
        } = self;
        let group_of = |fate: u32| groups.get(fate as usize).filter(|group| group.holds());
        let stays = |at: usize| group_of(fates[at]).is_none_or(|group| group.stands == Some(at as u32));
        for group in groups.iter().filter(|group| group.holds()) {
            let gone = group.count - u32::from(group.stands.is_some());
            if let Some(owner) = objects.get_mut(group.owner as usize) {
                owner.edges = owner.edges.saturating_sub(gone);
            }
        }
        let staying: Vec<u64> = (0..list.len())
            .filter(|&at| stays(at))
            .map(|at| list[at].addr)
            .collect();
        // The number of a node is how many addresses are below its own.
        let owner_node = |group: &Group| {
            let addr = objects.get(group.owner as usize).map_or(0, |object| object.addr);
            group.owner + staying.partition_point(|&other| other < addr) as u32
        };
        let leaf_node = |leaf: u32| {
            let addr = list[leaf as usize].addr;
            let before = objects.partition_point(|object| object.addr < addr);
            (before + staying.partition_point(|&other| other < addr)) as u32
        };
        let nodes: Vec<u32> = groups
            .iter()
            .map(|group| group.stands.map_or_else(|| owner_node(group), leaf_node))
            .collect();
        let mut folded = Folded::default();
        for (at, leaf) in list.iter().enumerate().filter(|&(at, _)| !stays(at)) {
            folded.places.push((leaf.addr, nodes[fates[at] as usize]));
        }
        for (group, &node) in groups.iter().zip(&nodes).filter(|(group, _)| group.holds()) {
            match group.stands {
                Some(_) => folded.many.push((node, group.count, group.bytes)),
                None => folded.inside.push(Inside {
                    node,
                    type_number: group.type_number,
                    count: group.count,
                    bytes: group.bytes,
                }),
            }
        }
        let more = (0..list.len()).filter(|&at| stays(at)).map(|at| list[at].object());
        objects.extend(more);
        folded
    }
}
