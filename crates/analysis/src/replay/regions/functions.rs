//! Functions that are treated as regions: what is allocated while the function is on the stack is allocated inside it.
//!
//! Calls and returns are not recorded. The region is entered at the first allocation with the function on the stack,
//! and left at the next allocation without it whose stack has the same outermost code, which nearly always means the
//! same thread. So times are as coarse as the recorded allocations, and calls that closely follow each other count as
//! one.

use deadweight_capture::{CodeId, StackId};

use super::born::{Born, NO_NAME};
use super::function_name::FunctionName;
use super::track::Track;
use crate::replay::weight::Weight;
use crate::stacks::StackTree;

type OnStack = (u64, Option<CodeId>);

#[derive(Debug, Default)]
struct Function {
    track: Track,
    /// The entry that is open, and the outermost code of the stack on which the function was found.
    inside: Option<(u32, Option<CodeId>)>,
    last_number: u32,
}

/// All such functions of one process.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    names: Vec<FunctionName>,
    functions: Vec<Function>,
    /// By stack: which functions are on it (one bit each), and its outermost code.
    stacks: Vec<Option<OnStack>>,
    /// Whether code objects have plain names only (before Python 3.11).
    pub plain_names: bool,
    /// The track that is being restored from a fold.
    pub restoring: u32,
}

/// Most functions; there is one bit for each.
pub(crate) const MOST_FUNCTIONS: usize = 64;

impl Functions {
    pub fn new(names: &[FunctionName]) -> Functions {
        let names: Vec<FunctionName> = names.iter().take(MOST_FUNCTIONS).cloned().collect();
        Functions {
            functions: names.iter().map(|_| Function::default()).collect(),
            names,
            ..Functions::default()
        }
    }

    /// The function of a track; track 0 is the program's own.
    pub fn name(&self, track: u32) -> Option<&str> {
        let at = (track as usize).checked_sub(1)?;
        self.names.get(at).map(|name| name.text.as_str())
    }

    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.functions.iter().map(|function| &function.track)
    }

    pub fn tracks_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.functions.iter_mut().map(|function| &mut function.track)
    }

    pub fn born(&mut self, born: &Born, stacks: &StackTree) {
        if self.functions.is_empty() {
            return;
        }
        let (on_stack, outermost) = self.on_stack(born.stack, stacks);
        for (bit, function) in self.functions.iter_mut().enumerate() {
            let is_inside = on_stack >> bit & 1 == 1;
            match function.inside {
                None if is_inside => {
                    function.last_number = function.last_number.saturating_add(1);
                    let before = Weight {
                        bytes: born.live.bytes.saturating_sub(born.weight.bytes),
                        ..born.live
                    };
                    function
                        .track
                        .enter((function.last_number, 0), NO_NAME, born.nanos, before);
                    function.inside = Some((function.last_number, outermost));
                }
                Some((number, root)) if !is_inside && root == outermost => {
                    function.track.leave(number, born.nanos);
                    function.inside = None;
                }
                _ => {}
            }
            let current = function.inside.filter(|_| is_inside).map_or(0, |(number, _)| number);
            function.track.mark(current);
            function.track.born(born);
            // The stack that frees a block is not recorded.
            function.track.mark(0);
        }
    }

    /// Which functions are on a stack, and its outermost code.
    fn on_stack(&mut self, stack: StackId, stacks: &StackTree) -> OnStack {
        if let Some(Some(known)) = self.stacks.get(stack.0 as usize) {
            return *known;
        }
        let mut found = (0, None);
        let mut next = Some(stack);
        while let Some(node) = next.filter(|&node| node != StackId::NONE) {
            if let Some(frame) = stacks.frame(node) {
                for (bit, name) in self.names.iter().enumerate() {
                    found.0 |= u64::from(name.is(frame.file, frame.function, self.plain_names)) << bit;
                }
            }
            found.1 = stacks.code(node);
            next = stacks.parent(node);
        }
        let at = stack.0 as usize;
        if stacks.parent(stack).is_some() && at < stacks.id_limit() {
            if at >= self.stacks.len() {
                self.stacks.resize(at + 1, None);
            }
            if let Some(place) = self.stacks.get_mut(at) {
                *place = Some(found);
            }
        }
        found
    }

    /// The outermost code of the stack on which the function of a track was found, if the region is still open.
    pub fn outermost(&self, track: u32) -> CodeId {
        let at = (track as usize).checked_sub(1);
        let function = at.and_then(|at| self.functions.get(at));
        let inside = function.and_then(|function| function.inside);
        inside.and_then(|(_, code)| code).unwrap_or_default()
    }

    /// Restores an open entry from a fold.
    pub fn restore_inside(&mut self, track: u32, number: u32, code: CodeId) {
        let at = (track as usize).checked_sub(1);
        if let Some(function) = at.and_then(|at| self.functions.get_mut(at)) {
            function.last_number = number;
            function.inside = Some((number, Some(code).filter(|code| *code != CodeId::default())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FunctionName;

    #[test]
    fn a_function_is_known_by_its_module_and_its_name() {
        let known = |wanted: &str, file, name, plain| FunctionName::parse(wanted).unwrap().is(file, name, plain);
        let is = |wanted: &str, file, name| known(wanted, file, name, false);
        assert!(is("app.load:read", "/home/u/app/load.py", "read"));
        assert!(is("app.load:Reader.read", "/home/u/app/load.py", "Reader.read"));
        assert!(known("app.load:Reader.read", "app/load.py", "read", true));
        assert!(!is("app.load:Reader.read", "app/load.py", "read"));
        assert!(is("app:main", "/home/u/app/__init__.py", "main"));
        assert!(is("load:outer.inner", "load.py", "outer.<locals>.inner"));
        assert!(is("__main__:main", "/any/script.py", "main"));
        assert!(!is("load:read", "/home/u/download.py", "read"));
        assert!(!is("load:read", "load.py", "Reader.read"));
        assert!(!is("load:read", "load.py", "reread"));
        assert!(!is("load:read", "<frozen load>", "read"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["load", ":read", "load:", "a..b:c", "a:b.", ""] {
            assert_eq!(FunctionName::parse(text), None, "{text}");
        }
    }
}
