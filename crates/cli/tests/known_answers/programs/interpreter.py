"""Programs about the interpreter and its threads, by name: what each prints must be the same under a profiler."""

import gc
import os
import random
import resource
import signal
import sys
import threading
import time

MIB = 1024 * 1024


def threads() -> None:
    barrier = threading.Barrier(5)

    def work() -> None:
        kept = [bytes(100) for _ in range(20_000)]
        barrier.wait()
        barrier.wait()
        del kept

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    barrier.wait()
    print(threading.active_count(), "threads,", len(os.listdir("/proc/self/task")), "native")
    barrier.wait()
    for worker in workers:
        worker.join()
    print(threading.active_count(), [thread.name for thread in threading.enumerate()])


def signals() -> None:
    count = []

    def handle(number, _frame) -> None:
        count.append((number, len(bytes(300_000))))

    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, handle)
        os.kill(os.getpid(), number)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        kept = [bytes(100) for _ in range(1_000)]
        del kept
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(count[:3], len(count) > 20)


def signal_settings() -> None:
    for number in sorted(signal.valid_signals()):
        print(int(number), signal.getsignal(number))
    print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending(), signal.set_wakeup_fd(-1))
    with open("/proc/self/status") as status:
        print([line for line in status if line.startswith(("Sig", "Shd")) and not line.startswith("SigQ")])


def attributes() -> None:
    print([(name, resource.getrlimit(getattr(resource, name))) for name in dir(resource) if name.startswith("RLIMIT_")])
    print(os.umask(0o22), os.nice(0), os.getcwd() == os.environ.get("PWD", os.getcwd()), os.sched_getaffinity(0))
    print(os.isatty(0), sys.argv, sys.flags, sys.executable, sys.path[1:])
    for name in ("oom_score_adj", "comm", "personality", "timerslack_ns", "coredump_filter"):
        try:
            with open("/proc/self/" + name) as file:
                print(name, file.read())
        except OSError as error:
            print(name, error.errno)
    ours = ("LD_PRELOAD", "DEADWEIGHT_")
    print(sorted((key, value) for key, value in os.environ.items() if not key.startswith(ours)))


def random_state() -> None:
    random.seed(7)
    print(random.random(), hash("text"), gc.isenabled(), gc.get_threshold(), sys.getswitchinterval(), gc.get_debug())
    print(sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(), sys.audit("nothing"), sys.flags)
    print([name for name in sys.modules if "deadweight" in name], threading.current_thread().name)


def recursion_error() -> None:
    deepest = [0]

    def down(level: int) -> int:
        deepest[0] = level
        return down(level + 1) + len(bytes(2_000))

    for limit in (1_000, 5_000):
        sys.setrecursionlimit(limit)
        try:
            down(0)
        except RecursionError as error:
            print(limit, deepest[0], error)


def deep_recursion_unhandled() -> None:
    def down(level: int) -> int:
        return down(level + 1) + 1

    down(0)


def memory_error() -> None:
    for size in (1 << 60, 1 << 62, sys.maxsize - 64):
        try:
            bytearray(size)
        except MemoryError as error:
            print("caught", repr(error))
    kept = [bytes(1000) for _ in range(10_000)]
    print(len(kept))


def memory_error_unhandled() -> None:
    bytearray(1 << 60)


def abort() -> None:
    kept = bytearray(3 * MIB)
    sys.stdout.write(f"{len(kept)}\n")
    sys.stdout.flush()
    os.abort()


def segmentation_fault() -> None:
    kept = bytearray(3 * MIB)
    print(len(kept), flush=True)
    import faulthandler

    faulthandler._sigsegv()


def traceback_after_fault() -> None:
    import faulthandler

    faulthandler.enable()
    abort()


def uncaught() -> None:
    def inner() -> None:
        raise ValueError("the program's own error")

    try:
        inner()
    except ValueError as error:
        raise RuntimeError("another") from error


def subinterpreters() -> None:
    code = "kept = [bytes(500) for _ in range(5_000)]; block = bytearray(9_000_001); assert len(kept) == 5_000"
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            print("none")
            return
    made = [interpreters.create() for _ in range(3)]
    for interpreter in made:
        print(interpreters.run_string(interpreter, code))
    for interpreter in made:
        interpreters.destroy(interpreter)
    print(len(interpreters.list_all()))


def subinterpreters_in_threads() -> None:
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            print("none")
            return
    done = []

    def work() -> None:
        interpreter = interpreters.create()
        interpreters.run_string(interpreter, "kept = [[bytes(500)] for _ in range(20_000)]")
        interpreters.destroy(interpreter)
        done.append(1)

    for _ in range(3):  # one after the other: before 3.12 the GIL is not the only thing they share
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    print(len(done))


def native_calls_in_threads() -> None:
    """libc's malloc, realloc and free, called without the GIL from several threads at once."""
    import ctypes

    libc = ctypes.CDLL(None)
    for function in (libc.malloc, libc.calloc, libc.realloc, libc.aligned_alloc, libc.memalign):
        function.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
    wrong = []

    def work() -> None:
        for size in range(1, 3_000, 7):
            block = libc.malloc(size)
            block = libc.realloc(block, size * 3)
            if libc.malloc_usable_size(block) < size * 3:
                wrong.append(size)
            libc.free(block)
            libc.free(libc.calloc(size, 3))
            aligned = libc.aligned_alloc(256, 256 * (1 + size % 5))
            if aligned % 256:
                wrong.append(size)
            libc.free(aligned)
            libc.free(None)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ctypes.set_errno(0)
    with_errno = ctypes.CDLL(None, use_errno=True)
    with_errno.malloc.restype = ctypes.c_void_p
    with_errno.malloc.argtypes = [ctypes.c_size_t]
    print(wrong, with_errno.malloc(1 << 62), ctypes.get_errno())


def errno_is_kept() -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.free.restype = None
    changed = 0
    for turn in range(3_000):
        ctypes.set_errno(71)
        libc.free(libc.malloc(1_000 + turn * 200))
        changed += ctypes.get_errno() != 71
    print(changed, "changes of errno")


def warnings_and_atexit() -> None:
    import atexit

    class Late:
        def __del__(self) -> None:
            os.write(1, b"late %d\n" % len(bytes(100_000)))

    atexit.register(lambda: os.write(1, b"atexit %d\n" % len(bytearray(2 * MIB))))
    globals()["late"] = Late()
    sys.exit("a message")


def daemon_threads_at_exit() -> None:
    def spin() -> None:
        while True:
            [bytes(100) for _ in range(1_000)]

    for _ in range(3):
        threading.Thread(target=spin, daemon=True).start()
    time.sleep(0.05)
    print("leaving")


def object_addresses_and_sizes() -> None:
    print([sys.getsizeof(value) for value in (b"x" * 100, [1] * 10, {1: 2}, "text", 1 << 70, object())])
    print(sys.getrefcount(object()), len(gc.get_objects()) > 1_000, gc.collect() >= 0)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
