//! What a report may look up on the machine that makes it: source lines, and which packages are installed.
//!
//! Both are hints only. The machine may be another one than the program ran on, and files may have changed: nothing
//! found is normal, and a source file that is newer than the run is not believed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use pep440_rs::Version;

/// Whether a report may look at the machine's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disk {
    /// No: the report depends on the capture alone.
    #[default]
    Untouched,
    /// Yes: source lines and installed packages are looked up.
    Read,
}

/// Larger sources are not read.
const LARGEST_SOURCE: u64 = 8 << 20;
/// Longer lines are no lines that a person wrote.
const LONGEST_LINE: usize = 400;

/// Looks things up.
pub(crate) struct Lookup {
    disk: Disk,
    cwd: PathBuf,
    /// Sources that changed after this were not the ones that ran, in seconds since 1970.
    started_unix: u64,
    /// Versions of distributions by their normalised names; made at the first question.
    installed: std::cell::OnceCell<BTreeMap<String, Version>>,
    /// Folders that packages are installed in.
    site_packages: Vec<PathBuf>,
}

impl Lookup {
    /// `files` are paths of code that ran, `programs` the interpreters' paths as far as they are known.
    pub(crate) fn new<'a>(
        disk: Disk,
        (cwd, started_unix): (&str, u64),
        files: impl Iterator<Item = &'a str>,
        programs: impl Iterator<Item = &'a str>,
    ) -> Lookup {
        let mut site_packages: Vec<PathBuf> = Vec::new();
        if disk == Disk::Read {
            let of_files = files.filter_map(site_packages_of);
            let of_programs = programs.flat_map(beside);
            site_packages = of_files.chain(of_programs).collect();
            site_packages.sort();
            site_packages.dedup();
        }
        Lookup {
            disk,
            cwd: PathBuf::from(cwd),
            started_unix,
            installed: std::cell::OnceCell::new(),
            site_packages,
        }
    }

    /// The text of a line of source without the space around it.
    pub(crate) fn source(&self, file: &str, line: u32) -> Option<String> {
        if self.disk == Disk::Untouched || file.is_empty() || file.starts_with('<') {
            return None;
        }
        let path = self.cwd.join(file);
        let known = fs::metadata(&path).ok()?;
        // A pipe would never end; a file of the future is not what ran.
        let started = UNIX_EPOCH + Duration::from_secs(self.started_unix);
        let newer = self.started_unix > 0 && known.modified().ok()? > started + Duration::from_secs(1);
        if !known.is_file() || known.len() > LARGEST_SOURCE || newer {
            return None;
        }
        let lines = BufReader::new(File::open(path).ok()?.take(LARGEST_SOURCE)).lines();
        let text = lines.map_while(Result::ok).nth(line.checked_sub(1)? as usize)?;
        let text = text.trim();
        (!text.is_empty() && text.len() <= LONGEST_LINE).then(|| text.to_owned())
    }

    /// The version of a distribution that is installed where the program's packages are; `None` if there is none, or
    /// several.
    pub(crate) fn version(&self, distribution: &str) -> Option<&Version> {
        let installed = self.installed.get_or_init(|| installed(&self.site_packages));
        installed.get(&normalised(distribution))
    }
}

/// `/venv/lib/python3.11/site-packages` of a file below it.
fn site_packages_of(file: &str) -> Option<PathBuf> {
    let end = ["/site-packages/", "/dist-packages/"]
        .iter()
        .filter_map(|part| Some(file.rfind(part)? + part.len()))
        .max()?;
    Some(PathBuf::from(file.get(..end)?.trim_end_matches('/')))
}

/// The folder of packages of the environment that an interpreter belongs to: `/venv/bin/python`.
fn beside(program: &str) -> Vec<PathBuf> {
    let path = Path::new(program);
    let prefix = match (path.is_absolute(), path.parent()) {
        (true, Some(bin)) if bin.ends_with("bin") => bin.parent(),
        _ => None,
    };
    let Some(Ok(folders)) = prefix.map(|prefix| fs::read_dir(prefix.join("lib"))) else {
        return Vec::new();
    };
    let pythons = folders
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"));
    pythons.map(|entry| entry.path().join("site-packages")).collect()
}

/// Names of distributions are equal without regard to case and to which of `-`, `_` and `.` they use.
fn normalised(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

fn installed(folders: &[PathBuf]) -> BTreeMap<String, Version> {
    let mut found: BTreeMap<String, Option<Version>> = BTreeMap::new();
    for entry in folders.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let Some((name, version)) = name
            .to_str()
            .and_then(|name| name.strip_suffix(".dist-info"))
            .and_then(|name| name.rsplit_once('-'))
        else {
            continue;
        };
        let Ok(version) = version.parse::<Version>() else {
            continue;
        };
        let known = found.entry(normalised(name)).or_insert_with(|| Some(version.clone()));
        // Two environments that differ: nobody knows which one it was.
        if known.as_ref().is_some_and(|known| *known != version) {
            *known = None;
        }
    }
    found
        .into_iter()
        .filter_map(|(name, version)| Some((name, version?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_where_the_code_ran() {
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join("lib/python3.11/site-packages");
        fs::create_dir_all(packages.join("scikit_optimize-0.8.1.dist-info")).unwrap();
        fs::create_dir_all(packages.join("notes-x.dist-info")).unwrap();
        let file = packages.join("skopt/a.py").to_string_lossy().into_owned();
        let program = folder.path().join("bin/python").to_string_lossy().into_owned();
        for (files, programs) in [(vec![file.as_str()], vec![]), (vec![], vec![program.as_str()])] {
            let lookup = Lookup::new(Disk::Read, ("/", 0), files.iter().copied(), programs.iter().copied());
            let version = lookup.version("scikit-optimize").map(ToString::to_string);
            assert_eq!(version.as_deref(), Some("0.8.1"));
            assert_eq!(lookup.version("notes"), None);
        }
        let blind = Lookup::new(Disk::Untouched, ("/", 0), [file.as_str()].into_iter(), [].into_iter());
        assert_eq!(blind.version("scikit-optimize"), None);
    }

    #[test]
    fn two_versions_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (venv, version) in [("a", "1.0"), ("b", "2.0")] {
            let packages = folder.path().join(venv).join("site-packages");
            fs::create_dir_all(packages.join(format!("x-{version}.dist-info"))).unwrap();
            files.push(packages.join("x.py").to_string_lossy().into_owned());
        }
        let lookup = Lookup::new(Disk::Read, ("/", 0), files.iter().map(String::as_str), [].into_iter());
        assert_eq!(lookup.version("x"), None);
    }

    #[test]
    fn a_source_line_is_found_unless_the_file_is_newer_than_the_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.py"), "import x\n\n    data = f.read()  # all\n").unwrap();
        let cwd = folder.path().to_string_lossy().into_owned();
        let of = |disk, started| {
            let lookup = Lookup::new(disk, (&cwd, started), [].into_iter(), [].into_iter());
            [1, 2, 3, 4].map(|line| lookup.source("a.py", line))
        };
        let line = Some("data = f.read()  # all".to_owned());
        assert_eq!(
            of(Disk::Read, u64::MAX >> 32),
            [Some("import x".to_owned()), None, line, None]
        );
        assert_eq!(of(Disk::Read, 1000), [None, None, None, None]);
        assert_eq!(of(Disk::Untouched, u64::MAX >> 32), [None, None, None, None]);
    }
}
