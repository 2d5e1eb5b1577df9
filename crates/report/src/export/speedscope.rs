//! The file format of <https://www.speedscope.app>: shared frames, one sampled profile a process, weights in bytes.

use std::collections::HashMap;
use std::io::{self, Write};

use deadweight_analysis::{Analysis, FrameName, ProcessAnswer};
use serde::Serialize;

use crate::attribution::frames::frames as frames_of;
use crate::export::collapsed::Metric;
use crate::words::names;

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct File {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: String,
    exporter: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared,
    profiles: Vec<Profile>,
}

#[derive(Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Profile {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start: u64,
    #[serde(rename = "endValue")]
    end: u64,
    /// Indexes into the shared frames, outermost first.
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

#[derive(Default)]
struct Frames<'a> {
    list: Vec<Frame>,
    known: HashMap<FrameName<'a>, usize>,
}

impl<'a> Frames<'a> {
    fn index(&mut self, frame: FrameName<'a>) -> usize {
        *self.known.entry(frame).or_insert_with(|| {
            self.list.push(Frame {
                name: names::clean(frame.function).into_owned(),
                file: names::has_file(&frame).then(|| names::clean(frame.file).into_owned()),
                line: (frame.line > 0).then_some(frame.line),
            });
            self.list.len() - 1
        })
    }
}

fn profile<'a>(process: &'a ProcessAnswer, metric: Metric, frames: &mut Frames<'a>) -> Profile {
    let mut samples = Vec::new();
    let mut weights = Vec::new();
    for (index, amounts) in process.amounts.iter().enumerate() {
        let bytes = metric.bytes(amounts);
        if bytes > 0 {
            let stack = frames_of(process, index);
            samples.push(stack.into_iter().rev().map(|frame| frames.index(frame)).collect());
            weights.push(bytes);
        }
    }
    Profile {
        kind: "sampled",
        name: names::process(process.id.pid, &process.argv),
        unit: "bytes",
        start: 0,
        end: weights.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes)),
        samples,
        weights,
    }
}

/// Writes the memory in `metric`, one profile a process; the one with most of it is shown first. `title` names the
/// file in the viewer.
///
/// # Errors
/// If `out` fails.
pub fn render(analysis: &Analysis, metric: Metric, title: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut frames = Frames::default();
    let profiles: Vec<Profile> = analysis
        .processes
        .iter()
        .map(|process| profile(process, metric, &mut frames))
        .collect();
    let heaviest = profiles
        .iter()
        .enumerate()
        .max_by_key(|(index, profile)| (profile.end, std::cmp::Reverse(*index)));
    let file = File {
        schema: SCHEMA,
        name: names::clean(title).into_owned(),
        exporter: format!("deadweight {}", env!("CARGO_PKG_VERSION")),
        active: heaviest.map_or(0, |(index, _)| index),
        shared: Shared { frames: frames.list },
        profiles,
    };
    serde_json::to_writer(&mut *out, &file)?;
    writeln!(out)
}
