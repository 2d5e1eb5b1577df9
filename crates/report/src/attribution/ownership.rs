//! Whose code a frame is, and which frame of a stack is the line that the user would edit.
//!
//! The rules, first match wins; *inner* is nearer to the allocation:
//!
//! 1. The innermost frame in one of the user's files: any file that is neither below `site-packages` or
//!    `dist-packages`, nor in the standard library (`lib/python3.X/`, `python3XX.zip`, `<frozen …>`). A file
//!    below one of [`crate::BuildOptions::user_roots`] is the user's wherever it is.
//! 2. The innermost frame of the user's code that has no file: `-c` (`<string>`), standard input (`<stdin>`),
//!    IPython and doctest cells, and whatever was compiled under a name of its own (`<generated 3>`). Code that a
//!    library generates for itself (the `__init__` of an attrs class) is the library's, and so is what the
//!    interpreter's `site` module executes at start-up (lines of `.pth` files).
//! 3. No frame is the user's, as when an installed package runs under `-m` or in a thread of its own: the
//!    outermost package stands for the program, and its innermost line before another package is entered counts.
//! 4. Only the standard library and the interpreter: the innermost frame with a file, or else the innermost one.

use std::collections::HashMap;
use std::path::PathBuf;

use deadweight_analysis::FrameName;

use crate::words::library_path::{Installed, library_part, library_start};

/// Whose code a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    User,
    Library,
    Standard,
    /// Code without a file.
    Generated,
    /// No Python frame.
    Outside,
}

/// Tells whose code a frame is.
pub(crate) struct Ownership<'a> {
    roots: Vec<String>,
    known: HashMap<&'a str, Owner>,
}

/// The installed package that a file belongs to: the first name below `site-packages`.
fn package(file: &str) -> &str {
    let below = library_start(file).map_or(file, |start| &file[start..]);
    let name = below.split('/').next().unwrap_or(below);
    name.strip_suffix(".py").unwrap_or(name)
}

/// Whether code without a file was typed by the user: never a library's own.
fn is_typed(frame: &FrameName<'_>) -> bool {
    let name = frame.function.rsplit('.').next().unwrap_or(frame.function);
    // dataclasses and namedtuple compile their special methods under the name `<string>` too.
    let special = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    match frame.file {
        "<string>" => !special,
        "<stdin>" => true,
        file => file.starts_with("<ipython-input") || file.starts_with("<doctest"),
    }
}

