//! Which file of a crate imports which, read from the sources.
//!
//! A file imports another one if it names something in it by a path: in a `use`, in code, or in the arguments of a
//! macro. A path that leads through a re-export ends at the file that has the thing itself. What stands behind
//! `#[cfg(test)]` does not count, nor do a parent's `mod` declarations and re-exports: they make a folder visible, and
//! say nothing about what is built on what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::{Fallible, checkout};

/// The names that lead to a module from the root of its crate.
type ModulePath = Vec<String>;

/// The files of one crate, by their paths in its source folder, and which of them each one imports.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// More re-exports of re-exports than this are a loop.
const LONGEST_REEXPORT: usize = 16;

/// Reads the imports of all files in a source folder.
pub fn of_folder(source: &Path) -> Fallible<Imports> {
    let mut files = Vec::new();
    for path in checkout::files(source) {
        let name = path.strip_prefix(source)?.display().to_string();
        if name.ends_with(".rs") && !is_test(&name) {
            files.push((name, std::fs::read_to_string(&path)?));
        }
    }
    of_sources(&files)
}

/// The imports among files that are given as name and text.
pub fn of_sources(files: &[(String, String)]) -> Fallible<Imports> {
    let mut modules = HashMap::new();
    let mut reexports = HashMap::new();
    let mut named = Vec::new();
    let mut test_only: Vec<ModulePath> = Vec::new();
    for (name, text) in files {
        let module = module_path(name);
        let parsed = syn::parse_file(text).map_err(|error| format!("{name}: {error}"))?;
        let mut paths = Paths::default();
        paths.visit_file(&parsed);
        for name in paths.test_modules {
            test_only.push([module.as_slice(), &[name]].concat());
        }
        for (alias, path) in paths.reexports {
            reexports.insert((module.clone(), alias), path);
        }
        named.push((module.clone(), paths.named));
        modules.insert(module, name.clone());
    }
    let crate_of = Crate { modules, reexports };
    let mut imports = Imports::new();
    for ((name, _), (module, paths)) in files.iter().zip(named) {
        if test_only.iter().any(|of_tests| module.starts_with(of_tests)) {
            continue;
        }
        let found = paths.iter().filter_map(|path| crate_of.file_of(&module, path));
        imports.insert(name.clone(), found.filter(|other| other != name).collect());
    }
    Ok(imports)
}

