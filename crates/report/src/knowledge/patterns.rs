//! Patterns of frames and of source lines, as the data in `data/*.toml` writes them.

use crate::model::Line;

/// Whether a frame is meant by `folder/file.py:function`: the file ends with the path, and the function's last name is
/// the one given. Either part may be missing; a path that ends with `/` stands for all files of that folder.
pub(super) fn is_meant(pattern: &str, at: &Line) -> bool {
    let (path, function) = pattern.split_once(':').unwrap_or((pattern, ""));
    let is_file = match path.strip_suffix('/') {
        _ if path.is_empty() => true,
        Some(_) => at.file.contains(&format!("/{path}")),
        None => at.file.ends_with(path) && at.file[..at.file.len() - path.len()].ends_with('/'),
    };
    let name = at.function.rsplit('.').next().unwrap_or(&at.function);
    is_file && (function.is_empty() || name == function)
}

/// Whether a line of source has these words, not as the end of longer ones: `list(` is not in `blist(`.
pub(super) fn has_words(source: &str, words: &str) -> bool {
    let code = source.split_once('#').map_or(source, |(code, _)| code);
    let begins_word = words.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(words).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !begins_word || !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, function: &str) -> Line {
        Line {
            file: file.to_owned(),
            line: Some(1),
            function: function.to_owned(),
        }
    }

    #[test]
    fn a_frame_is_meant_by_the_end_of_its_path_and_its_name() {
        let copy = at("/v/site-packages/pandas/core/generic.py", "NDFrame.copy");
        for meant in [
            "pandas/core/generic.py:copy",
            "pandas/core/generic.py:",
            "pandas/",
            ":copy",
        ] {
            assert!(is_meant(meant, &copy), "{meant}");
        }
        for other in [
            "pandas/core/generic.py:astype",
            "das/core/generic.py:copy",
            "generic.p:copy",
            "das/",
        ] {
            assert!(!is_meant(other, &copy), "{other}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert!(has_words("rows = list(reader)", "list("));
        assert!(has_words("x = f.read()", ".read()"));
        for other in [
            "rows = blist(reader)",
            "rows = x.list(reader)",
            "rows = [] # list(reader)",
        ] {
            assert!(!has_words(other, "list("), "{other}");
        }
    }
}
