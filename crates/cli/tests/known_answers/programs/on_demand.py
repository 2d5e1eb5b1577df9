"""Programs that are asked for a snapshot from outside. Each prints `ready`, and its process id, when it may be asked.

The first argument says which one; they end by themselves.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import deadweight

MIB = 1024 * 1024


class Held:
    def __init__(self) -> None:
        self.me = self


def ready() -> None:
    print("ready %d" % os.getpid(), flush=True)


def work(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        bytearray(100_000)
        time.sleep(0.001)


def until_told(step) -> None:
    """Until there is a file `stop` in the current folder, and at most 15 seconds."""
    end = time.monotonic() + 15
    while not os.path.exists("stop") and time.monotonic() < end:
        step()


def working() -> None:
    held = [Held() for _ in range(1000)]
    ready()
    until_told(lambda: work(0.01))
    print(len(held))


def idle() -> None:
    """Sleeps in one call, and works only later."""
    ready()
    time.sleep(1.8)
    work(0.3)


def waiting() -> None:
    """The main thread waits in C while another one makes objects."""

    def make(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            [float(number) for number in range(20_000)]

    thread = threading.Thread(target=make, args=(3,))
    thread.start()
    ready()
    thread.join()


def native() -> None:
    """The main thread waits in C, and another one takes memory now and then, but makes next to no objects."""
    import ctypes

    malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
    malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

    def take() -> None:
        for _ in range(12):
            free(malloc(2 * MIB))
            time.sleep(0.15)

    thread = threading.Thread(target=take)
    thread.start()
    ready()
    thread.join()


def ending() -> None:
    """Ends without having done anything."""
    ready()
    time.sleep(1)
    os._exit(3)


def growing() -> None:
    """A snapshot that was asked for while the heap is small, and then a growing heap."""
    print(deadweight.snapshot("small"), flush=True)
    ready()
    until_told(lambda: work(0.01))
    kept = []
    for _ in range(6):
        have = len(kept) * 16 * MIB
        while len(kept) * 16 * MIB < have * 1.3 + 40 * MIB:
            kept.append(bytearray(b"x") * (16 * MIB))
        work(0.3)
    print(deadweight.snapshot("large"))


class Finalized:
    answer = None

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Finalized.answer = deadweight.snapshot("in the collector")


def calling() -> None:
    """Calls from everywhere."""
    import gc

    print("main", deadweight.snapshot("main"))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(deadweight.snapshot("thread")))
    thread.start()
    thread.join()
    print("thread", *answers)
    Finalized()
    begin = time.monotonic()
    gc.collect()
    print("collector", Finalized.answer, time.monotonic() - begin < 5)
    print("strange", deadweight.snapshot("\udc80 \u20ac"), deadweight.snapshot(17), deadweight.snapshot("x" * 5000))  # type: ignore[arg-type]
    child = os.fork()
    if child == 0:
        os._exit(0 if deadweight.snapshot("child") else 1)
    print("child", os.waitpid(child, 0)[1])


def outside() -> None:
    assert deadweight.snapshot("nothing") is False
    assert "ctypes" not in sys.modules
    os.environ["DEADWEIGHT_CAPTURE"] = "/nowhere"
    assert deadweight.snapshot("nothing") is False
    print("fine")


if __name__ == "__main__":
    {name: globals()[name] for name in sys.argv[1:]}[sys.argv[1]]()
