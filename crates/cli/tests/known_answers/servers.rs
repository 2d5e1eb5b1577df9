//! A snapshot of real servers under load, taken on demand: no request fails, and none waits for long.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use deadweight_capture::read::Capture;
use deadweight_heap::{Cause, analyse_heap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::packages;
use crate::pythons::{Findings, Python, each_of_ends};
use crate::recording::folder;
use crate::started::{DEADWEIGHT, Started, command, own_program, run};

/// Clients at a time, and what each waits between two requests.
const CLIENTS: u32 = 4;
const BREATH: Duration = Duration::from_millis(4);
/// What the snapshot must not make a request wait for. The pause is milliseconds; this machine may be busy.
const LONGEST: Duration = Duration::from_secs(2);
/// The server holds at least so much.
const LEAST_BYTES: u64 = 100 << 20;

/// A request: when it began and how long it took, or why it failed.
struct Request {
    began: Instant,
    took: Duration,
    failure: Option<String>,
}

fn get(port: u16, number: u32) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(text)?;
    let request = format!("GET /{number} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    let is_whole = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200");
    if is_whole && answer.ends_with("]}]") {
        Ok(())
    } else {
        Err(format!("a wrong answer: {:?}", answer.get(..200).unwrap_or(&answer)))
    }
}

fn ask_until(stop: &AtomicBool, port: u16, client: u32) -> Vec<Request> {
    let mut requests = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let failure = get(port, client * 100_000 + requests.len() as u32).err();
        requests.push(Request {
            began,
            took: began.elapsed(),
            failure,
        });
        sleep(BREATH);
    }
    requests
}

fn longest<'a>(requests: impl Iterator<Item = &'a Request>) -> Duration {
    requests.map(|request| request.took).max().unwrap_or_default()
}

fn try_server(python: &Python, kind: &str, findings: &mut Findings) -> Result<(), String> {
    let Some(installed) = packages::folder(python, &[kind])? else {
        return Ok(());
    };
    let folder = folder();
    let here = folder.path();
    let mut server = command(DEADWEIGHT, here);
    server
        .args(["run", "-q", "-o", "c.dw", "--", &python.path])
        .arg(own_program("servers"))
        .arg(kind);
    let mut server = Started::new(server.env("PYTHONPATH", installed));
    server.await_output("\n")?;
    let printed = server.printed();
    let numbers: Vec<u32> = printed
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [pid, port] = numbers[..] else {
        return Err(format!("it is not ready: {printed}"));
    };
    let port = u16::try_from(port).map_err(|error| error.to_string())?;
    let stop = AtomicBool::new(false);
    let (requests, asked, begin, end) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let stop = &stop;
                    move || ask_until(stop, port, client)
                })
            })
            .collect();
        sleep(Duration::from_secs(1));
        let begin = Instant::now();
        let asked = run(command(DEADWEIGHT, here).args(["snapshot", &pid.to_string()]));
        let end = Instant::now();
        sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        let requests: Vec<Request> = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .collect();
        (requests, asked, begin, end)
    });
    kill(Pid::from_raw(pid as i32), Signal::SIGINT).map_err(|error| error.to_string())?;
    let ended = server.end()?;
    findings.check(ended.how() == "exit 0", || format!("{kind}: {ended:?}"));
    let asked = asked?;
    findings.check(asked.status.success(), || format!("{kind}: {asked:?}"));
    let failures: Vec<&String> = requests.iter().filter_map(|request| request.failure.as_ref()).collect();
    findings.check(failures.is_empty() && requests.len() > 100, || {
        format!(
            "{kind}: {} of {} requests failed: {:?}",
            failures.len(),
            requests.len(),
            failures.first()
        )
    });
    let during = || {
        requests
            .iter()
            .filter(|request| request.began + request.took > begin && request.began < end)
    };
    findings.check(longest(during()) < LONGEST, || {
        format!("{kind}: a request took {:?}", longest(during()))
    });
    let capture = Capture::open(&here.join("c.dw")).map_err(|error| error.to_string())?;
    let mut answers = Vec::new();
    for files in capture.heaps() {
        answers.push(analyse_heap(files).map_err(|error| error.to_string())?);
    }
    // Others are automatic.
    let asked = answers.into_iter().find(|answer| answer.cause == Cause::Asked);
    let answer = asked.ok_or("there is no snapshot that was asked for")?;
    let whole = answer.complete && (LEAST_BYTES..10 * LEAST_BYTES).contains(&answer.all.python_bytes);
    let rows = answer
        .types
        .iter()
        .find(|of| of.type_name == "__main__.Row")
        .map(|of| of.objects);
    findings.check(whole && rows == Some(600_000), || {
        format!("{kind}: {rows:?} rows, {:?}", answer.all)
    });
    findings.check(answer.garbage.objects < 10_000, || {
        format!("{kind}: live rows are garbage: {:?}", answer.garbage)
    });
    let mut times: Vec<Duration> = requests.iter().map(|request| request.took).collect();
    times.sort_unstable();
    let before = requests.iter().filter(|request| request.began + request.took < begin);
    findings.detail += &format!(
        "; {kind}: {} requests, {} failed, median {:.1} ms, longest before {:.1} ms, while the snapshot was taken and written \
         ({} requests, {:.2} s) {:.1} ms, pause {:.1} ms, {} objects, {} MiB",
        requests.len(),
        failures.len(),
        millis(times[times.len() / 2]),
        millis(longest(before)),
        during().count(),
        (end - begin).as_secs_f64(),
        millis(longest(during())),
        answer.pause_nanos.unwrap_or(0) as f64 / 1e6,
        answer.all.objects,
        answer.all.python_bytes >> 20
    );
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[test]
fn a_server_under_load_answers_every_request_while_a_snapshot_is_taken() {
    each_of_ends("servers", |python, findings| {
        for kind in ["aiohttp", "flask"] {
            let tried = try_server(python, kind, findings);
            findings.take(kind, tried);
        }
    });
}
