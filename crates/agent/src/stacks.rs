//! The Python stack of the running thread as one number: a tree of frames, each node defined once in the capture.
//!
//! Most allocations have nearly the same stack as the one before. So the last stack is kept with its nodes, outermost frame first.
//! The new stack is compared with it from the outermost frame on, and only the frames that differ are looked up.

use deadweight_capture::{CodeId, Frame, StackId, StringId};
use deadweight_cpython::frame::RawFrame;

use crate::memory::{Mapping, NoMemory, Zeroed};
use crate::table::{Key, Table, spread};

/// Highest number of frames of a stack; outer frames beyond it are omitted.
pub const MAX_FRAMES: usize = 4096;

/// Highest number of nodes: more would take too much of the program's memory.
const MAX_NODES: u32 = 1 << 24;

/// Marks the keys of native threads: no Python frame has a caller with this id.
const NATIVE: u64 = u64::MAX << 32;

/// A node's place in the tree: caller, code and offset, in a form that is never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct NodeKey {
    parent_and_code: u64,
    offset: u32,
}

impl NodeKey {
    fn new(parent: StackId, code: CodeId, offset: i32) -> NodeKey {
        // +1 tells the outermost frame with code 0 and offset 0 from `NONE`.
        NodeKey {
            parent_and_code: (u64::from(parent.0) << 32 | u64::from(code.0)).wrapping_add(1),
            offset: offset as u32,
        }
    }
}

// SAFETY: all fields of `NONE` are 0.
unsafe impl Key for NodeKey {
    const NONE: NodeKey = NodeKey {
        parent_and_code: 0,
        offset: 0,
    };
    #[inline(always)]
    fn hash(self) -> u64 {
        spread(self.parent_and_code ^ (u64::from(self.offset) << 40))
    }
}

#[derive(Clone, Copy)]
#[repr(C)]
struct LastFrame {
    code: u64,
    offset: i32,
    node: StackId,
    /// The code object's id; 0 where it could not be read.
    id: CodeId,
}

// SAFETY: all fields are numbers, for which zero bytes are valid.
unsafe impl Zeroed for LastFrame {}

// SAFETY: the fields are numbers and a `bool`, as the next item checks: zero bytes are 0 and `false`.
unsafe impl Zeroed for RawFrame {}

/// Does not compile if [`RawFrame`] gets other fields.
const _: fn(RawFrame) -> (u64, i32, bool) = |RawFrame {
                                                 code,
                                                 offset,
                                                 incomplete,
                                             }| (code, offset, incomplete);

/// What the tree needs from its owner: ids of code objects, and definitions of new nodes in the capture.
pub trait Definitions {
    /// The id of the code object at this address; `None` if that cannot be read.
    fn code(&mut self, address: u64) -> Option<CodeId>;
    /// Writes the definition of a node.
    fn node(&mut self, id: StackId, parent: StackId, frame: Frame);
}

/// The tree of stacks of one process, and the last stack.
pub struct Stacks {
    nodes: Table<NodeKey, StackId>,
    next: u32,
    last: Mapping<LastFrame>,
    last_len: usize,
    /// The buffer for walks, innermost frame first.
    frames: Mapping<RawFrame>,
}

/// Nodes with fixed ids, which every process has.
pub mod fixed {
    use super::*;

    /// Allocations before Python stacks could be read.
    pub const START_UP: StackId = StackId(1);
    /// A thread with Python state and no frame.
    pub const INTERPRETER: StackId = StackId(2);
    /// Stands for outer frames that were omitted.
    pub const TRUNCATED: StackId = StackId(3);
    /// Python stacks are off.
    pub const STACKS_OFF: StackId = StackId(4);
    pub(super) const NEXT: u32 = 5;
    /// All of them with their frames.
    pub const ALL: [(StackId, Frame); 4] = [
        (START_UP, Frame::StartUp),
        (INTERPRETER, Frame::Interpreter),
        (TRUNCATED, Frame::Truncated),
        (STACKS_OFF, Frame::StacksOff),
    ];
}

impl Stacks {
    /// An empty tree, without memory.
    pub const fn new() -> Stacks {
        Stacks {
            nodes: Table::new(),
            next: fixed::NEXT,
            last: Mapping::empty(),
            last_len: 0,
            frames: Mapping::empty(),
        }
    }

    /// Gets the memory for walks, and forgets all stacks.
    pub fn begin(&mut self) -> Result<(), NoMemory> {
        self.nodes.clear();
        self.next = fixed::NEXT;
        self.last_len = 0;
        if self.frames.is_empty() {
            self.frames = Mapping::zeroed(MAX_FRAMES)?;
            self.last = Mapping::zeroed(MAX_FRAMES)?;
        }
        Ok(())
    }

    /// The buffer for a walk.
    pub fn frames(&mut self) -> &mut [RawFrame] {
        &mut self.frames
    }

    /// Forgets the last stack. Called when a code object is freed: its address may come to be that of another one.
    pub fn forget_last(&mut self) {
        self.last_len = 0;
    }