impl<'a> Ownership<'a> {
    /// With folders whose files are the user's wherever they are.
    pub(crate) fn new(roots: &[PathBuf]) -> Ownership<'a> {
        let roots = roots
            .iter()
            .map(|root| root.to_string_lossy().trim_end_matches('/').to_owned());
        Ownership {
            roots: roots.collect(),
            known: HashMap::new(),
        }
    }

    fn owner(&mut self, frame: &FrameName<'a>) -> Owner {
        if let Some(owner) = self.known.get(frame.file) {
            return *owner;
        }
        let below = |root: &String| {
            frame
                .file
                .strip_prefix(root.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let owner = match frame.file {
            "" | "<native>" | "<python>" | "<unknown>" => Owner::Outside,
            file if self.roots.iter().any(below) && !file.starts_with('<') => Owner::User,
            file if file.starts_with("<frozen ") => Owner::Standard,
            file if file.starts_with('<') => Owner::Generated,
            file => match library_part(file) {
                Some((_, Installed::Package)) => Owner::Library,
                Some((_, Installed::Standard)) => Owner::Standard,
                None => Owner::User,
            },
        };
        self.known.insert(frame.file, owner);
        owner
    }

    /// Which frame of a stack (innermost first) is the line that the user would edit; the module has the rules.
    /// 0 for an empty stack.
    pub(crate) fn user_frame(&mut self, frames: &[FrameName<'a>]) -> usize {
        if let Some(index) = frames.iter().position(|frame| self.owner(frame) == Owner::User) {
            return index;
        }
        let mut typed = None;
        let mut outermost = None;
        let mut in_outermost = None;
        let mut entered_another = false;
        let mut in_site = false;
        for (index, frame) in frames.iter().enumerate().rev() {
            match self.owner(frame) {
                Owner::Standard => in_site |= frame.file == "<frozen site>" || frame.file.ends_with("/site.py"),
                Owner::Generated if in_site => {}
                Owner::Library => {
                    let name = package(frame.file);
                    let first = *outermost.get_or_insert(name);
                    entered_another |= first != name;
                    if !entered_another {
                        in_outermost = Some(index);
                    }
                }
                Owner::Generated if is_typed(frame) => typed = Some(index),
                // Compiled by the user's own code, unless it is a special method that dataclasses wrote for it.
                Owner::Generated if outermost.is_none() && (typed.is_none() || frame.file != "<string>") => {
                    typed = Some(index);
                }
                _ => {}
            }
        }
        typed
            .or(in_outermost)
            .or_else(|| {
                frames
                    .iter()
                    .position(|frame| self.owner(frame) == Owner::Standard && !frame.file.starts_with('<'))
            })
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANDAS: &str = "/venv/lib/python3.11/site-packages/pandas/core/frame.py";
    const NUMPY: &str = "/venv/lib/python3.11/site-packages/numpy/core/numeric.py";
    const JSON: &str = "/usr/lib/python3.11/json/decoder.py";

    fn at(file: &'static str, function: &'static str) -> FrameName<'static> {
        FrameName {
            file,
            line: 1,
            function,
        }
    }

    /// Index of the user's frame among files, innermost first.
    fn chosen(files: &[&'static str]) -> usize {
        let frames: Vec<_> = files.iter().map(|file| at(file, "f")).collect();
        Ownership::new(&[]).user_frame(&frames)
    }

    #[test]
    fn the_innermost_own_file_is_the_users_line() {
        assert_eq!(chosen(&[NUMPY, PANDAS, "/p/b.py", "/p/a.py"]), 2);
        assert_eq!(chosen(&[JSON, "bench.py"]), 1);
        assert_eq!(chosen(&["<frozen importlib._bootstrap>", "/p/a.py"]), 1);
        assert_eq!(chosen(&["/usr/lib/python3/dist-packages/apt/cache.py", "/p/a.py"]), 1);
        assert_eq!(chosen(&["/usr/lib/python312.zip/json/decoder.py", "/p/a.py"]), 1);
        assert_eq!(chosen(&["/opt/py/lib/python3.13t/json/decoder.py", "/p/a.py"]), 1);
    }

    #[test]
    fn folders_that_only_look_like_a_library_are_the_users() {
        assert_eq!(chosen(&["/home/me/lib/python/tool.py", "/p/a.py"]), 0);
        assert_eq!(chosen(&["/home/me/python3.11/tool.py", "/p/a.py"]), 0);
        assert_eq!(chosen(&["/p/site-packages", "/p/a.py"]), 0);
    }

    #[test]
    fn code_without_a_file_is_the_users_only_if_no_file_is() {
        assert_eq!(chosen(&["<generated 3>", "/p/a.py"]), 1);
        assert_eq!(chosen(&[NUMPY, "<generated 3>", "<string>"]), 1);
        assert_eq!(chosen(&[NUMPY, "<string>", "/usr/lib/python3.11/threading.py"]), 1);
        assert_eq!(chosen(&[NUMPY, "<stdin>"]), 1);
        assert_eq!(chosen(&[NUMPY, "<ipython-input-3-abc>", PANDAS]), 1);
    }

    #[test]
    fn code_that_a_library_generates_is_the_librarys() {
        assert_eq!(chosen(&["<attrs generated init a.B>", PANDAS]), 1);
        let frames = [at("<string>", "__create_fn__.<locals>.__init__"), at(PANDAS, "load")];
        assert_eq!(Ownership::new(&[]).user_frame(&frames), 1);
        let frames = [at("<string>", "__init__"), at("<string>", "<module>")];
        assert_eq!(Ownership::new(&[]).user_frame(&frames), 1);
    }

    #[test]
    fn what_site_executes_at_start_up_is_not_the_users() {
        assert_eq!(
            chosen(&["<frozen importlib._bootstrap>", JSON, "<string>", "<frozen site>"]),
            1
        );
        assert_eq!(chosen(&[JSON, "<string>", "/usr/lib/python3.9/site.py"]), 0);
        assert_eq!(chosen(&["<string>", "/p/a.py", "<frozen site>"]), 1);
    }

    #[test]
    fn an_installed_program_stands_for_the_user() {
        // runpy, then two frames of pandas, then numpy, then the standard library
        assert_eq!(chosen(&[JSON, NUMPY, PANDAS, PANDAS, "<frozen runpy>"]), 2);
        assert_eq!(chosen(&[NUMPY, PANDAS, NUMPY, PANDAS]), 3);
    }

    #[test]
    fn without_any_code_but_pythons_the_innermost_file_counts() {
        assert_eq!(chosen(&["<frozen importlib._bootstrap>", JSON, JSON]), 1);
        assert_eq!(chosen(&["<frozen importlib._bootstrap>"]), 0);
        assert_eq!(chosen(&["<native>"]), 0);
        assert_eq!(chosen(&[]), 0);
    }

    #[test]
    fn a_root_of_the_users_beats_everything() {
        let roots = [PathBuf::from("/venv/lib/python3.11/site-packages/pandas/")];
        let frames = [at(NUMPY, "f"), at(PANDAS, "g"), at("/p/a.py", "h")];
        assert_eq!(Ownership::new(&roots).user_frame(&frames), 1);
    }
}
