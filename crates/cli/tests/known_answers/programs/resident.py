"""What resident memory is made of: one scenario at a time, each held for a second so that it can be looked at.

`resident.py SCENARIO` states, as the kernel tells it in /proc/self/smaps_rollup, the resident memory while it holds, and
what of it the scenario made.
"""

from __future__ import annotations

import gc
import mmap
import os
import sys
import tempfile
import threading
import time
from typing import Any

# What the known-answer programs share lies with those that run without arguments.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 5, "tests", "programs"))

from truth import MIB, say  # noqa: E402

PAGE = mmap.PAGESIZE


def rollup(key: str) -> int:
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def hold(**made: Any) -> None:
    say("resident", pid=os.getpid(), rss=rollup("Rss"), **made)
    time.sleep(2.5)


def touch(place: mmap.mmap, length: int) -> None:
    for at in range(0, length, PAGE):
        place[at] = 1


def anonymous(length: int) -> mmap.mmap:
    return mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def touched() -> None:
    """80 of 300 MiB of a mapping are touched, a block of 120 MiB comes from calloc and is not, and one of 60 MiB is."""
    place = anonymous(300 * MIB)
    touch(place, 80 * MIB)
    untouched = bytes(120 * MIB)
    block = bytearray(60 * MIB)
    hold(native_blocks=80 * MIB, python_objects=60 * MIB, lengths=len(untouched) + len(block))


def file() -> None:
    """A file of 90 MiB is mapped and read."""
    with tempfile.NamedTemporaryFile() as made:
        for _ in range(90):
            made.write(b"x" * MIB)
        made.flush()
        with mmap.mmap(made.fileno(), 0, access=mmap.ACCESS_READ) as place:
            total = sum(place[at] for at in range(0, len(place), PAGE))
            hold(file_backed=90 * MIB, path=made.name, total=total)


def arenas() -> None:
    """10,000 of 700,000 small objects stay, spread over all of pymalloc's arenas."""
    objects = [(i, i) for i in range(700_000)]
    time.sleep(0.4)  # a peak that can be looked at
    kept = objects[:: len(objects) // 10_000]
    objects.clear()
    del objects
    gc.collect()
    hold(kept=len(kept))


def threads() -> None:
    """Four threads have made and dropped 30 MiB each in blocks of 2 KiB, and each has kept a block at the end of its arena."""
    kept: list[bytes] = []
    ready = threading.Barrier(5)
    done = threading.Event()

    def work() -> None:
        blocks = [bytes(2000) for _ in range(15_000)]
        kept.append(bytes(2000))
        ready.wait()
        del blocks
        ready.wait()
        done.wait()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    ready.wait()
    ready.wait()
    hold()
    done.set()
    for worker in workers:
        worker.join()


def shared() -> None:
    """Two children map the 80 MiB of shared memory that their parent made: they count once."""
    place = mmap.mmap(-1, 80 * MIB)
    touch(place, 80 * MIB)
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            sum(place[at] for at in range(0, 80 * MIB, PAGE))
            time.sleep(3)
            os._exit(0)
        children.append(child)
    time.sleep(0.3)
    hold(shared_memory=80 * MIB, processes=3)
    for child in children:
        os.waitpid(child, 0)


def copies() -> None:
    """A forked child writes to the 60 MiB of small objects that it inherited: that is no slack."""
    objects = [[i] for i in range(500_000)]
    child = os.fork()
    if child == 0:
        for one in objects:
            one[0] += 1
        time.sleep(3)
        os._exit(0)
    time.sleep(0.5)
    hold(processes=2)
    os.waitpid(child, 0)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