/// Whether a file holds tests of its module only.
fn is_test(name: &str) -> bool {
    name.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn module_path(name: &str) -> ModulePath {
    let stem = name.trim_end_matches(".rs");
    match stem {
        "lib" | "main" => Vec::new(),
        _ => stem.split('/').map(str::to_owned).collect(),
    }
}

/// What paths can lead to.
struct Crate {
    modules: HashMap<ModulePath, String>,
    /// By the module that re-exports and the name there: the path as it is written in that module.
    reexports: HashMap<(ModulePath, String), Vec<String>>,
}

impl Crate {
    /// The file that a path in the code of `module` leads to, if it is one of this crate.
    fn file_of(&self, module: &ModulePath, path: &[String]) -> Option<String> {
        self.follow(module, path, LONGEST_REEXPORT)
    }

    fn follow(&self, module: &ModulePath, path: &[String], turns: usize) -> Option<String> {
        let absolute = self.absolute(module, path)?;
        let known = (0..=absolute.len())
            .rev()
            .find(|&end| self.modules.contains_key(&absolute[..end]))?;
        let (holder, rest) = (absolute[..known].to_vec(), &absolute[known..]);
        let reexport = rest
            .first()
            .and_then(|name| self.reexports.get(&(holder.clone(), name.clone())));
        match reexport {
            Some(target) if turns > 0 => {
                let further: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
                // What is re-exported from another crate ends here.
                self.follow(&holder, &further, turns - 1)
            }
            _ => self.modules.get(&holder).cloned(),
        }
    }

    /// The path from the root of the crate; nothing if it leads out of it.
    fn absolute(&self, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            child => {
                let child = [module.as_slice(), &[child.to_owned()]].concat();
                if !self.modules.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        let mut rest = rest;
        while rest.first().is_some_and(|name| name == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }
}

/// Collects the paths that a file names.
#[derive(Default)]
struct Paths {
    named: Vec<Vec<String>>,
    reexports: Vec<(String, Vec<String>)>,
    /// Modules of their own files that are for tests only.
    test_modules: Vec<String>,
    /// How many modules, written out in the file itself, surround what is visited.
    depth: usize,
}

impl Paths {
    /// Each name that a `use` brings in, with its path.
    fn of_use(tree: &syn::UseTree, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => Self::of_use(&path.tree, &with(&path.ident), found),
            syn::UseTree::Name(name) if name.ident == "self" => {
                found.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
            }
            syn::UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
            syn::UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
            syn::UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    Self::of_use(tree, before, found);
                }
            }
        }
    }

    /// Paths in the arguments of a macro, of which the compiler alone knows the grammar.
    fn of_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.take(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && colons < 2 => colons += 1,
                TokenTree::Group(group) => {
                    self.take(&mut path);
                    colons = 0;
                    self.of_tokens(group.stream());
                }
                _ => {
                    self.take(&mut path);
                    colons = 0;
                }
            }
        }
        self.take(&mut path);
    }

    fn take(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            let path = self.of_file(std::mem::take(path));
            self.named.push(path);
        }
        path.clear();
    }

    /// A path as it would be written outside of the modules in the file.
    fn of_file(&self, mut path: Vec<String>) -> Vec<String> {
        let up = path.iter().take(self.depth).take_while(|name| *name == "super").count();
        if up > 0 {
            path.drain(..up);
            if path.first().is_none_or(|name| name != "super") {
                path.insert(0, "self".to_owned());
            }
        }
        path
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<TokenStream>().is_ok_and(|condition| {
                    let condition = condition.to_string();
                    condition == "test" || condition.starts_with("all (test")
                })
    })
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item {
            self.test_modules.push(module.ident.to_string());
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut found = Vec::new();
        Self::of_use(&item.tree, &[], &mut found);
        if matches!(item.vis, syn::Visibility::Inherited) {
            for (_, path) in found {
                let path = self.of_file(path);
                self.named.push(path);
            }
        } else {
            self.reexports.extend(found);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&mut names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.of_tokens(call.tokens.clone());
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect();
        let imports = of_sources(&files).unwrap();
        let pairs = imports
            .iter()
            .flat_map(|(from, to)| to.iter().map(move |to| format!("{from} -> {to}")));
        pairs.collect()
    }

    #[test]
    fn a_use_is_an_import_of_the_file_that_has_the_thing() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::{Thing, inner::{self, Other}}; use std::fmt;"),
            ("b.rs", "mod inner;"),
            ("b/inner.rs", "use super::Thing;"),
        ];
        assert_eq!(
            imports(&files),
            ["a.rs -> b.rs", "a.rs -> b/inner.rs", "b/inner.rs -> b.rs"]
        );
    }

    #[test]
    fn super_in_a_module_of_the_file_is_the_file() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "fn f() {} mod inner { use super::f; use super::super::b::g; }"),
            ("b.rs", "fn g() {}"),
        ];
        assert_eq!(imports(&files), ["a.rs -> b.rs"]);
    }

    #[test]
    fn a_reexport_leads_to_its_origin_and_is_no_import() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::Alias;"),
            ("b.rs", "mod inner; pub use inner::Thing as Alias;"),
            ("b/inner.rs", ""),
        ];
        assert_eq!(imports(&files), ["a.rs -> b/inner.rs"]);
    }

    #[test]
    fn paths_in_code_types_and_macros_count_and_tests_do_not() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
            (
                "a.rs",
                "fn f(x: crate::b::T) { crate::c::g(); println!(\"{}\", crate::d::h()) }
                      #[cfg(test)] mod tests { use crate::e::x; } #[cfg(test)] fn t() { crate::e::y() }",
            ),
            ("b.rs", "mod child; fn f() { child::g(); let child = 1; child.max(2); }"),
            ("b/child.rs", "fn g() { super::super::e::k() }"),
            ("c.rs", ""),
            ("d.rs", ""),
            ("e.rs", ""),
        ];
        let expected = [
            "a.rs -> b.rs",
            "a.rs -> c.rs",
            "a.rs -> d.rs",
            "b.rs -> b/child.rs",
            "b/child.rs -> e.rs",
        ];
        assert_eq!(imports(&files), expected);
    }
}
