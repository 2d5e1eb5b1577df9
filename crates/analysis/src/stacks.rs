//! One process's stack tree, resolved to functions and lines.

use std::collections::BTreeMap;

use deadweight_capture::{CodeId, Event, Frame, LineTable, LineTableKind, StackId, StringId};

/// A frame as a user knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FrameName<'a> {
    /// Path as Python has it; `<native>` or `<python>` for frames that are not Python frames.
    pub file: &'a str,
    /// Line, or 0 where there is none.
    pub line: u32,
    /// Qualified name (plain name before Python 3.11), or what the frame stands for in angle brackets.
    pub function: &'a str,
}

/// Stands for something whose definition was lost.
const LOST: &str = "<lost>";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Node {
    parent: StackId,
    frame: Frame,
    line: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Code {
    file: StringId,
    name: StringId,
    first_line: u32,
    kind: LineTableKind,
    line_table: Vec<u8>,
}

/// The stacks of one process.
#[derive(Clone, Debug, Default)]
pub struct StackTree {
    nodes: Vec<Option<Node>>,
    codes: Vec<Option<Code>>,
    strings: Vec<Option<String>>,
    /// Names of the frames of native threads, by the thread's name.
    threads: BTreeMap<StringId, String>,
    /// Number of definitions.
    definitions: usize,
}

/// Puts `value` at index `id`, and fills new indices before it with `None`.
fn place<T>(values: &mut Vec<Option<T>>, id: u32, limit: usize, value: T) {
    let id = id as usize;
    if id >= limit {
        return;
    }
    if id >= values.len() {
        values.resize_with(id + 1, || None);
    }
    if let Some(slot) = values.get_mut(id) {
        *slot = Some(value);
    }
}

impl StackTree {
    /// Ids from here on are taken for damage: writers count ids up, and a damaged id must not make the tree need more
    /// memory than its definitions justify.
    pub(crate) fn id_limit(&self) -> usize {
        (1 << 20) + self.definitions.saturating_mul(4)
    }

    /// Takes a String, Code or Stack event; others are ignored.
    pub(crate) fn define(&mut self, event: &Event<'_>) {
        self.definitions += 1;
        let limit = self.id_limit();
        match *event {
            Event::String { id, bytes } => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                place(&mut self.strings, id.0, limit, text);
            }
            Event::Code {
                id,
                file,
                name,
                first_line,
                kind,
                line_table,
            } => {
                let code = Code {
                    file,
                    name,
                    first_line,
                    kind,
                    line_table: line_table.to_vec(),
                };
                place(&mut self.codes, id.0, limit, code);
            }
            // A caller's id is smaller, so every walk to the root ends.
            Event::Stack { id, parent, frame } if parent < id => {
                let node = Node { parent, frame, line: 0 };
                place(&mut self.nodes, id.0, limit, node);
            }
            _ => {}
        }
    }

    /// Resolves lines and names of threads. Call it when everything is defined.
    pub(crate) fn resolve(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            match node.frame {
                Frame::Python { code, offset } => {
                    if let Some(Some(code)) = self.codes.get(code.0 as usize) {
                        let table = LineTable {
                            kind: code.kind,
                            first_line: code.first_line,
                            bytes: &code.line_table,
                        };
                        node.line = table.line(offset).unwrap_or(code.first_line);
                    }
                }
                Frame::NativeThread { name } => {
                    let text = string(&self.strings, name);
                    self.threads.entry(name).or_insert_with(|| format!("<thread {text}>"));
                }
                _ => {}
            }
        }
    }

    /// The frames of a stack, innermost first.
    pub fn frames(&self, stack: StackId) -> impl Iterator<Item = FrameName<'_>> {
        let mut next = Some(stack);
        std::iter::from_fn(move || {
            let stack = next?;
            let frame = self.frame(stack)?;
            next = self.parent(stack);
            Some(frame)
        })
    }

    /// The caller's node, `None` for the root and for unknown stacks.
    pub fn parent(&self, stack: StackId) -> Option<StackId> {
        self.node(stack).map(|node| node.parent)
    }

    /// The frame of this node, `None` for the root. A stack whose definition was lost is called `<lost>`.
    pub fn frame(&self, stack: StackId) -> Option<FrameName<'_>> {
        if stack == StackId::NONE {
            return None;
        }
        let named = |file, function| FrameName {
            file,
            line: 0,
            function,
        };
        let Some(node) = self.node(stack) else {
            return Some(named(LOST, LOST));
        };
        Some(match node.frame {
            Frame::Python { code, .. } => self.python_frame(code, node.line),
            Frame::NativeThread { name } => {
                named("<native>", self.threads.get(&name).map_or("<thread>", String::as_str))
            }
            Frame::StartUp => named("<python>", "<start-up>"),
            Frame::Interpreter => named("<python>", "<interpreter>"),
            Frame::Truncated => named("<python>", "<deeper frames not recorded>"),
            Frame::StacksOff => named("<python>", "<no Python stack>"),
        })
    }

    /// Number of nodes including the root: every defined id is below it.
    pub fn len(&self) -> usize {
        self.nodes.len().max(1)
    }

    /// Whether there is no stack at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The definitions that rebuild this tree, each after those that it needs.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = Event<'_>> {
        let strings = defined(&self.strings).map(|(id, text)| Event::String {
            id: StringId(id),
            bytes: text.as_bytes(),
        });
        let codes = defined(&self.codes).map(|(id, code)| Event::Code {
            id: CodeId(id),
            file: code.file,
            name: code.name,
            first_line: code.first_line,
            kind: code.kind,
            line_table: &code.line_table,
        });
        let stacks = defined(&self.nodes).map(|(id, node)| Event::Stack {
            id: StackId(id),
            parent: node.parent,
            frame: node.frame,
        });
        strings.chain(codes).chain(stacks)
    }

    /// The code that runs in this node's frame, if it is a Python frame.
    pub(crate) fn code(&self, stack: StackId) -> Option<CodeId> {
        match self.node(stack)?.frame {
            Frame::Python { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The string with this id.
    pub(crate) fn text(&self, id: StringId) -> &str {
        string(&self.strings, id)
    }

    fn node(&self, stack: StackId) -> Option<&Node> {
        self.nodes.get(stack.0 as usize)?.as_ref()
    }

    fn python_frame(&self, code: CodeId, line: u32) -> FrameName<'_> {
        match self.codes.get(code.0 as usize) {
            Some(Some(code)) => FrameName {
                file: string(&self.strings, code.file),
                line,
                function: string(&self.strings, code.name),
            },
            _ => FrameName {
                file: LOST,
                line: 0,
                function: LOST,
            },
        }
    }
}

fn string(strings: &[Option<String>], id: StringId) -> &str {
    match strings.get(id.0 as usize) {
        Some(Some(text)) => text,
        _ if id == StringId::EMPTY => "",
        _ => LOST,
    }
}

fn defined<T>(values: &[Option<T>]) -> impl Iterator<Item = (u32, &T)> {
    let numbered = values.iter().enumerate();
    numbered.filter_map(|(id, value)| Some((u32::try_from(id).ok()?, value.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(events: &[Event<'_>]) -> StackTree {
        let mut tree = StackTree::default();
        for event in events {
            tree.define(event);
        }
        tree.resolve();
        tree
    }

    fn stack(id: u32, parent: u32, frame: Frame) -> Event<'static> {
        Event::Stack {
            id: StackId(id),
            parent: StackId(parent),
            frame,
        }
    }

    fn text(id: u32, text: &str) -> Event<'_> {
        Event::String {
            id: StringId(id),
            bytes: text.as_bytes(),
        }
    }

    #[test]
    fn a_python_frame_has_file_line_and_function() {
        let code = Event::Code {
            id: CodeId(1),
            file: StringId(1),
            name: StringId(2),
            first_line: 10,
            kind: LineTableKind::Ranges,
            line_table: &[4, 1, 2, 0x80],
        };
        let frame = |offset| Frame::Python {
            code: CodeId(1),
            offset,
        };
        let tree = tree(&[
            stack(1, 0, Frame::Interpreter),
            stack(2, 1, frame(0)),
            stack(3, 2, frame(4)),
            code,
            text(1, "a.py"),
            text(2, "f"),
        ]);
        let frames: Vec<_> = tree.frames(StackId(3)).map(|f| (f.file, f.line, f.function)).collect();
        // The instruction at 4 has no line: the function's first line stands in.
        assert_eq!(
            frames,
            [("a.py", 10, "f"), ("a.py", 11, "f"), ("<python>", 0, "<interpreter>")]
        );
        assert_eq!(tree.parent(StackId(3)), Some(StackId(2)));
        assert_eq!(tree.frame(StackId::NONE), None);
    }

    #[test]
    fn frames_that_are_no_python_frames_have_names() {
        let tree = tree(&[
            text(1, "jemalloc_bg"),
            stack(1, 0, Frame::NativeThread { name: StringId(1) }),
            stack(2, 0, Frame::StartUp),
            stack(3, 0, Frame::Truncated),
            stack(4, 0, Frame::StacksOff),
        ]);
        let names: Vec<_> = (1..5).map(|id| tree.frame(StackId(id)).unwrap()).collect();
        assert_eq!(
            names.iter().map(|f| (f.file, f.function)).collect::<Vec<_>>(),
            [
                ("<native>", "<thread jemalloc_bg>"),
                ("<python>", "<start-up>"),
                ("<python>", "<deeper frames not recorded>"),
                ("<python>", "<no Python stack>"),
            ]
        );
    }

    #[test]
    fn what_was_never_defined_is_called_lost() {
        let python = Frame::Python {
            code: CodeId(9),
            offset: 0,
        };
        let tree = tree(&[stack(5, 4, python), stack(u32::MAX, 1, Frame::StartUp)]);
        let functions: Vec<_> = tree.frames(StackId(5)).map(|f| f.function).collect();
        assert_eq!(functions, [LOST, LOST]);
        assert_eq!(tree.frame(StackId(u32::MAX)).unwrap().function, LOST);
        assert!(tree.len() < 100);
    }

    #[test]
    fn definitions_rebuild_the_tree() {
        let before = tree(&[
            text(3, "x"),
            stack(2, 0, Frame::NativeThread { name: StringId(3) }),
            stack(7, 2, Frame::StartUp),
        ]);
        let after = tree(&before.definitions().collect::<Vec<_>>());
        assert_eq!(after.nodes, before.nodes);
        assert_eq!(after.strings, before.strings);
        assert_eq!(after.threads, before.threads);
    }
}
