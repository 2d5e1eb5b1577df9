//! Regions in the views.

use deadweight_analysis::timeline::Timeline;
use deadweight_analysis::{Amount, Region, RegionSource};
use deadweight_report::text::{Style, full};
use deadweight_report::{Report, json};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::fixture::{self, MIB, amount};

/// 100 MiB left behind, 10 freed of what was there before, 300 churned; in one of two processes at 200 MiB.
fn region(name: &str, source: RegionSource, peak: Amount) -> Region {
    Region {
        name: name.to_owned(),
        source,
        entries: 3,
        unfinished: 1,
        nanos: 2_500_000_000,
        peak,
        heap_peak: amount(250 * MIB, 9, 4 * MIB),
        kept: amount(100 * MIB, 5, 3 * MIB),
        freed: amount(10 * MIB, 5, 4 * MIB),
        churn: amount(300 * MIB, 5, MIB),
        spans_nanos: vec![(1_500_000_000, 2_000_000_000), (3_000_000_000, 5_000_000_000)],
    }
}

fn report() -> Report {
    let (mut manifest, mut analysis) = fixture::pool();
    manifest.started_monotonic_nanos = 1_000_000_000;
    (analysis.exact, analysis.interval_bytes) = (false, 65_536);
    manifest.regions = vec!["app:seldom".to_owned(), "app:main".to_owned()];
    let [first, second, ..] = &mut analysis.processes[..] else {
        panic!("a pool has processes")
    };
    first.regions = vec![region("load", RegionSource::Program, amount(120 * MIB, 5, 3 * MIB))];
    second.regions = vec![
        region("load", RegionSource::Program, amount(200 * MIB, 5, 5 * MIB)),
        region("app:main", RegionSource::Function, amount(20 * MIB, 5, 0)),
    ];
    let mut report = fixture::report((manifest, analysis));
    report.add_timeline(&Timeline::default());
    report
}

fn text(width: usize) -> String {
    let mut out = Vec::new();
    full(&report(), &Style { width, color: false }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_has_one_row_for_each_name() {
    let text = text(100);
    let (_, table) = text.split_once("Regions (each one's own allocations):\n").unwrap();
    let words = |at: usize| {
        table
            .lines()
            .nth(at)
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(words(0), "peak growth churn entries time region");
    // The higher peak; two errors of 5 MiB each for the growth.
    assert_eq!(words(1), "200 MiB ± 5.00 MiB 180 MiB ± 7.07 MiB 600 MiB 6 5.00 s load");
    assert_eq!(words(2), "20.0 MiB ± 0 B 90.0 MiB ± 5.00 MiB 300 MiB 3 2.50 s app:main");
    assert!(table.contains("load was entered 2 times and not left before the end."));
    assert!(!table.contains("app:main was entered"));
    assert!(table.contains("times are approximate"));
    assert!(table.contains("in up to 2 processes"));
}

#[test]
fn a_function_that_was_never_met_is_told() {
    let told = report().warnings.join("\n");
    assert!(
        told.contains("inside app:seldom:") && !told.contains("app:main"),
        "{told}"
    );
}

#[test]
fn no_line_is_too_wide() {
    for width in [40, 50, 60, 80] {
        for line in text(width).lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn the_json_has_each_process_and_marks() {
    let mut out = Vec::new();
    json::render(&report(), &mut out).unwrap();
    let value: Value = serde_json::from_slice(&out).unwrap();
    let regions = value["regions"].as_array().unwrap();
    let peaks: Vec<_> = regions
        .iter()
        .map(|region| region["peak_bytes"].as_u64().unwrap() / MIB)
        .collect();
    assert_eq!(peaks, [200, 120, 20]);
    assert_eq!(regions[0]["growth_bytes"], 90 * MIB);
    assert_eq!(regions[0]["growth_error_bytes"], 5 * MIB);
    assert_eq!(regions[2]["source"], "function");
    let marks = value["timeline"]["marks"].as_array().unwrap();
    let of_regions: Vec<_> = marks.iter().filter(|mark| mark["what"] == "region").collect();
    assert_eq!(of_regions.len(), 6);
    assert_eq!(
        (&of_regions[0]["seconds"], &of_regions[0]["until_seconds"]),
        (&0.5.into(), &1.0.into())
    );
    // Without regions there is no field.
    let mut out = Vec::new();
    json::render(&fixture::report(fixture::pool()), &mut out).unwrap();
    assert!(serde_json::from_slice::<Value>(&out).unwrap().get("regions").is_none());
}
