//! A Python process that tells the truth about itself, and its memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use deadweight_cpython::{Memory, Version};

/// `/proc/PID/mem`.
pub struct ProcessMemory(File);

impl Memory for ProcessMemory {
    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, addr).ok()?;
        Some(bytes)
    }

    fn read_into(&self, addr: u64, out: &mut [u8]) -> bool {
        self.0.read_exact_at(out, addr).is_ok()
    }
}

/// A frame as `sys._getframe` shows it.
pub struct TrueFrame {
    pub code: u64,
    pub lasti: i32,
}

/// A code object as its attributes show it.
#[derive(Debug, PartialEq, Eq)]
pub struct TrueCode {
    pub first_line: i32,
    pub qualified_name: String,
    pub filename: String,
    pub line_table: Vec<u8>,
}

/// A place where the process waits to be read.
pub struct Stop {
    pub scenario: String,
    /// `pthread_self` of the thread that waits.
    pub thread: u64,
    /// Innermost first.
    pub frames: Vec<TrueFrame>,
}

/// A Python process that runs the files of `target/`.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub memory: ProcessMemory,
    /// `sys.version`.
    pub version_text: String,
    /// `sys.hexversion`.
    pub version_hex: u32,
    pub strings: Vec<(u64, String)>,
    pub bytes: Vec<(u64, Vec<u8>)>,
    /// Objects that are neither strings nor bytes.
    pub others: Vec<u64>,
    pub codes: HashMap<u64, TrueCode>,
    /// Lines about the heap, without their first word.
    pub heap: Vec<Vec<String>>,
}

impl Process {
    pub fn start(python: &Path, program: &str) -> Self {
        let mut child = Command::new(python)
            .args(["-I", "-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // By the first line the wrapper of a chroot, if any, has become the interpreter.
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        assert_eq!(
            words.first(),
            Some(&"version"),
            "first line of {}: {line:?}",
            python.display()
        );
        let memory = ProcessMemory(File::open(format!("/proc/{}/mem", child.id())).unwrap());
        Self {
            child,
            stdin,
            stdout,
            memory,
            version_text: text(words[1]),
            version_hex: number(words[2]) as u32,
            strings: Vec::new(),
            bytes: Vec::new(),
            others: Vec::new(),
            codes: HashMap::new(),
            heap: Vec::new(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn version(&self) -> Version {
        Version::parse(self.version_text.as_bytes()).unwrap()
    }

    /// Reads on until the process says that it stops, and waits until it does; `None` when it has ended.
    pub fn next_stop(&mut self) -> Option<Stop> {
        let stop = self.next_announced_stop();
        if stop.is_some() {
            self.wait_until_blocked();
        }
        stop
    }

    /// Waits until a thread is in the system call `read` on standard input: the announcement comes a little earlier.
    fn wait_until_blocked(&self) {
        let tasks = format!("/proc/{}/task", self.pid());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for task in std::fs::read_dir(&tasks).unwrap() {
                // The number of the call, then its first argument; a thread may just have ended.
                let call = std::fs::read_to_string(task.unwrap().path().join("syscall")).unwrap_or_default();
                if call.starts_with("0 0x0 ") {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "the process announced a stop and runs on");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Reads on until the process says that it is about to stop, or busy.
    pub fn next_announced_stop(&mut self) -> Option<Stop> {
        let mut frames = Vec::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                let status = self.child.wait().unwrap();
                assert!(status.success(), "the interpreter ended with {status}");
                return None;
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["string", id, value] => self.strings.push((number(id), text(value))),
                ["bytes", id, value] => self.bytes.push((number(id), unhex(value))),
                ["heap", ref rest @ ..] => self.heap.push(rest.iter().map(ToString::to_string).collect()),
                ["other", id] => self.others.push(number(id)),
                ["code", id, first_line, name, filename, table] => {
                    let code = TrueCode {
                        first_line: first_line.parse().unwrap(),
                        qualified_name: text(name),
                        filename: text(filename),
                        line_table: unhex(table),
                    };
                    self.codes.insert(number(id), code);
                }
                ["frame", code, lasti] => {
                    frames.push(TrueFrame {
                        code: number(code),
                        lasti: lasti.parse().unwrap(),
                    });
                }
                ["stop", ref scenario @ .., thread] => {
                    return Some(Stop {
                        scenario: scenario.join(" "),
                        thread: number(thread),
                        frames,
                    });
                }
                _ => panic!("a line of the process is not understood: {line:?}"),
            }
        }
    }

    /// Lets the process run on to its next stop.
    pub fn go_on(&mut self) {
        self.stdin.write_all(b"x").unwrap();
        self.stdin.flush().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn number(word: &str) -> u64 {
    word.parse().unwrap()
}

pub fn text(word: &str) -> String {
    String::from_utf8(unhex(word)).unwrap()
}

fn unhex(word: &str) -> Vec<u8> {
    if word == "-" {
        return Vec::new();
    }
    let digits = word.as_bytes();
    assert_eq!(digits.len() % 2, 0);
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
