"""Stacks of code that runs in the middle of other code: see frames.py."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from typing import Any

from frames_record import alloc


class Dying:
    def __del__(self) -> None:
        alloc("__del__")


class Cycle(Dying):
    def __init__(self) -> None:
        self.itself = self


class Target:
    pass


def finalizers() -> None:
    Dying()
    dying = Dying()
    del dying
    dying = Dying()
    dying = None  # type: ignore[assignment]
    Cycle()
    gc.collect()
    target = Target()
    weakref.finalize(target, alloc, "weakref.finalize")
    reference = weakref.ref(target, lambda _: alloc("weakref callback"))
    del target
    assert reference() is None


def signals() -> None:
    """A timer's handler runs between two instructions of the loop that waits for it."""
    handled = []

    def handle(_number: int, _frame: Any) -> None:
        handled.append(alloc("signal handler"))

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    turns = 0
    while len(handled) < 5:
        turns += 1
        if turns % 3:
            turns += sum(range(3))
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def work(case: str) -> int:
    total = alloc(case + ", first line")
    for turn in range(3):
        total += turn + alloc(case + ", loop")
    return total + sum(alloc(case + ", generator") for _ in range(2))


def traced() -> None:
    """Tracing is on, and the trace function itself allocates once for each kind of event."""
    seen = set()

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        if frame.f_code is work.__code__ and event in ("line", "return") and event not in seen:
            seen.add(event)
            alloc("settrace: in the trace function, " + event)
        return trace

    def profile(frame: Any, event: str, _argument: Any) -> None:
        if frame.f_code is work.__code__ and event not in seen:
            seen.add(event)
            alloc("setprofile: in the profile function, " + event)

    sys.settrace(trace)
    work("settrace")
    sys.settrace(None)
    seen.clear()
    sys.setprofile(profile)
    work("setprofile")
    sys.setprofile(None)
    work("after tracing")
    threading.setprofile(lambda *_: None)
    thread = threading.Thread(target=work, args=("setprofile in a thread",))
    thread.start()
    thread.join()
    threading.setprofile(None)  # type: ignore[arg-type]


def run() -> None:
    finalizers()
    signals()
    traced()
