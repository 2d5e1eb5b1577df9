//! The live line, on a real terminal (a pty that Python makes), and its absence elsewhere.

use crate::session::{DEADWEIGHT, Session, output, python, text};

/// Runs a command on a terminal of 24 rows and prints what the terminal was sent.
const TERMINAL: &str = "import os, pty, sys, struct, fcntl, termios
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'xterm'
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
os.waitpid(pid, 0)
";

const DOTS: &str = "import sys, time
for _ in range(70):
    sys.stdout.write('.'); sys.stdout.flush(); time.sleep(0.1)
print('done')";

fn on_terminal(session: &Session, program: &str) -> String {
    session.write("terminal.py", TERMINAL);
    session.write("program.py", program);
    let mut command = session.command(python());
    command.arg("terminal.py").args([
        DEADWEIGHT,
        "watch",
        "-o",
        "w.dw",
        "--",
        python().to_str().unwrap(),
        "program.py",
    ]);
    text(&output(&mut command).stdout)
}

#[test]
fn a_long_run_has_a_line_and_the_terminal_is_as_before() {
    let session = Session::new();
    let sent = on_terminal(&session, DOTS);
    let (take, give) = ("\x1b[1;23r", "\x1b[24;1H\x1b[2K\x1b[r\x1b8");
    assert_eq!(sent.matches(take).count(), 1, "{sent:?}");
    assert_eq!(sent.matches(give).count(), 1, "{sent:?}");
    assert!(sent.find(take) < sent.find(give));
    let line = sent.split("\x1b[7m").nth(1).unwrap_or_default();
    for words in ["deadweight: ", " MiB now, ", " peak, ", "1 process, "] {
        assert!(line.contains(words), "{words}: {sent:?}");
    }
    // Whatever stands between the program's dots moves the cursor back to where it was: saved and restored.
    assert_eq!(sent.matches("\x1b7").count(), sent.matches("\x1b8").count());
    let before = sent.split("done").next().unwrap_or_default();
    assert_eq!(without_line(before).matches('.').count(), 70, "{sent:?}");
}

/// What the program itself has sent.
fn without_line(sent: &str) -> String {
    let mut parts = sent.split("\x1b[7m");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once("\x1b[0m").map_or("", |(_, rest)| rest)
    })
}

#[test]
fn a_program_that_reads_single_keys_is_left_alone() {
    let session = Session::new();
    let raw = format!("import tty\ntty.setcbreak(0)\n{DOTS}");
    let sent = on_terminal(&session, &raw);
    assert!(!sent.contains("\x1b[1;23r") && sent.contains("done"), "{sent:?}");
}

#[test]
fn without_a_terminal_there_is_no_line() {
    let session = Session::new();
    session.write("program.py", DOTS);
    let done = output(&mut session.deadweight(["watch", "--", python().to_str().unwrap(), "program.py"]));
    assert!(!text(&done.stderr).contains('\x1b'));
}
