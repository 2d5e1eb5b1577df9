//! Lines that fit a width: colour, cutting, wrapping.

use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;
use crate::words::units;

/// Below this nothing sensible fits.
const NARROWEST: usize = 40;

/// How a piece of text is painted, if colours are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Bold => "\x1b[1m",
            Paint::Dim => "\x1b[2m",
            Paint::Red => "\x1b[1;31m",
            Paint::Yellow => "\x1b[33m",
            Paint::Cyan => "\x1b[36m",
        }
    }
}

/// Columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The beginning of a text in at most `width` columns, with `…` if it was cut.
pub(crate) fn cut_end(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The end of a path in at most `width` columns, with `…` if it was cut; at a `/` if that leaves the file's name.
pub(crate) fn cut_start(path: &str, width: usize) -> String {
    if columns(path) <= width {
        return path.to_owned();
    }
    let mut start = path.len();
    let mut used = 1;
    for (at, c) in path.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        start = at;
    }
    let kept = &path[start..];
    let from_folder = kept.find('/').map_or(kept, |slash| &kept[slash..]);
    if width == 0 {
        String::new()
    } else {
        format!("…{from_folder}")
    }
}

/// Fills up with spaces on the right.
pub(crate) fn pad_end(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Fills up with spaces on the left.
pub(crate) fn pad_start(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Where lines go. No line is wider than the width.
pub(crate) struct Page<'a> {
    out: &'a mut dyn Write,
    /// Columns.
    pub(crate) width: usize,
    color: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn new(style: &Style, out: &'a mut dyn Write) -> Page<'a> {
        Page {
            out,
            width: style.width.max(NARROWEST),
            color: style.color,
        }
    }

    /// One line; what does not fit is cut off.
    pub(crate) fn line(&mut self, spans: &[(Paint, &str)]) -> io::Result<()> {
        let mut left = self.width;
        let mut parts: Vec<(Paint, String)> = Vec::with_capacity(spans.len());
        for (paint, text) in spans {
            let text = cut_end(text, left);
            left = left.saturating_sub(columns(&text));
            parts.push((*paint, text));
        }
        // No spaces at the end of a line.
        while let Some((_, text)) = parts.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
            parts.pop();
        }
        for (paint, text) in &parts {
            if self.color && *paint != Paint::Plain && !text.trim().is_empty() {
                write!(self.out, "{}{text}\x1b[0m", paint.code())?;
            } else {
                write!(self.out, "{text}")?;
            }
        }
        writeln!(self.out)
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A section's heading, after an empty line.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.gap()?;
        self.wrapped((Paint::Bold, ""), "  ", (Paint::Bold, text))
    }

    /// A text over as many lines as it takes: `label` before the first one, `indent` before the others. Words that
    /// are too long for a line are paths, mostly: they lose their beginning.
    pub(crate) fn wrapped(&mut self, label: (Paint, &str), indent: &str, text: (Paint, &str)) -> io::Result<()> {
        let mut first = true;
        for line in self.broken(columns(label.1), columns(indent), text.1) {
            let lead = if first { label } else { (Paint::Plain, indent) };
            self.line(&[lead, (text.0, &line)])?;
            first = false;
        }
        Ok(())
    }

    /// The words of a text, put into lines.
    fn broken(&self, first_indent: usize, indent: usize, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        let mut room = self.width.saturating_sub(first_indent);
        for word in words(text) {
            let needed = columns(&word) + if line.is_empty() { 0 } else { columns(&line) + 1 };
            if needed > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                room = self.width.saturating_sub(indent);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&cut_start(&word, room));
        }
        lines.push(line);
        lines
    }

    /// A line that must stay whole, such as a command to copy: the only one that may be too long.
    pub(crate) fn whole(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }
}

/// The words of a text, a number and its unit being one word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(last) if units::is_unit(word) || last == "±" => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit_are_one_word() {
        assert_eq!(
            words("at most  2 GiB, [± 15 MiB] or 3 %"),
            ["at", "most", "2 GiB,", "[±", "15 MiB]", "or", "3 %"]
        );
    }

    #[test]
    fn paths_lose_their_beginning_and_keep_name_and_line() {
        assert_eq!(cut_start("a/b.py:1", 10), "a/b.py:1");
        assert_eq!(cut_start("/home/me/project/bench.py:18", 14), "…/bench.py:18");
        assert_eq!(cut_start("/home/me/project/bench.py:18", 20), "…/bench.py:18");
        assert_eq!(cut_start("/home/me/project/bench.py:18", 22), "…/project/bench.py:18");
        assert_eq!(cut_start("averyveryverylongname.py:18", 12), "…gname.py:18");
        assert_eq!(cut_start("abc", 0), "");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut_end("数据处理函数", 7), "数据处…");
        assert_eq!(columns(&cut_end("数据处理函数", 6)), 5);
        assert_eq!(columns(&cut_start("数据/处理函数.py:1", 9)), 8);
        assert_eq!(cut_end("abc", 0), "");
    }
}
