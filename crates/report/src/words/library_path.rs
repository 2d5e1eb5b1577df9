//! The part of a file's path that is a library's: what stands below `site-packages` or the standard library's folder.

/// Which of the folders that hold installed code a file is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Installed {
    /// `site-packages` or `dist-packages`.
    Package,
    /// The standard library's.
    Standard,
}

/// Whether a folder's name is `python3.11`, `python3.13t` or the like.
fn is_python_folder(name: &str) -> bool {
    let version = name.strip_prefix("python3.").or_else(|| name.strip_prefix("pypy3."));
    version.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether a folder's name is that of the standard library as a zip file, `python311.zip`.
fn is_python_zip(name: &str) -> bool {
    name.strip_prefix("python3")
        .and_then(|rest| rest.strip_suffix(".zip"))
        .is_some_and(|version| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()))
}

/// Where in a path the part below the folder of installed packages or of the standard library begins, and which
/// of the two it is. `None` if the file belongs to neither.
pub(crate) fn library_part(file: &str) -> Option<(usize, Installed)> {
    let mut found = None;
    let mut start = 0;
    let mut last = "";
    for part in file.split('/') {
        let next = start + part.len() + 1;
        if next > file.len() {
            break; // the file's own name is no folder
        }
        if part == "site-packages" || part == "dist-packages" {
            found = Some((next, Installed::Package));
        } else if (matches!(last, "lib" | "lib64") && is_python_folder(part)) || is_python_zip(part) {
            found = Some((next, Installed::Standard));
        }
        last = part;
        start = next;
    }
    found.filter(|(at, _)| *at < file.len())
}

/// Where in a path the part below `site-packages` or below the standard library's folder begins.
pub(crate) fn library_start(file: &str) -> Option<usize> {
    library_part(file).map(|(start, _)| start)
}
