"""The program whose heap is measured: it makes objects, and then does what its variant is about (see README.md).

    python heap_program.py OBJECTS ACTION [--no-gc] [--ballast MIB]

It speaks with ``heap_run.py`` through the folder BENCH_FOLDER: it makes ``ready`` when the heap is whole, ends its loop
once there is ``stop``, and keeps ``note.json`` up to date with what it has measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Iterable

#: Objects that a record is made of, the record and its share of lists included.
OBJECTS_PER_RECORD = 7

#: Native memory that the heap holds: the block of an array, and the pages of a database in memory; each so large.
NATIVE_BYTES = 8 << 20

#: Gaps in the loop below this are not noted, in seconds.
LEAST_GAP = 0.0002

#: Forks of the plain program, one after the other.
FORKS = 3

#: The loop runs so long before anything happens: its longest gap then is the machine's noise. Seconds.
QUIET = 0.5

_BALLAST_STEP = 256 << 10


class Record:
    """What a program keeps many of: an instance with a number, a name, a weight, a list and a dictionary."""

    def __init__(self, number: int) -> None:
        self.number = number + 1000
        self.name = f"record {number}"
        self.weight = number * 0.5
        self.tags = [self.name, "tag"]
        self.more = {"share": number / 3.0}
        self.next: Record | None = None


class Heap:
    """The records, and native memory behind two small objects."""

    def __init__(self, objects: int) -> None:
        import numpy  # is only where the program runs, and not where its constants are read

        self.records = [Record(number) for number in range(objects // OBJECTS_PER_RECORD)]
        for number in range(0, len(self.records) - 1, 10):
            # One in five is in a cycle with its neighbour.
            one, other = self.records[number : number + 2]
            one.next, other.next = other, one
        # One in a hundred is garbage that only the collector could free.
        self.records = [record for number, record in enumerate(self.records) if number % 200 >= 2]
        self.array = numpy.ones(NATIVE_BYTES, dtype=numpy.uint8)
        self.database = sqlite3.connect(":memory:")
        self.database.execute("create table pages (page blob)")
        for _ in range(NATIVE_BYTES >> 16):
            self.database.execute("insert into pages values (zeroblob(65536))")


class Note:
    """What was measured, in a file that is whole after each change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {"pid": os.getpid()}

    def write(self, **facts: Any) -> None:
        self.facts.update(facts)
        part = self.folder / "note.part"
        part.write_text(json.dumps(self.facts))
        part.replace(self.folder / "note.json")


def status_kib(name: str) -> int:
    """A figure of this process's memory: ``VmRSS``, ``VmHWM``."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith(name + ":")), 0)


def begin_peak_anew() -> int:
    """Lets VmHWM begin at what is resident now, and returns that, in KiB."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return status_kib("VmRSS")


class Loop:
    """A loop that looks at the clock and makes a small object, as a program at work does. It notes where the clock
    jumped: there the program stood still."""

    def __init__(self) -> None:
        self.gaps: list[tuple[float, float]] = []
        self.ballast: list[bytes] = []

    def run(self, seconds: float, stop: Path | None = None, ballast: int = 0) -> int:
        """Runs until `stop` exists, or for some seconds. Meanwhile takes `ballast` bytes in small steps. Returns how
        many were not taken."""
        clock, exists = time.monotonic, os.path.exists
        until = clock() + seconds
        path = str(stop) if stop else ""
        left = ballast // _BALLAST_STEP
        next_step = next_look = 0.0
        last = clock()
        while True:
            now = clock()
            if now - last > LEAST_GAP:
                self.gaps.append((last, now - last))
            last = now
            bytes(2000)
            if left and now > next_step:
                self.ballast.append(b"x" * _BALLAST_STEP)
                left -= 1
                next_step = now + 0.0005
            if now > next_look:
                if now > until or (path and exists(path)):
                    return left * _BALLAST_STEP
                # C code that calls Python: where PyHeap's breakpoint is.
                max((0.02,), key=lambda seconds: seconds)
                next_look = now + 0.02

    def longest(self) -> float:
        """The longest gap, in seconds."""
        return max((length for _, length in self.gaps), default=0.0)


def fork_once() -> float:
    """Seconds that a bare ``os.fork()`` takes in the parent."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0)
    seconds = time.monotonic() - start
    os.waitpid(child, 0)
    return seconds


def watch(note: Note, ballast: int, forks: bool) -> None:
    """Loops, and either forks by itself or waits for what others do to it."""
    loop = Loop()
    loop.run(QUIET)
    note.write(noise_s=loop.longest())
    loop.gaps.clear()
    if not forks:
        note.write(ready_monotonic=time.monotonic())
        (note.folder / "ready").touch()
        left = loop.run(3600.0, note.folder / "stop", ballast)
        note.write(gaps=loop.gaps)
        # All of it, as in the plain program, for the sake of the peak.
        loop.ballast.append(b"x" * left)
        return
    loop.ballast.append(b"x" * ballast)
    loop.run(0.1)
    note.write(forks_s=[fork_once() for _ in range(FORKS)])


def in_process(note: Note, operations: Iterable[tuple[str, Any]]) -> None:
    """Runs a peer's operations, each with its time and the growth of this process's peak."""
    done: list[dict[str, Any]] = []
    for name, operation in operations:
        before = begin_peak_anew()
        start = time.monotonic()
        result = operation()
        seconds = time.monotonic() - start
        done.append(
            {"name": name, "seconds": seconds, "growth_kib": status_kib("VmHWM") - before, "result": str(result)[:200]}
        )
        note.write(operations=done)


def main() -> None:
    """Makes the heap, and goes on as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("objects", type=int)
    parser.add_argument("action")
    parser.add_argument("--no-gc", action="store_true")
    parser.add_argument("--ballast", type=int, default=0, metavar="MIB")
    options = parser.parse_args()
    note = Note(Path(os.environ["BENCH_FOLDER"]))
    if options.no_gc:
        gc.disable()
    note.write()
    start = time.monotonic()
    globals()["HEAP"] = Heap(options.objects)
    note.write(build_s=time.monotonic() - start, rss_kib=status_kib("VmRSS"))
    if options.action in ("fork", "watch", "dump"):
        if options.action == "dump":
            note.write(rss_kib=begin_peak_anew())
        watch(note, options.ballast << 20, forks=options.action == "fork")
        note.write(peak_kib=status_kib("VmHWM"))
    else:
        import heap_peers

        in_process(note, heap_peers.operations(options.action, globals()["HEAP"]))
    note.write(complete=True)
    # Taking millions of objects apart is not what is measured.
    os._exit(0)


if __name__ == "__main__":
    main()
