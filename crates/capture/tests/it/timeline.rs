//! Timelines of long runs stay small and keep their maximum; damaged ones are read as far as they go.

use std::fs;

use deadweight_capture::Error;
use deadweight_capture::timeline::{FILE, LimitChange, Mark, Point, Timeline, TimelineProcess, TimelineWriter};
use proptest::prelude::*;
use tempfile::tempdir;

fn point(ms: u64, total: u64) -> Point {
    Point {
        ms,
        total,
        rss: vec![(0, total / 2), (1, total / 4)],
        ..Point::default()
    }
}

fn process(number: u32, peak: u64) -> TimelineProcess {
    TimelineProcess {
        number,
        pid: 100 + number,
        argv: vec!["python".to_owned(), "x".repeat(10_000)],
        peak,
        ..TimelineProcess::default()
    }
}

#[test]
fn a_week_stays_small_and_keeps_its_maximum() {
    let folder = tempdir().unwrap();
    let mut writer = TimelineWriter::begin(folder.path());
    writer.process(process(0, 0));
    let (mut highest, mut at, mut largest_file, mut state) = (0, 0, 0, 7u64);
    // Ten polls a second would be 6 million in a week; these are as many as a debug build writes in seconds.
    for step in 0..200_000u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let total = (state >> 33) % (1 << 30);
        if total > highest {
            (highest, at) = (total, step * 3000);
        }
        writer.point(point(step * 3000, total));
        if step % 5000 == 0 {
            largest_file = largest_file.max(fs::metadata(folder.path().join(FILE)).unwrap().len());
        }
    }
    assert!(writer.failed().is_none());
    assert!(largest_file < 1 << 20, "{largest_file} bytes");
    let read = Timeline::read(folder.path()).unwrap().unwrap();
    assert_eq!(&read, writer.timeline());
    assert!((2000..4097).contains(&read.points.len()), "{}", read.points.len());
    let peak = read.peak().unwrap();
    assert_eq!((peak.total, peak.ms), (highest, at));
    assert_eq!((read.processes[&0].peak, read.processes[&0].peak_ms), (highest / 2, at));
    // The newest points are all there, and the whole time is covered.
    let newest: Vec<u64> = read
        .points
        .iter()
        .rev()
        .take(1000)
        .map(|point| point.ms / 3000)
        .collect();
    assert_eq!(newest, (199_000..200_000).rev().collect::<Vec<u64>>());
    let gaps = read.points.windows(2).map(|pair| pair[1].ms - pair[0].ms);
    assert!(gaps.max().unwrap() < 200_000 * 3000 / 500);
}

#[test]
fn very_many_processes_are_forgotten_but_not_the_large_ones() {
    let folder = tempdir().unwrap();
    let mut writer = TimelineWriter::begin(folder.path());
    for number in 0..50_000 {
        let peak = if number == 17 { 1 << 40 } else { u64::from(number) };
        writer.process(TimelineProcess {
            ended_ms: Some(1),
            ..process(number, peak)
        });
        writer.mark(Mark::default());
        writer.limit(LimitChange::default());
    }
    let size = fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(size < 8 << 20, "{size} bytes");
    let read = Timeline::read(folder.path()).unwrap().unwrap();
    assert!(read.processes.len() < 10_000 && read.marks.len() < 10_000);
    assert_eq!(read.processes[&17].peak, 1 << 40);
    assert!(read.processes[&49_999].argv.concat().len() <= 400);
}

#[test]
fn a_writer_that_was_killed_leaves_half_a_line_at_most() {
    let folder = tempdir().unwrap();
    let mut writer = TimelineWriter::begin(folder.path());
    writer.process(process(0, 1));
    (0..50).for_each(|step| writer.point(point(step, step)));
    let whole = fs::read(folder.path().join(FILE)).unwrap();
    for cut in 0..whole.len() {
        fs::write(folder.path().join(FILE), &whole[..cut]).unwrap();
        let read = Timeline::read(folder.path()).unwrap().unwrap();
        assert_eq!(read.damaged_lines, 0, "cut at {cut}");
        let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
        // The last line may be whole but for its end.
        assert!([lines, lines + 1].contains(&(2 + read.points.len())) || lines < 3);
    }
}

#[test]
fn there_may_be_no_timeline_or_a_newer_one() {
    let folder = tempdir().unwrap();
    assert_eq!(Timeline::read(folder.path()).unwrap(), None);
    fs::write(
        folder.path().join(FILE),
        "{\"is\":\"timeline\",\"version\":99}\n{\"is\":\"cube\"}\n",
    )
    .unwrap();
    let error = Timeline::read(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NewerVersion { found: 99, .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_no_error() {
    let folder = tempdir().unwrap();
    let mut writer = TimelineWriter::begin(&folder.path().join("nothing"));
    writer.point(point(1, 2));
    assert!(writer.failed().is_some());
    assert_eq!(writer.timeline().points.len(), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in 0usize..2000) {
        let folder = tempdir().unwrap();
        let mut writer = TimelineWriter::begin(folder.path());
        (0..20).for_each(|step| writer.point(point(step, step)));
        let mut damaged = fs::read(folder.path().join(FILE)).unwrap();
        let at = at.min(damaged.len());
        damaged.splice(at..(at + bytes.len() / 2).min(damaged.len()), bytes);
        fs::write(folder.path().join(FILE), damaged).unwrap();
        match Timeline::read(folder.path()) {
            Ok(read) => prop_assert!(read.unwrap().points.len() <= 20),
            // The damage may be a digit of the version.
            Err(error) => {
                let is_newer = matches!(error, Error::NewerVersion { .. });
                prop_assert!(is_newer, "{}", error);
            }
        }
    }
}
