//! Words and paths as a shell takes them.

use std::path::Path;

/// The path as a shell takes it.
pub fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        word.to_string()
    } else if word.starts_with('-') {
        quoted(&format!("./{word}"))
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_understands_the_next_step() {
        assert_eq!(quoted("bench-2.dw"), "bench-2.dw");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted("-x.dw"), "./-x.dw");
    }
}
