//! Strings and types of a snapshot.

use deadweight_capture::{StringId, TypeId};
use rustc_hash::FxHashMap;

/// Stands for a name whose definition was lost.
pub(crate) const LOST: &str = "<lost>";
/// The type of a native block, in chains.
pub(crate) const NATIVE: &str = "<native memory>";

/// All strings in one piece of memory, and the names of types.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    strings: FxHashMap<u32, (usize, u32)>,
    /// Dense numbers of types, in the order of their first use.
    dense: FxHashMap<u32, u32>,
    types: Vec<StringId>,
    /// Whether a type belongs to an extension module or to the program, and its objects are not plain values.
    foreign: Vec<bool>,
    /// Strings that are `__dict__`.
    dicts: Vec<StringId>,
    /// Strings in [`DETOURS`].
    detours: Vec<StringId>,
    /// Names of closure cells, by node: the variable's name.
    cells: FxHashMap<u32, StringId>,
}

/// Modules whose objects without references are plain values.
const PLAIN_VALUES: [&str; 10] = [
    "array", "datetime", "decimal", "_decimal", "mmap", "numpy", "pandas", "re", "uuid", "zoneinfo",
];

/// Attributes through which everything is reachable, so that a path through one explains nothing.
const DETOURS: [&[u8]; 15] = [
    b"__globals__",
    b"__builtins__",
    b"__spec__",
    b"__loader__",
    b"__class__",
    b"__bases__",
    b"__mro__",
    b"__subclasses__",
    // Of frames.
    b"f_back",
    b"f_builtins",
    b"f_code",
    b"f_func",
    b"f_globals",
    b"frame",
    b"tb_frame",
];

impl Names {
    pub fn define_string(&mut self, id: StringId, bytes: &[u8]) {
        let start = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(bytes));
        let len = u32::try_from(self.text.len() - start).unwrap_or(0);
        self.strings.insert(id.0, (start, len));
        if bytes == b"__dict__" {
            self.dicts.push(id);
        } else if DETOURS.contains(&bytes) {
            self.detours.push(id);
        }
    }

    pub fn name_cell(&mut self, cell: u32, name: StringId) {
        self.cells.insert(cell, name);
    }

    /// The name of a closure cell's variable, if it is known.
    pub fn cell(&self, cell: u32) -> Option<&str> {
        self.cells.get(&cell).map(|&name| self.string(name))
    }

    /// Whether the string is `__dict__`.
    #[inline]
    pub fn is_dict(&self, id: StringId) -> bool {
        self.dicts.contains(&id)
    }

    /// Whether the string is in [`DETOURS`].
    #[inline]
    pub fn is_detour(&self, id: StringId) -> bool {
        self.detours.contains(&id)
    }

    pub fn define_type(&mut self, id: TypeId, name: StringId) {
        let at = self.type_number(id) as usize;
        let text = self.string(name);
        let module = text.split('.').next().unwrap_or_default();
        let is_foreign = !is_builtin(text) && !PLAIN_VALUES.contains(&module);
        if let (Some(place), Some(foreign)) = (self.types.get_mut(at), self.foreign.get_mut(at)) {
            (*place, *foreign) = (name, is_foreign);
        }
    }

    /// Whether an object of this type that shows no references may keep some in the memory of native code, where neither
    /// the collector nor a snapshot sees them.
    #[inline]
    pub fn may_hide_references(&self, type_number: u32) -> bool {
        self.foreign.get(type_number as usize).copied().unwrap_or(false)
    }

    /// The dense number of a type, whose definition may still come.
    #[inline]
    pub fn type_number(&mut self, id: TypeId) -> u32 {
        let (types, foreign) = (&mut self.types, &mut self.foreign);
        *self.dense.entry(id.0).or_insert_with(|| {
            types.push(StringId(u32::MAX));
            foreign.push(false);
            (types.len() - 1) as u32
        })
    }

    pub fn type_count(&self) -> usize {
        self.types.len()
    }

    pub fn string(&self, id: StringId) -> &str {
        match self.strings.get(&id.0) {
            Some(&(start, len)) => self.text.get(start..start + len as usize).unwrap_or(LOST),
            None if id == StringId::EMPTY => "",
            None => LOST,
        }
    }

    /// The name of a type by its dense number.
    pub fn type_name(&self, number: u32) -> &str {
        self.types.get(number as usize).map_or(LOST, |&name| self.string(name))
    }
}

/// Whether Python itself defines the type: its name has no module.
pub(crate) fn is_builtin(type_name: &str) -> bool {
    !type_name.contains('.')
}

/// The name without its module: `DataFrame` of `pandas.core.frame.DataFrame`.
pub fn short_type(type_name: &str) -> &str {
    let end = type_name.find('<').filter(|&at| at > 0).unwrap_or(type_name.len());
    let head = type_name.get(..end).unwrap_or(type_name);
    let start = head.trim_end_matches('.').rfind('.').map_or(0, |dot| dot + 1);
    // `module.outer.<locals>.Inner` keeps what follows the mark.
    match type_name.rsplit_once("<locals>.") {
        Some((_, inner)) => inner.rsplit('.').next().unwrap_or(inner),
        None => type_name.get(start..).unwrap_or(type_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_used_before_they_are_defined() {
        let mut names = Names::default();
        let number = names.type_number(TypeId(70));
        assert_eq!(names.type_name(number), LOST);
        names.define_type(TypeId(70), StringId(4));
        names.define_string(StringId(4), b"a.B\xff");
        assert_eq!(names.type_name(number), "a.B\u{fffd}");
        assert_eq!(names.string(StringId::EMPTY), "");
        assert_eq!(names.type_name(99), LOST);
    }

    #[test]
    fn types_are_shown_without_their_module() {
        assert_eq!(short_type("pandas.core.frame.DataFrame"), "DataFrame");
        assert_eq!(short_type("dict"), "dict");
        assert_eq!(short_type("a.make.<locals>.Inner"), "Inner");
        assert_eq!(short_type("<native memory>"), "<native memory>");
        assert_eq!(short_type(""), "");
    }
}
