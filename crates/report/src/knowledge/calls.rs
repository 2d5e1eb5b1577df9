//! Calls that need much memory at once: `data/calls.toml`.

use std::sync::OnceLock;

use serde::Deserialize;

use super::patterns::{has_words, is_meant};
use crate::model::Line;

/// A call, what it needs, and what to do instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// What a person calls it.
    pub(crate) name: String,
    #[serde(default)]
    frames: Vec<String>,
    #[serde(default)]
    source: Vec<String>,
    /// What is in memory at once.
    pub(crate) needs: String,
    /// What to do instead.
    pub(crate) advice: String,
    /// Whether an option of the same library avoids it.
    #[serde(default)]
    pub(crate) avoidable: bool,
}

#[derive(Deserialize)]
struct Table {
    call: Vec<Call>,
}

fn all() -> &'static [Call] {
    static ALL: OnceLock<Vec<Call>> = OnceLock::new();
    ALL.get_or_init(|| {
        // The tests read it, so it is sound in every build that passed them.
        let table = toml::from_str::<Table>(include_str!("../../data/calls.toml"));
        table.map(|table| table.call).unwrap_or_default()
    })
}

/// The first call of the table that one of `frames` belongs to, or else one that stands in the `source` of the user's
/// line.
pub(crate) fn find(frames: &[Line], source: Option<&str>) -> Option<&'static Call> {
    let by_frame = |call: &&Call| {
        let meant = |pattern: &String| frames.iter().any(|frame| is_meant(pattern, frame));
        call.frames.iter().any(meant)
    };
    let by_source = |call: &&Call| {
        let source = source.unwrap_or("");
        call.source.iter().any(|words| has_words(source, words))
    };
    let mut calls = all().iter();
    calls.find(by_frame).or_else(|| all().iter().find(by_source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let table: Table = toml::from_str(include_str!("../../data/calls.toml")).unwrap();
        assert!(table.call.len() > 20);
        for call in table.call {
            assert!(
                !call.frames.is_empty() || !call.source.is_empty(),
                "{}: no evidence",
                call.name
            );
            assert!(call.advice.ends_with(['.', ')']), "{}: {}", call.name, call.advice);
            assert!(!call.needs.ends_with('.'), "{}: {}", call.name, call.needs);
        }
    }

    #[test]
    fn a_frame_tells_more_than_the_source() {
        let frame = Line {
            file: "/v/lib/python3.11/site-packages/openpyxl/worksheet/_reader.py".to_owned(),
            line: Some(9),
            function: "WorksheetReader.bind_cells".to_owned(),
        };
        let found = find(&[frame], Some("x = sorted(load_workbook(p))")).unwrap();
        assert!(found.name.contains("load_workbook") && found.avoidable);
        assert_eq!(find(&[], Some("x = sorted(y)")).unwrap().name, "sorted");
        assert!(find(&[], Some("x = y + 1")).is_none() && find(&[], None).is_none());
    }
}
