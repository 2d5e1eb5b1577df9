//! What makes a place, a call path or a finding of one run the same as one of another run.
//!
//! A **place** is a file and a function. The file counts from where a person knows it: below `site-packages`, below the
//! standard library, or below the folder that the run was started in, so that another venv or checkout is no difference.
//! Lines move when a file is edited: they only tell places of the same function apart (`lines`).
//!
//! A **finding** is its kind, the type of its objects and its chain. A cycle is the same wherever one begins to tell it;
//! positions in sequences (`[3]`) do not count. Findings without a chain that are about one line count by its place.
//!
//! Two runs may name the same thing differently. [`Naming::between`] says what has to give way:
//! - Before Python 3.11 functions have plain names: then only the last part of qualified names counts.
//! - From Python 3.12 on list, set and dict comprehensions are no functions of their own: then they count as the
//!   function around them.
//! - Scripts of two names or folders (`old/job.py`, `new/job.py`) are the same program: then files count from the
//!   script's folder, and the scripts count as one.

mod finding;
mod lines;

pub use finding::Fingerprint;
pub use lines::{Numbered, pair};

use crate::model::{Line, Run};
use crate::words::names;

/// What a run says of itself, as far as names depend on it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder it was started in.
    pub cwd: Option<String>,
    /// Version of its Python, `3.11.7`.
    pub python: Option<String>,
}

impl From<&Run> for Origin {
    fn from(run: &Run) -> Origin {
        Origin {
            argv: run.argv.clone(),
            cwd: run.cwd.clone(),
            python: run.python.clone(),
        }
    }
}

impl Origin {
    /// Whether this Python came before `3.minor`; an unknown one did not.
    fn is_before(&self, minor: u32) -> bool {
        let found = self.python.as_deref().and_then(|version| version.strip_prefix("3."));
        let found = found.and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        found.is_some_and(|found| found < minor)
    }

    /// The script that was started, as its file is named in stacks.
    fn script(&self) -> Option<String> {
        if matches!(self.argv.first().map(String::as_str), Some("-m" | "-c" | "-")) {
            return None;
        }
        let script = self.argv.iter().find(|word| word.ends_with(".py"))?;
        Some(match &self.cwd {
            Some(cwd) if !script.starts_with('/') => {
                format!(
                    "{}/{}",
                    cwd.trim_end_matches('/'),
                    script.strip_prefix("./").unwrap_or(script)
                )
            }
            _ => script.clone(),
        })
    }

    /// The script without the folder of the run.
    fn short_script(&self) -> Option<String> {
        let script = self.script()?;
        Some(names::short_path(&script, self.cwd.as_deref()).to_owned())
    }
}

/// How names are made comparable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Naming {
    /// Only the last part of a qualified name counts.
    pub plain_names: bool,
    /// Comprehensions count as the function around them.
    pub inlined_comprehensions: bool,
    /// Files count from the folder of the script, and the two scripts as one.
    pub from_script: bool,
}

impl Naming {
    /// What two runs have in common.
    pub fn between(before: &Origin, after: &Origin) -> Naming {
        let scripts = (before.short_script(), after.short_script());
        Naming {
            plain_names: before.is_before(11) != after.is_before(11),
            inlined_comprehensions: before.is_before(12) != after.is_before(12),
            from_script: matches!(scripts, (Some(before), Some(after)) if before != after),
        }
    }
}

/// A file and a function: what stays when lines move.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The file from where a person knows it.
    pub file: String,
    /// The function.
    pub function: String,
}

/// What the script of a run is called where the scripts of two runs have different names.
const SCRIPT: &str = "<script>";

/// Names the places and findings of one run.
#[derive(Clone, Debug)]
pub struct Namer {
    naming: Naming,
    cwd: Option<String>,
    /// The script, and its folder with a `/` at the end.
    script: Option<(String, String)>,
}

impl Namer {
    /// For the places of a run.
    pub fn new(origin: &Origin, naming: Naming) -> Namer {
        let with_folder = |script: String| {
            let name = script.rfind('/').map_or(0, |slash| slash + 1);
            let folder = script[..name].to_owned();
            (script, folder)
        };
        Namer {
            naming,
            cwd: origin.cwd.clone(),
            script: origin.script().filter(|_| naming.from_script).map(with_folder),
        }
    }

    /// The file from where a person knows it.
    pub fn file(&self, file: &str) -> String {
        // Modules that are compiled into the interpreter, which ones depends on its version.
        if let Some(module) = file.strip_prefix("<frozen ").and_then(|rest| rest.strip_suffix('>')) {
            return format!("{}.py", module.replace('.', "/"));
        }
        let short = names::short_path(file, self.cwd.as_deref());
        if crate::words::library_path::library_start(file).is_some() {
            return short.to_owned();
        }
        match &self.script {
            Some((script, _)) if script == file => SCRIPT.to_owned(),
            Some((_, folder)) if !folder.is_empty() => file.strip_prefix(folder.as_str()).unwrap_or(short).to_owned(),
            _ => short.to_owned(),
        }
    }

    /// The place of a line. Where its callers are known, [`Namer::path`] knows more.
    pub fn place(&self, at: &Line) -> Place {
        let mut function = at.function.as_str();
        if self.naming.inlined_comprehensions {
            while let Some(around) = COMPREHENSIONS
                .iter()
                .find_map(|name| function.strip_suffix(name)?.strip_suffix(".<locals>."))
            {
                function = around;
            }
        }
        if self.naming.plain_names {
            function = last_part(function);
        }
        Place {
            file: self.file(&at.file),
            function: function.to_owned(),
        }
    }

