//! Programs that the kernel kills because memory ran out, in control groups with a real limit of 300 MiB.

use deadweight_capture::StackId;
use deadweight_capture::manifest::{Exit, ExitKind, Manifest};
use deadweight_capture::timeline::Timeline;

use crate::group::{Group, View};
use crate::pythons::{Findings, Python, each_of_ends};
use crate::recording::{Mode, Recording, around, folder, function};
use crate::skips::skip;
use crate::started::{DEADWEIGHT, Started, command, own_program, run};

const LIMIT: u64 = 300 << 20;
const MIB: u64 = 1 << 20;

/// What is known of a run afterwards.
struct Seen {
    recording: Recording,
    manifest: Manifest,
    timeline: Timeline,
    /// What `deadweight report` says, as a reader sees it: in one line.
    text: String,
}

impl Seen {
    /// The last number that the program said after a word.
    fn said(&self, word: &str) -> Option<u64> {
        let lines = self.recording.ended.out.lines().rev();
        lines
            .filter_map(|line| line.strip_prefix(word)?.trim().parse().ok())
            .next()
    }

    /// Bytes at the peak that a process has from a function.
    fn live_in(&self, name: &str, pid: Option<u32>) -> u64 {
        let processes = self.recording.analysis.processes.iter();
        let processes = processes.filter(|process| pid.is_none_or(|pid| process.id.pid == pid));
        processes
            .flat_map(|process| {
                let stacks = (0..).map(StackId).zip(&process.amounts);
                let of_function = stacks.filter(|(stack, _)| function(&process.stacks, *stack) == name);
                of_function.map(|(_, amounts)| amounts.peak.bytes)
            })
            .sum()
    }
}

fn see(python: &Python, group: Option<&Group>, view: View, way: &str) -> Result<Seen, String> {
    let folder = folder();
    let mut inner = around(python, Mode::Sampled(1), folder.path());
    inner.arg(own_program("out_of_memory")).arg(way);
    let mut whole = group.map_or(inner_copy(&inner), |group| group.run(view, &inner));
    let ended = Started::new(&mut whole).end()?;
    let capture = folder.path().join("c.dw");
    let manifest = Manifest::read(&capture).map_err(|error| format!("{error}; {ended:?}"))?;
    let timeline = Timeline::read(&capture).map_err(|error| error.to_string())?;
    let mut report = command(DEADWEIGHT, folder.path());
    let report = run(report.args(["report", "c.dw"]))?;
    Ok(Seen {
        text: report.out.split_whitespace().collect::<Vec<_>>().join(" "),
        recording: Recording::read(ended, folder)?,
        manifest,
        timeline: timeline.ok_or("there is no timeline")?,
    })
}

fn inner_copy(command: &std::process::Command) -> std::process::Command {
    let mut copy = std::process::Command::new(command.get_program());
    copy.args(command.get_args()).env_clear();
    copy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    copy.current_dir(command.get_current_dir().expect("it has a folder"));
    copy.stdin(std::process::Stdio::null());
    copy
}

/// A group, or the reason why there is none, said aloud.
fn group(test: &str) -> Option<Group> {
    Group::with_limit(LIMIT).map_err(|reason| skip(test, &reason)).ok()
}

fn check_kill(exit: &Exit, findings: &mut Findings, what: &str) {
    let expected = (ExitKind::OomKilled, Some(9), Some(LIMIT), Some("cgroup"));
    let found = (exit.kind, exit.signal, exit.limit_bytes, exit.limit_kind.as_deref());
    findings.check(found == expected, || format!("{what}: ended by {exit:?}"));
}

/// Whether two figures differ by less than 2 % and one block.
fn is_near(found: u64, truth: u64) -> bool {
    found.abs_diff(truth) <= truth / 50 + MIB
}

