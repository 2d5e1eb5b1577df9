//! `deadweight heap`: a heap snapshot, asked for one thing.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Result, anyhow, bail};
use deadweight_analysis::{Analysis, analyse, births};
use deadweight_capture::read::{Capture, HeapFiles};
use deadweight_heap::{CycleAnswer, Heap, SnapshotAnswer, short_type};
use deadweight_report::heap::{self, HeapReport, Question, Source, dot, picture, svg};
use deadweight_report::snapshot_of_peak;
use deadweight_report::text::{self, Style};

use crate::args::{At, HeapArgs, HeapFormat, Place};
use crate::load::capture::open;
use crate::ui::output_file::write_out;
use crate::ui::quote::{quoted, quoted_path};

/// Cycles with a smaller share of the heap are not worth a next step.
const WORTH_A_LOOK: f64 = 0.001;

/// Writes the answer.
///
/// # Errors
/// If there is no such capture, snapshot, type or object, or the output cannot be written.
pub fn heap(args: &HeapArgs) -> Result<()> {
    let (capture, manifest) = open(&args.capture)?;
    if capture.heaps().is_empty() {
        bail!(
            "{} has no heap snapshots: they are taken as the program's memory grows, unless it runs with --no-snapshots",
            args.capture.display()
        );
    }
    let analysis = analyse(&capture).map_err(|error| anyhow!("cannot analyse {}: {error}", args.capture.display()))?;
    let (files, opened) = choose(&capture, &analysis, args)?;
    if args.format == HeapFormat::Heapsnapshot {
        return write_out(args.output.as_deref(), args.force, |_, out| {
            opened.write_heapsnapshot(out)
        });
    }
    let answer = opened.answer();
    let question = ask(&opened, &answer, &capture, args)?;
    let of_process = capture.heaps().iter().filter(|other| other.process == files.process);
    let mut other_pids: Vec<u32> = capture.heaps().iter().map(|other| other.process.pid).collect();
    other_pids.retain(|pid| *pid != files.process.pid);
    other_pids.sort_unstable();
    other_pids.dedup();
    let source = Source {
        manifest: manifest.as_ref().ok(),
        analysis: &analysis,
        answer: &answer,
        numbers: of_process.map(|other| other.number).collect(),
        other_pids,
        top: args.top,
    };
    let mut report = heap::build(&source, question);
    if args.format == HeapFormat::Text {
        report.next_steps = next_steps(&report, args);
    }
    write_out(args.output.as_deref(), args.force, |style, out| {
        render(&report, args.format, style, out)
    })
}

fn render(report: &HeapReport, format: HeapFormat, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        HeapFormat::Text => text::heap(report, style, out),
        HeapFormat::Json => heap::json(report, out),
        HeapFormat::Dot => dot::render(&picture(report), out),
        HeapFormat::Svg => svg::render(&picture(report), out),
        // Written before there is a report.
        HeapFormat::Heapsnapshot => Ok(()),
    }
}

/// The snapshot that is asked for.
fn choose<'a>(capture: &'a Capture, analysis: &Analysis, args: &HeapArgs) -> Result<(&'a HeapFiles, Heap)> {
    let pid = match args.pid {
        Some(pid) => pid,
        None => heaviest(capture, analysis),
    };
    let mut of_process: Vec<&HeapFiles> = capture
        .heaps()
        .iter()
        .filter(|files| files.process.pid == pid)
        .collect();
    if of_process.is_empty() {
        let mut pids: Vec<u32> = capture.heaps().iter().map(|files| files.process.pid).collect();
        pids.dedup();
        bail!(
            "pid {pid} has no heap snapshot in this capture; these have: {}",
            list(&pids)
        );
    }
    of_process.sort_by_key(|files| (files.process, files.number));
    let numbers = || list(&of_process.iter().map(|files| files.number).collect::<Vec<u32>>());
    let found = match args.at {
        At::End => of_process.last().copied(),
        At::Number(number) => of_process.iter().rfind(|files| files.number == number).copied(),
        At::Peak => return of_peak(&of_process, analysis.peak.nanos),
    };
    let files = found.ok_or_else(|| match args.at {
        At::Number(number) => anyhow!("pid {pid} has no heap snapshot {number}; it has: {}", numbers()),
        At::Peak | At::End => anyhow!("pid {pid} has no heap snapshot"),
    })?;
    Ok((files, read(files)?))
}

fn read(files: &HeapFiles) -> Result<Heap> {
    let name = format!("heap snapshot {} of pid {}", files.number, files.process.pid);
    Heap::open(files).map_err(|error| anyhow!("{name} cannot be analysed: {error}"))
}