    /// The places of a call path, innermost first. Where comprehensions are no functions, they are one with their
    /// caller.
    pub fn path<'a>(&self, frames: impl IntoIterator<Item = &'a Line>) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut inlined: Option<&str> = None;
        for at in frames {
            let place = self.place(at);
            if inlined.take() == Some(at.file.as_str())
                && let Some(last) = places.last_mut()
            {
                *last = place;
            } else {
                places.push(place);
            }
            if self.naming.inlined_comprehensions && COMPREHENSIONS.contains(&last_part(&at.function)) {
                inlined = Some(&at.file);
            }
        }
        places
    }

    /// The place of the innermost line of a call path.
    pub fn innermost(&self, at: &Line, callers: &[Line]) -> Place {
        let is_comprehension = COMPREHENSIONS.contains(&last_part(&at.function));
        if !self.naming.inlined_comprehensions || !is_comprehension {
            return self.place(at);
        }
        let path = self.path(std::iter::once(at).chain(callers));
        path.into_iter().next().unwrap_or_else(|| self.place(at))
    }
}

/// Functions that Python 3.12 made part of the function around them.
const COMPREHENSIONS: [&str; 3] = ["<listcomp>", "<setcomp>", "<dictcomp>"];

/// `Loader.load.<locals>.<lambda>` -> `<lambda>`.
fn last_part(function: &str) -> &str {
    function.rsplit('.').next().unwrap_or(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(argv: &[&str], cwd: &str, python: &str) -> Origin {
        Origin {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            cwd: Some(cwd.to_owned()),
            python: Some(python.to_owned()),
        }
    }

    fn line(file: &str, line: u32, function: &str) -> Line {
        Line {
            file: file.to_owned(),
            line: Some(line),
            function: function.to_owned(),
        }
    }

    fn namers(before: &Origin, after: &Origin) -> (Namer, Namer) {
        let naming = Naming::between(before, after);
        (Namer::new(before, naming), Namer::new(after, naming))
    }

    #[test]
    fn another_venv_checkout_or_line_is_the_same_place() {
        let (before, after) = namers(
            &origin(&["bench.py"], "/home/me/old", "3.11.2"),
            &origin(&["bench.py"], "/ci/new", "3.11.9"),
        );
        for (a, b) in [
            (
                "/home/me/old/.venv/lib/python3.11/site-packages/pandas/core/frame.py",
                "/opt/venv/lib/python3.11/site-packages/pandas/core/frame.py",
            ),
            (
                "/usr/lib/python3.11/json/decoder.py",
                "/opt/py/lib/python3.11/json/decoder.py",
            ),
            ("/home/me/old/jobs/load.py", "/ci/new/jobs/load.py"),
            ("<string>", "<string>"),
        ] {
            assert_eq!(before.place(&line(a, 10, "f")), after.place(&line(b, 50, "f")));
        }
        let other = after.place(&line("/ci/new/jobs/load.py", 10, "g"));
        assert_ne!(before.place(&line("/home/me/old/jobs/load.py", 10, "f")), other);
    }

    #[test]
    fn frozen_modules_are_their_files() {
        let (before, after) = namers(
            &origin(&["-m", "x"], "/p", "3.10.1"),
            &origin(&["-m", "x"], "/p", "3.13.1"),
        );
        let from_file = before.place(&line("/usr/lib/python3.10/importlib/util.py", 1, "find_spec"));
        assert_eq!(from_file, after.place(&line("<frozen importlib.util>", 9, "find_spec")));
    }

    #[test]
    fn plain_and_qualified_names_meet() {
        let (old, new) = (origin(&["x.py"], "/p", "3.10.1"), origin(&["x.py"], "/p", "3.11.0"));
        let (before, after) = namers(&old, &new);
        let plain = before.place(&line("/p/x.py", 1, "load"));
        assert_eq!(plain, after.place(&line("/p/x.py", 1, "Loader.load")));
        let (same, _) = namers(&new, &new);
        assert_eq!(same.place(&line("/p/x.py", 1, "Loader.load")).function, "Loader.load");
        assert!(!Naming::between(&old, &old).plain_names);
    }

    #[test]
    fn comprehensions_meet_the_function_around_them() {
        let (before, after) = namers(&origin(&["x.py"], "/p", "3.10.1"), &origin(&["x.py"], "/p", "3.12.0"));
        let old = [
            line("/p/x.py", 5, "<listcomp>"),
            line("/p/x.py", 4, "load"),
            line("/p/x.py", 9, "<module>"),
        ];
        let new = [line("/p/x.py", 5, "Loader.load"), line("/p/x.py", 9, "<module>")];
        assert_eq!(before.path(&old), after.path(&new));
        assert_eq!(
            before.innermost(&old[0], &old[1..]),
            after.innermost(&new[0], &new[1..])
        );
        // Qualified: the name alone tells.
        let (before, after) = namers(&origin(&["x.py"], "/p", "3.11.1"), &origin(&["x.py"], "/p", "3.13.0"));
        let nested = line("/p/x.py", 5, "load.<locals>.<dictcomp>.<locals>.<listcomp>");
        assert_eq!(before.place(&nested), after.place(&line("/p/x.py", 5, "load")));
    }

    #[test]
    fn scripts_of_two_names_or_folders_are_one_program() {
        let old = origin(&["old/job.py"], "/p", "3.11.0");
        let new = origin(&["python", "new/job_fixed.py"], "/p", "3.11.0");
        let (before, after) = namers(&old, &new);
        assert_eq!(
            before.place(&line("/p/old/job.py", 3, "main")),
            after.place(&line("/p/new/job_fixed.py", 9, "main"))
        );
        assert_eq!(before.file("/p/old/lib/x.py"), after.file("/p/new/lib/x.py"));
        // The same script: nothing gives way.
        let (same, _) = namers(&old, &old);
        assert_eq!(same.file("/p/old/job.py"), "old/job.py");
    }
}