/// Checks one way to die in the started program itself.
fn check_single(python: &Python, view: View, way: &str, findings: &mut Findings) -> Option<Seen> {
    let group = group(way)?;
    let what = format!("{way} as seen from {view:?}");
    let seen = findings.take(&what, see(python, Some(&group), view, way))?;
    check_kill(&seen.manifest.exit.clone().unwrap_or_default(), findings, &what);
    let evidence = seen.manifest.exit.as_ref().and_then(|exit| exit.evidence.clone());
    findings.detail.push_str(&format!(" {what}: {evidence:?};"));
    let killed = "was killed because memory ran out: it reached the limit of 300 MiB of its container or job";
    findings.check(seen.text.contains(killed), || format!("{what}: {}", seen.text));
    let highest = seen.timeline.peak().map_or(0, |point| point.total);
    let limit = seen.timeline.limits.last().and_then(|limit| limit.bytes);
    findings.check(limit == Some(LIMIT), || {
        format!("{what}: the timeline's limit is {limit:?}")
    });
    // Growing takes a fraction of a second, so polls miss the last part.
    let least = if way == "near" { 230 * MIB } else { 20 * MIB };
    findings.check((least..LIMIT + 30 * MIB).contains(&highest), || {
        format!("{what}: the timeline's highest point is {highest}")
    });
    Some(seen)
}

#[test]
fn a_program_that_grows_until_it_is_killed_is_explained() {
    each_of_ends("out of memory", |python, findings| {
        for view in [View::Host, View::Namespace, View::Bind] {
            let Some(seen) = check_single(python, view, "single", findings) else {
                continue;
            };
            let (found, truth) = (seen.live_in("grow", None), seen.said("held").unwrap_or(0));
            findings.check(truth > 200 * MIB && is_near(found, truth), || {
                format!("{view:?}: {found} bytes in grow at death, the program said {truth}")
            });
            let heap = seen.recording.analysis.peak.heap.bytes;
            findings.check(heap > LIMIT * 9 / 10 && heap < LIMIT, || {
                format!("{view:?}: {heap} bytes of heap at death, of a limit of {LIMIT}")
            });
        }
    });
}

#[test]
fn a_program_that_was_near_its_limit_for_a_while_is_explained() {
    each_of_ends("near the limit", |python, findings| {
        let Some(seen) = check_single(python, View::Host, "near", findings) else {
            return;
        };
        let truth = seen.said("held").unwrap_or(0) + 240 * MIB;
        let found = seen.live_in("grow", None);
        findings.check(is_near(found, truth), || {
            format!("{found} bytes in grow at death, the program said {truth}")
        });
        let high = seen
            .timeline
            .points
            .iter()
            .filter(|point| point.total > 230 * MIB)
            .count();
        findings.check(high >= 20, || {
            format!("only {high} points of three seconds near the limit")
        });
    });
}

#[test]
fn memory_that_one_call_takes_is_explained() {
    each_of_ends("one call", |python, findings| {
        if let Some(seen) = check_single(python, View::Host, "one_call", findings) {
            let found = seen.live_in("one_call", None);
            findings.check(is_near(found, 1024 * MIB), || {
                format!("{found} bytes in one_call at death, and it asked for 1 GiB")
            });
        }
        if let Some(seen) = check_single(python, View::Host, "many", findings) {
            let found = seen.live_in("many", None);
            findings.check((LIMIT * 85 / 100..LIMIT).contains(&found), || {
                format!("{found} bytes in many at death, of a limit of {LIMIT}")
            });
        }
    });
}

#[test]
fn a_garbage_cycle_that_grew_to_the_limit_is_named() {
    each_of_ends("cycle at the limit", |python, findings| {
        let Some(seen) = check_single(python, View::Host, "cycles", findings) else {
            return;
        };
        for words in ["of the peak was garbage", "Node.owner → Owner.node", "[cyclic_garbage]"] {
            findings.check(seen.text.contains(words), || format!("no {words:?}: {}", seen.text));
        }
        // The last snapshot was taken near the end: most of what was live was in it.
        let garbage = seen.text.split(" of the peak was garbage").next();
        let amount = garbage.and_then(|text| text.rsplit("! ").next()).unwrap_or_default();
        // "About" where events tell how it went on after the last snapshot.
        let mib = amount
            .trim_start_matches("About ")
            .strip_suffix(" MiB")
            .and_then(|number| number.parse::<f64>().ok());
        findings.check(mib.is_some_and(|mib| mib >= 150.0), || {
            format!("only {amount:?}: {}", seen.text)
        });
        findings.detail.push_str(&format!(" {amount} of garbage seen;"));
    });
}

/// The program whose child is killed. Now and then the kernel kills the parent as well, which faults in a page while what
/// the child had is still on its way back: then it is run again.
fn with_a_living_parent(python: &Python, view: View, findings: &mut Findings) -> Option<Seen> {
    for attempt in 1.. {
        let group = group("child")?;
        let seen = findings.take("child", see(python, Some(&group), view, "child"))?;
        let exit = seen.manifest.exit.clone().unwrap_or_default();
        if exit.kind != ExitKind::OomKilled || attempt == 3 {
            return Some(seen);
        }
        findings.detail.push_str(" the parent was killed as well;");
    }
    None
}