    /// A new node id, `None` if there are too many.
    fn next_id(&mut self) -> Option<StackId> {
        let id = self.next;
        if id >= MAX_NODES {
            return None;
        }
        self.next += 1;
        Some(StackId(id))
    }

    /// The stack of a native thread with this name.
    pub fn native_thread(&mut self, name: StringId, definitions: &mut impl Definitions) -> StackId {
        let key = NodeKey {
            parent_and_code: NATIVE | u64::from(name.0),
            offset: 0,
        };
        if let Some(known) = self.nodes.get(key) {
            return known;
        }
        match self.next_id() {
            Some(id) if self.nodes.insert(key, id).is_ok() => {
                definitions.node(id, StackId::NONE, Frame::NativeThread { name });
                id
            }
            _ => fixed::TRUNCATED,
        }
    }

    /// The id of the stack whose `len` frames were walked into [`Stacks::frames`].
    #[inline]
    pub fn intern(&mut self, len: usize, truncated: bool, definitions: &mut impl Definitions) -> StackId {
        let Some(frames) = self.frames.get(..len) else {
            return fixed::TRUNCATED;
        };
        let mut node = if truncated { fixed::TRUNCATED } else { StackId::NONE };
        let mut depth = 0;
        if !truncated {
            let known = self.last.get(..self.last_len).unwrap_or_default();
            for (frame, last) in frames.iter().rev().zip(known) {
                if frame.code != last.code || frame.offset != last.offset {
                    break;
                }
                node = last.node;
                depth += 1;
            }
        }
        if depth < len {
            node = self.intern_rest(len, depth, node, definitions);
        }
        self.last_len = if truncated { 0 } else { len };
        node
    }

    fn intern_rest(
        &mut self,
        len: usize,
        from_depth: usize,
        mut node: StackId,
        definitions: &mut impl Definitions,
    ) -> StackId {
        for depth in from_depth..len {
            let (Some(&frame), Some(last)) = (self.frames.get(len - 1 - depth), self.last.get(depth)) else {
                break;
            };
            // An address at the same depth as in the last stack is that of the same code object: had it been freed, the last
            // stack would be empty.
            let id = if depth < self.last_len && last.code == frame.code {
                last.id
            } else {
                definitions.code(frame.code).unwrap_or_default()
            };
            if id != CodeId::default() {
                node = self.child(node, id, frame.offset, definitions);
            }
            if let Some(last) = self.last.get_mut(depth) {
                *last = LastFrame {
                    code: frame.code,
                    offset: frame.offset,
                    node,
                    id,
                };
            }
        }
        node
    }

    #[inline]
    fn child(&mut self, parent: StackId, code: CodeId, offset: i32, definitions: &mut impl Definitions) -> StackId {
        let key = NodeKey::new(parent, code, offset);
        if let Some(known) = self.nodes.get(key) {
            return known;
        }
        let Some(id) = self.next_id() else { return parent };
        if self.nodes.insert(key, id).is_err() {
            return parent;
        }
        definitions.node(id, parent, Frame::Python { code, offset });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Written {
        nodes: HashMap<StackId, (StackId, Frame)>,
    }

    impl Definitions for Written {
        fn code(&mut self, address: u64) -> Option<CodeId> {
            Some(CodeId(address as u32))
        }
        fn node(&mut self, id: StackId, parent: StackId, frame: Frame) {
            assert!(parent.0 < id.0);
            assert!(
                self.nodes.insert(id, (parent, frame)).is_none(),
                "a node is defined once"
            );
        }
    }

    fn intern(stacks: &mut Stacks, written: &mut Written, outermost_first: &[(u64, i32)]) -> StackId {
        for (index, &(code, offset)) in outermost_first.iter().rev().enumerate() {
            stacks.frames()[index] = RawFrame {
                code,
                offset,
                ..RawFrame::default()
            };
        }
        stacks.intern(outermost_first.len(), false, written)
    }

    #[test]
    fn every_stack_comes_back_whatever_came_before_it() {
        let (mut stacks, mut written) = (Stacks::new(), Written::default());
        stacks.begin().unwrap();
        let mut ids = HashMap::new();
        let mut random = 7u64;
        for _ in 0..20_000 {
            let mut frames = Vec::new();
            for _ in 0..=(random >> 60) {
                random = random
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                frames.push((8 + (random >> 62), (random >> 40) as i32 & 1));
            }
            let id = intern(&mut stacks, &mut written, &frames);
            assert_eq!(
                *ids.entry(frames.clone()).or_insert(id),
                id,
                "the same stack has the same id"
            );
            let mut node = id;
            for &(code, offset) in frames.iter().rev() {
                let (parent, frame) = written.nodes[&node];
                assert_eq!(
                    frame,
                    Frame::Python {
                        code: CodeId(code as u32),
                        offset
                    }
                );
                node = parent;
            }
            assert_eq!(node, StackId::NONE);
        }
    }
}
