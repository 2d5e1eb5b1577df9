//! Names out of the user's program, made fit to print: no control characters, short paths, short commands.

use std::borrow::Cow;

use deadweight_analysis::FrameName;

use crate::model::Line;

/// Stands for a stack without any frame.
pub(crate) const UNKNOWN: FrameName<'static> = FrameName {
    file: "<unknown>",
    line: 0,
    function: "<unknown>",
};

/// Whether a character must not reach a terminal or an SVG: control characters, the marks that turn the direction
/// of text, line separators, and what XML does not know.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

/// The text without terminal escapes and hostile characters; line ends and tabs become spaces.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                // OSC: to BEL or ESC \.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            chars.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\u{9b}' => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
            '\n' | '\r' | '\t' => kept.push(' '),
            c if is_hostile(c) => {}
            c => kept.push(c),
        }
    }
    Cow::Owned(kept)
}

/// Whether a frame has a file, and not a word in angle brackets for one.
pub(crate) fn has_file(frame: &FrameName<'_>) -> bool {
    !frame.file.is_empty() && !frame.file.starts_with('<')
}

/// A frame as one text: `function (file:line)`. Frames that are no Python frames are only their function.
pub(crate) fn frame(frame: &FrameName<'_>) -> String {
    let function = clean(frame.function);
    match (frame.file, frame.line) {
        ("" | "<native>" | "<python>" | "<unknown>", _) => function.into_owned(),
        (file, 0) => format!("{function} ({})", clean(file)),
        (file, line) => format!("{function} ({}:{line})", clean(file)),
    }
}

/// A frame as the model has it.
pub(crate) fn line(frame: &FrameName<'_>) -> Line {
    Line {
        file: frame.file.to_owned(),
        line: (frame.line > 0).then_some(frame.line),
        function: frame.function.to_owned(),
    }
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What a process of Python's `multiprocessing` is for; its command line says that in code only.
fn multiprocessing_role(argv: &[String]) -> Option<&'static str> {
    let has = |part: &str| argv.iter().any(|word| word.contains(part));
    if has("multiprocessing.resource_tracker") {
        Some("(multiprocessing's resource tracker)")
    } else if has("multiprocessing.forkserver") {
        Some("(multiprocessing's fork server)")
    } else if has("multiprocessing.spawn") {
        Some("(multiprocessing worker)")
    } else {
        None
    }
}

/// A command as a short text: the program without its folder, then its arguments; long ones are cut off.
pub(crate) fn command(argv: &[String]) -> String {
    const LONGEST: usize = 40;
    let mut words = argv.iter().map(|word| clean(word));
    let Some(first) = words.next() else {
        return String::new();
    };
    let mut text = file_name(&first).to_owned();
    if let Some(role) = multiprocessing_role(argv) {
        return format!("{text} {role}");
    }
    for word in words {
        text.push(' ');
        text.push_str(&word);
    }
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST - 1).collect();
        text.push('…');
    }
    text
}

/// A process as a short text: `pid 4123 python bench.py`.
pub(crate) fn process(pid: u32, argv: &[String]) -> String {
    let command = command(argv);
    if command.is_empty() {
        format!("pid {pid}")
    } else {
        format!("pid {pid} {command}")
    }
}

/// What the user calls the program: `bench.py`, `python -m http.server`, `python -c`.
pub(crate) fn program(argv: &[String]) -> String {
    let word = |index: usize| argv.get(index).map(|word| clean(word).into_owned());
    match argv.first().map(String::as_str) {
        None | Some("") => "the program".to_owned(),
        Some("-m") => format!("python -m {}", word(1).unwrap_or_default())
            .trim_end()
            .to_owned(),
        Some("-c") => "python -c".to_owned(),
        Some("-") => "python -".to_owned(),
        Some(first) => file_name(&clean(first)).to_owned(),
    }
}

/// The part of a path that tells a person where it is: below the folder of the run, below `site-packages`, below
/// the standard library, or else all of it.
pub(crate) fn short_path<'a>(file: &'a str, cwd: Option<&str>) -> &'a str {
    if let Some(start) = crate::words::library_path::library_start(file) {
        return &file[start..];
    }
    let below = cwd
        .filter(|cwd| cwd.len() > 1)
        .and_then(|cwd| file.strip_prefix(cwd.trim_end_matches('/')))
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|rest| !rest.is_empty());
    below.unwrap_or(file)
}

/// A place with its line: `bench.py:18`.
pub(crate) fn location(at: &Line, cwd: Option<&str>) -> String {
    let path = clean(short_path(&at.file, cwd)).into_owned();
    match at.line {
        Some(line) => format!("{path}:{line}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_control_characters_are_removed() {
        assert_eq!(clean("plain ünï"), "plain ünï");
        assert_eq!(clean("a\u{1b}[31;1mred\u{1b}[0mb"), "aredb");
        assert_eq!(clean("a\u{1b}]0;title\u{7}b"), "ab");
        assert_eq!(clean("a\u{1b}]0;title\u{1b}\\b"), "ab");
        assert_eq!(clean("a\nb\tc\0d\u{202e}e\u{9b}2Jf"), "a b cdef");
        assert_eq!(clean("a\u{1b}"), "a");
        assert_eq!(clean("a\u{1b}[12"), "a");
    }

    #[test]
    fn paths_are_shown_from_where_a_person_knows_them() {
        let cwd = Some("/home/me/project");
        assert_eq!(short_path("/home/me/project/a/b.py", cwd), "a/b.py");
        assert_eq!(short_path("/home/me/projects/b.py", cwd), "/home/me/projects/b.py");
        assert_eq!(
            short_path(
                "/home/me/project/.venv/lib/python3.11/site-packages/pandas/core/frame.py",
                cwd
            ),
            "pandas/core/frame.py"
        );
        assert_eq!(
            short_path("/usr/lib/python3.11/json/decoder.py", cwd),
            "json/decoder.py"
        );
        assert_eq!(short_path("<string>", cwd), "<string>");
        assert_eq!(short_path("/x.py", Some("/")), "/x.py");
    }

    #[test]
    fn a_program_is_called_what_the_user_calls_it() {
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(program(&argv(&["src/bench.py", "--fast"])), "bench.py");
        assert_eq!(program(&argv(&["-m", "http.server"])), "python -m http.server");
        assert_eq!(program(&argv(&["-c", "x = 1"])), "python -c");
        assert_eq!(program(&[]), "the program");
        let spawned = argv(&[
            "/usr/bin/python3",
            "-c",
            "from multiprocessing.spawn import spawn_main; spawn_main()",
        ]);
        assert_eq!(process(8, &spawned), "pid 8 python3 (multiprocessing worker)");
        assert_eq!(process(7, &argv(&["/usr/bin/python3", "a.py"])), "pid 7 python3 a.py");
    }
}