/// The snapshot that stands for the peak, as in the findings; of a pid that was used again, one of the process that had it
/// then. If none was written to its end, the last one before the peak, or else the first one.
fn of_peak<'a>(of_pid: &[&'a HeapFiles], peak_nanos: u64) -> Result<(&'a HeapFiles, Heap)> {
    let is_before = |files: &&&HeapFiles| taken(files).is_some_and(|nanos| nanos <= peak_nanos);
    let before = of_pid.iter().rfind(is_before).or(of_pid.first()).copied();
    let before = before.ok_or_else(|| anyhow!("there is no heap snapshot"))?;
    let of_process = of_pid.iter().filter(|files| files.process == before.process);
    let candidates: Vec<(u64, &HeapFiles)> = of_process.filter_map(|files| Some((taken(files)?, *files))).collect();
    let nanos: Vec<u64> = candidates.iter().map(|(nanos, _)| *nanos).collect();
    let mut opened: BTreeMap<usize, Heap> = BTreeMap::new();
    let chosen = snapshot_of_peak(&nanos, peak_nanos, |at| {
        let heap = read(candidates[at].1).ok().filter(Heap::is_complete)?;
        let bytes = heap.all().bytes();
        opened.insert(at, heap);
        Some(bytes)
    });
    match chosen.and_then(|at| Some((candidates[at].1, opened.remove(&at)?))) {
        Some(found) => Ok(found),
        None => Ok((before, read(before)?)),
    }
}

/// When the snapshot was taken, nanoseconds of `CLOCK_MONOTONIC`: its first file says so.
fn taken(files: &HeapFiles) -> Option<u64> {
    use deadweight_capture::read::Segment;
    use deadweight_capture::wire::HEADER_BYTES;
    use std::io::Read;
    let mut header = [0; HEADER_BYTES];
    std::fs::File::open(&files.segments.first()?.path)
        .ok()?
        .read_exact(&mut header)
        .ok()?;
    Some(Segment::parse(&header).ok()?.header().start_nanos)
}

/// The process with snapshots that had most of the heap at the peak.
fn heaviest(capture: &Capture, analysis: &Analysis) -> u32 {
    let has = |pid: u32| capture.heaps().iter().any(|files| files.process.pid == pid);
    let processes = analysis.processes.iter().filter(|process| has(process.id.pid));
    let heaviest = processes.max_by_key(|process| (process.at_tree_peak.bytes, std::cmp::Reverse(process.id)));
    let first = capture.heaps().first().map_or(0, |files| files.process.pid);
    heaviest.map_or(first, |process| process.id.pid)
}

fn list(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(u32::to_string).collect();
    texts.join(", ")
}

fn ask(opened: &Heap, answer: &SnapshotAnswer, capture: &Capture, args: &HeapArgs) -> Result<Question> {
    let of_type = |name: &str| {
        opened.type_named(name, args.top).map_err(|near| match near.as_slice() {
            [] => anyhow!("there is no object of type {name} in the heap snapshot"),
            near => anyhow!(
                "there is no object of type {name} in the heap snapshot; there are objects of type {}",
                near.join(", ")
            ),
        })
    };
    if let Some(name) = &args.type_name {
        Ok(Question::Type(of_type(name)?))
    } else if let Some(name) = &args.holders {
        Ok(Question::Holders(of_type(name)?))
    } else if let Some(address) = args.path {
        object(opened, address, args)
    } else if args.cycles {
        let ages = |cycle: CycleAnswer| {
            let born = births(capture, answer.process, answer.number, &cycle.blocks);
            let ages = born.values().map(|born| answer.nanos.saturating_sub(*born)).collect();
            (cycle, ages)
        };
        Ok(Question::Cycles(
            opened.cycles(args.top).into_iter().map(ages).collect(),
        ))
    } else {
        Ok(Question::Overview {
            types: opened.types(),
            cycles: opened.cycles(args.top),
        })
    }
}

fn object(opened: &Heap, address: Place, args: &HeapArgs) -> Result<Question> {
    match address {
        Place::Address(address) => opened
            .object_at(address, args.top)
            .map(Question::Object)
            .map_err(|none| {
                let near = |object: &deadweight_heap::Object| {
                    let place = object.address.map(|address| format!("{address:#x}"));
                    format!("{} ({})", place.unwrap_or_default(), short_type(&object.type_name))
                };
                let near: Vec<String> = none.near.iter().map(near).collect();
                match near.is_empty() {
                    true => anyhow!("there is no object at {address:#x} in the heap snapshot"),
                    false => anyhow!(
                        "there is no object at {address:#x} in the heap snapshot; the ones next to it are at {}",
                        near.join(" and ")
                    ),
                }
            }),
        Place::Number(number) => opened
            .object_numbered(number, args.top)
            .map(Question::Object)
            .ok_or_else(|| {
                anyhow!(
                    "there is no object @{number} in the heap snapshot: DevTools shows such numbers behind the names"
                )
            }),
    }
}

/// What one would ask next.
fn next_steps(report: &HeapReport, args: &HeapArgs) -> Vec<String> {
    let command = |rest: &str| format!("deadweight heap {}{rest}", quoted_path(&args.capture));
    let mut steps = Vec::new();
    if report.types.is_some() {
        if report
            .cycles
            .iter()
            .flatten()
            .any(|cycle| cycle.share_of_heap >= WORTH_A_LOOK)
        {
            steps.push(command(" --cycles"));
            steps.push(command(" --cycles --format svg -o cycles.svg"));
        }
        let elements = report
            .holders
            .iter()
            .flatten()
            .find_map(|holder| holder.element_type.as_deref());
        if let Some(kind) = elements {
            steps.push(command(&format!(" --holders {}", quoted(short_type(kind)))));
        }
        steps.push(command(" --format heapsnapshot -o heap.heapsnapshot"));
    }
    steps
}