#[test]
fn a_child_that_is_killed_is_named_although_its_parent_goes_on() {
    each_of_ends("killed child", |python, findings| {
        if !python.has("_multiprocessing") {
            return;
        }
        for view in [View::Host, View::Bind] {
            let Some(seen) = with_a_living_parent(python, view, findings) else {
                continue;
            };
            let how = seen.manifest.exit.clone().unwrap_or_default();
            findings.check(how.kind == ExitKind::Ok && how.evidence.is_none(), || {
                format!("the parent ended by {how:?}")
            });
            let is_killed = |exit: &Exit| exit.kind == ExitKind::OomKilled;
            let killed: Vec<_> = seen
                .manifest
                .processes
                .iter()
                .filter(|process| is_killed(&process.exit))
                .collect();
            let [killed] = killed[..] else {
                findings.check(false, || format!("{} processes were killed", killed.len()));
                continue;
            };
            check_kill(&killed.exit, findings, "child");
            findings.detail.push_str(&format!(" {:?};", killed.exit.evidence));
            // The other worker said its id as well, and held 8 MiB.
            let workers = seen
                .recording
                .ended
                .out
                .matches(&format!("worker {}\n", killed.pid))
                .count();
            findings.check(workers == 1, || {
                format!("{} was killed; {}", killed.pid, seen.recording.ended.out)
            });
            let truth = seen.said("held").unwrap_or(0);
            let found = seen.live_in("grow", Some(killed.pid));
            findings.check(truth > 150 * MIB && is_near(found, truth), || {
                format!("{found} bytes in grow at death, the worker said {truth}")
            });
            let marks = seen.timeline.marks.iter();
            let marked = marks
                .filter(|mark| mark.what == "killed" && mark.pid == killed.pid)
                .count();
            findings.check(marked == 1, || format!("{marked} marks in the timeline"));
            for words in [
                "A child process, pid",
                "went on without it for",
                "in grow (",
                "limit of 300 MiB",
            ] {
                findings.check(seen.text.contains(words), || format!("no {words:?}: {}", seen.text));
            }
        }
    });
}

#[test]
fn a_memory_error_that_the_program_catches_is_no_death() {
    each_of_ends("caught", |python, findings| {
        let Some(seen) = findings.take("caught", see(python, None, View::Host, "caught")) else {
            return;
        };
        let exit = seen.manifest.exit.clone().unwrap_or_default();
        findings.check(exit.kind == ExitKind::Ok && seen.said("caught").is_some(), || {
            format!("ended by {exit:?}")
        });
        let limit = seen.manifest.processes.first().and_then(|process| process.rlimit_bytes);
        findings.check(limit == Some(1024 * MIB), || format!("the limit seen is {limit:?}"));
        let is_quiet = ["ran out", "MemoryError", "ulimit"]
            .iter()
            .all(|word| !seen.text.contains(word));
        findings.check(is_quiet, || seen.text.clone());

        let Some(seen) = findings.take("uncaught", see(python, None, View::Host, "uncaught")) else {
            return;
        };
        let exit = seen.manifest.exit.clone().unwrap_or_default();
        findings.check(exit.kind == ExitKind::Failed && exit.status == Some(1), || {
            format!("ended by {exit:?}")
        });
        findings.check(seen.text.contains("1.00 GiB"), || seen.text.clone());
    });
}

#[test]
fn a_sigkill_from_somebody_is_not_called_a_lack_of_memory() {
    each_of_ends("plain kill", |python, findings| {
        let Some(group) = group("plain kill") else { return };
        let folder = folder();
        let mut inner = around(python, Mode::Sampled(1), folder.path());
        inner.args([
            "-c",
            "import os; x = bytearray(b'x') * (200 << 20); os.kill(os.getpid(), 9)",
        ]);
        let ended = Started::new(&mut group.run(View::Host, &inner)).end();
        findings.take("plain kill", ended);
        let exit = Manifest::read(&folder.path().join("c.dw"))
            .ok()
            .and_then(|manifest| manifest.exit);
        let exit = exit.unwrap_or_default();
        findings.check(exit.kind == ExitKind::Signalled && exit.signal == Some(9), || {
            format!("ended by {exit:?}")
        });
    });
}
