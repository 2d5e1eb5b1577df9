"""The work of the pool programs: four workers that hold blocks at the same time, under a given start method."""

from __future__ import annotations

import multiprocessing
import os
import time
from typing import Any

from truth import MIB, malloc_size, say

HOLD = 0.5
SIZES = [mib * MIB for mib in (24, 25, 26, 27)]
all_hold: Any = None


def set_up(barrier: Any) -> None:
    global all_hold
    all_hold = barrier


def hold(size: int) -> tuple[int, int]:
    """Allocates, waits until every worker has done so, and holds the block a little longer."""
    block = bytearray(size)
    all_hold.wait()
    time.sleep(HOLD)
    return os.getpid(), len(block)


def state(answers: list[tuple[int, int]], own: int) -> None:
    """States what each worker and the whole tree held."""
    assert len({pid for pid, _ in answers}) == len(SIZES), "one block for each worker"
    for pid, length in answers:
        size = malloc_size(length)
        say("process", role="worker", pid=pid, bytes=size, functions={"hold": size})
    say("process", role="parent", pid=os.getpid(), bytes=own, functions={"main": own})
    say("tree", workers=len(SIZES), peak=own + sum(map(malloc_size, SIZES)))


def main(method: str) -> None:
    mine = bytearray(10 * MIB)
    context = multiprocessing.get_context(method)
    barrier = context.Barrier(len(SIZES))
    with context.Pool(len(SIZES), set_up, (barrier,)) as pool:
        answers = pool.map(hold, SIZES, chunksize=1)
        pool.close()
        pool.join()
    state(answers, malloc_size(len(mine)))
