//! Collapsed stacks, flame graph, speedscope.

use deadweight_analysis::Analysis;
use deadweight_report::{Metric, collapsed, flamegraph, speedscope};
use serde_json::Value;

use crate::fixture;

fn lines(analysis: &Analysis, metric: Metric) -> String {
    let mut out = Vec::new();
    collapsed::render(analysis, metric, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn svg(analysis: &Analysis, metric: Metric) -> String {
    let mut out = Vec::new();
    flamegraph::render(analysis, metric, "bench.py <peak> \u{1b}[31m&", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn scope(analysis: &Analysis) -> Value {
    let mut out = Vec::new();
    speedscope::render(analysis, Metric::Peak, "bench.py", &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn collapsed_stacks_of_the_peak() {
    insta::assert_snapshot!(lines(&fixture::bench().1, Metric::Peak));
}

#[test]
fn collapsed_stacks_of_all_that_was_allocated() {
    insta::assert_snapshot!(lines(&fixture::bench().1, Metric::Allocated));
}

#[test]
fn with_several_processes_the_process_is_the_outermost_frame() {
    insta::assert_snapshot!(lines(&fixture::pool().1, Metric::Peak));
}

#[test]
fn a_collapsed_line_is_frames_and_bytes_whatever_the_names() {
    let analysis = fixture::hostile().1;
    let text = lines(&analysis, Metric::Peak);
    assert_eq!(text.lines().count(), 3);
    let mut sum = 0;
    for line in text.lines() {
        let (stack, bytes) = line.rsplit_once(' ').unwrap();
        assert!(stack.split(';').count() <= 2, "{line}");
        assert!(!stack.chars().any(char::is_control), "{line}");
        sum += bytes.parse::<u64>().unwrap();
    }
    assert_eq!(sum, analysis.peak.heap.bytes);
}

/// Reads the whole document; the texts of its titles.
fn titles(svg: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let (mut titles, mut inside, mut depth, mut text) = (Vec::new(), false, 0i32, String::new());
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => {
                for attribute in start.attributes() {
                    attribute.expect("a well-formed attribute");
                }
                depth += 1;
                inside = start.name().as_ref() == b"title";
            }
            Event::End(_) => {
                depth -= 1;
                if inside {
                    titles.push(std::mem::take(&mut text));
                }
                inside = false;
            }
            Event::Text(part) if inside => text.push_str(&part.decode().unwrap()),
            Event::GeneralRef(part) if inside => {
                text.push_str(match &*part.decode().unwrap() {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("unknown entity {other}"),
                });
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    titles
}

#[test]
fn a_flame_graph_shows_the_frames_and_their_bytes() {
    for metric in [Metric::Peak, Metric::Allocated] {
        let svg = svg(&fixture::bench().1, metric);
        let titles = titles(&svg);
        for name in [
            "make_trips (/home/me/project/bench.py:18)",
            "BaseBlockManager.copy (",
            "Loader.load (",
        ] {
            assert!(
                titles.iter().any(|title| title.starts_with(name)),
                "{name} is not in {titles:?}"
            );
        }
        assert!(titles.iter().any(|title| title.contains(" bytes, ")), "{titles:?}");
        assert!(svg.contains("bench.py &lt;peak&gt;"));
    }
}

#[test]
fn a_flame_graph_is_well_formed_whatever_the_names() {
    let svg = svg(&fixture::hostile().1, Metric::Peak);
    assert!(titles(&svg).iter().any(|title| title.contains("<&>.py:3")));
    assert!(!svg.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')));
}

#[test]
fn a_flame_graph_of_nothing_says_so() {
    let svg = svg(&fixture::nothing(), Metric::Peak);
    titles(&svg);
    assert!(svg.contains("No memory was recorded."));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (fixture::pool().1, fixture::pool().1);
    assert_eq!(svg(&one, Metric::Peak), svg(&two, Metric::Peak));
    assert_eq!(scope(&one), scope(&two));
}

#[test]
fn speedscope_files_hold_together() {
    for (_, analysis) in [fixture::bench(), fixture::pool(), fixture::hostile()] {
        let file = scope(&analysis);
        assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
        let frames = file["shared"]["frames"].as_array().unwrap();
        assert!(frames.iter().all(|frame| frame["name"].is_string()));
        let profiles = file["profiles"].as_array().unwrap();
        assert_eq!(profiles.len(), analysis.processes.len());
        assert!((file["activeProfileIndex"].as_u64().unwrap() as usize) < profiles.len());
        for (profile, process) in profiles.iter().zip(&analysis.processes) {
            assert_eq!(profile["type"], "sampled");
            assert_eq!(profile["unit"], "bytes");
            let samples = profile["samples"].as_array().unwrap();
            let weights = profile["weights"].as_array().unwrap();
            assert_eq!(samples.len(), weights.len());
            let sum: u64 = weights.iter().map(|weight| weight.as_u64().unwrap()).sum();
            assert_eq!(sum, process.at_tree_peak.bytes);
            assert_eq!((&profile["startValue"], &profile["endValue"]), (&0.into(), &sum.into()));
            let indexes = samples.iter().flat_map(|sample| sample.as_array().unwrap());
            assert!(
                indexes
                    .clone()
                    .all(|index| (index.as_u64().unwrap() as usize) < frames.len())
            );
        }
    }
}

#[test]
fn speedscope_samples_begin_at_the_outermost_frame_and_the_largest_process_is_shown() {
    let file = scope(&fixture::bench().1);
    let first = file["profiles"][0]["samples"][0][0].as_u64().unwrap() as usize;
    assert_eq!(file["shared"]["frames"][first]["name"], "main");
    assert_eq!(file["shared"]["frames"][first]["line"], 40);
    assert_eq!(scope(&fixture::pool().1)["activeProfileIndex"], 2);
    assert_eq!(scope(&fixture::nothing())["profiles"], serde_json::json!([]));
}
