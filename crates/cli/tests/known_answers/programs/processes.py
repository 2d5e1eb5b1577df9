"""Programs about processes, by name: what each prints must be the same under a profiler."""

import os
import signal
import subprocess
import sys
import time

MIB = 1024 * 1024


def fill() -> None:
    """Allocates enough to need new files of a capture."""
    for _ in range(3):
        kept = [bytes(150) for _ in range(60_000)]
        del kept


def fork_and_wait_for_any() -> None:
    children = set()
    for status in range(4):
        pid = os.fork()
        if pid == 0:
            fill()
            os._exit(status)
        children.add(pid)
    seen = []
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        seen.append((pid in children, os.WEXITSTATUS(status)))
    print(sorted(seen))


def sigchld_count() -> None:
    count = [0]

    def handle(_number, _frame):
        count[0] += 1

    signal.signal(signal.SIGCHLD, handle)
    for _ in range(5):
        subprocess.run(["true"], check=True)
        fill()
    time.sleep(0.05)
    print(count[0], "SIGCHLD")


def os_exit() -> None:
    block = bytearray(5 * MIB)
    print(len(block), flush=True)
    os._exit(37)


def descriptors() -> None:
    fill()
    print(sorted(os.listdir("/proc/self/fd"), key=int))
    with open(os.devnull) as file:
        print(file.fileno())
    inherited = subprocess.run(["ls", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False, check=True)
    print(inherited.stdout)


def close_range() -> None:
    os.closerange(3, 1000)
    fill()
    with open(os.devnull) as file:
        print("first free descriptor", file.fileno())
    os.dup2(1, 9)
    fill()
    os.write(9, b"through 9\n")
    os.closerange(3, 1000)
    fill()


def no_preload_for_children() -> None:
    environment = {**os.environ, "LD_PRELOAD": ""}
    code = "print(sum(len(bytes(1000)) for _ in range(1000)))"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    fill()


def empty_environment() -> None:
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE')); raise SystemExit(4)"
    done = subprocess.run(["env", "-i", sys.executable, "-c", code], check=False)
    print(done.returncode)
    fill()


def many_subprocesses() -> None:
    for number in range(25):
        done = subprocess.run(["sh", "-c", f"echo {number}; exit {number}"], stdout=subprocess.PIPE, check=False)
        assert (done.returncode, done.stdout) == (number, b"%d\n" % number)
    missing = 0
    for _ in range(3):
        try:
            subprocess.run(["/no/such/program"], check=False)
        except FileNotFoundError as error:
            missing += error.errno == 2
    print(missing, "missing")


def exec_itself() -> None:
    turn = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    block = bytearray((10 + turn) * MIB)
    print("program", turn, os.getpid() > 0, len(block), flush=True)
    if turn < 5:
        os.execv(sys.executable, [sys.executable, os.path.abspath(__file__), "exec_itself", str(turn + 1)])
    sys.exit(5)


def daemon() -> None:
    """A double fork whose grandchild outlives the program for a moment."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            fill()
            os.write(write, b"the grandchild works")
            os._exit(0)
        os._exit(0)
    os.wait()
    print(os.read(read, 100))


def fork_in_a_thread() -> None:
    import threading

    def work() -> None:
        pid = os.fork()
        if pid == 0:
            fill()
            os._exit(6)
        print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))

    busy = threading.Event()
    noise = threading.Thread(target=lambda: [fill() for _ in range(10) if not busy.is_set()])
    noise.start()
    for _ in range(10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    busy.set()
    noise.join()


def os_spawn_and_system() -> None:
    print(os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "exit 3"]))
    print(os.WEXITSTATUS(os.system("exit 4")))
    with os.popen("echo popen") as pipe:
        print(pipe.read())
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 8"], os.environ)
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
