"""A program of named parts, each of which needs memory of known sizes; in blocks of 1 MiB, which are always recorded.

Run without deadweight it does the same and says the same. `tests/known_answers/regions.rs` knows the figures.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time

import deadweight

MIB = 1 << 20
kept: list[object] = []
SHARED = deadweight.region("shared")


def blocks(count: int) -> list[bytearray]:
    return [bytearray(MIB) for _ in range(count)]


def nested() -> None:
    with deadweight.region("outer"):
        kept.append(blocks(10))
        passing = blocks(20)
        del passing
        with deadweight.region("inner"):
            held = blocks(7)
        del held
    with deadweight.region("drop"):
        kept.clear()


def leaves_early() -> None:
    try:
        with deadweight.region("raises"):
            held = blocks(3)
            raise KeyError(len(held))
    except KeyError:
        pass


@deadweight.region("recursive")
def recursive(depth: int) -> int:
    held = blocks(1)
    return len(held) + (recursive(depth - 1) if depth else 0)


@deadweight.region("generator")
def generator():
    for number in range(3):
        held = blocks(2)
        got = yield number
        del held
        assert got == number
    return "returned"


def consume() -> None:
    running = generator()
    value = next(running)
    try:
        while True:
            other = blocks(9)
            del other
            value = running.send(value)
    except StopIteration as stop:
        assert stop.value == "returned"
    closed = generator()
    next(closed)
    closed.close()


def worker(name: str, count: int, barrier: threading.Barrier) -> None:
    barrier.wait()
    with deadweight.region(name), SHARED:
        held = blocks(count)
        barrier.wait()
        time.sleep(0.02)
    del held


def threads() -> None:
    barrier = threading.Barrier(3)
    running = [threading.Thread(target=worker, args=(f"thread {count}", count, barrier)) for count in (2, 4, 6)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


async def task(count: int) -> int:
    with deadweight.region(f"task {count}"):
        held = []
        for _ in range(count):
            held += blocks(1)
            await asyncio.sleep(0.001)
        return len(held)


async def child() -> None:
    held = blocks(4)
    await asyncio.sleep(0.001)
    del held


@deadweight.region("stream")
async def stream():
    for number in range(2):
        held = blocks(3)
        yield len(held) + number
        del held


@deadweight.region("coroutine")
async def coroutine() -> None:
    # Other variables of the context, so that ours is not alone.
    others = [contextvars.ContextVar(f"other {number}") for number in range(40)]
    for other in others:
        other.set(1)
    assert sum(await asyncio.gather(*(task(count) for count in (2, 3, 5)))) == 10
    with deadweight.region("creates tasks"):
        await asyncio.gather(*(child() for _ in range(3)))
    async for _ in stream():
        pass


def out_of_order() -> None:
    first, second = deadweight.region("first"), deadweight.region("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    held = blocks(2)
    second.__exit__(None, None, None)
    del held


def forked() -> None:
    with deadweight.region("around the fork"):
        pid = os.fork()
        if pid == 0:
            with deadweight.region("in the child"):
                held = blocks(5)
            os._exit(len(held))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5


def plain_function() -> int:
    held = blocks(8)
    return len(held)


class Loader:
    def load(self) -> list[bytearray]:
        return blocks(6)


def functions() -> None:
    for _ in range(3):
        plain_function()
        kept.append(Loader().load())
    kept.clear()


def main() -> None:
    nested()
    leaves_early()
    recursive(4)
    consume()
    threads()
    asyncio.run(coroutine())
    out_of_order()
    forked()
    functions()
    measured = deadweight.measure(plain_function)
    assert measured.result == 8 and measured.rss_increase >= 7 * MIB, measured
    for wrong in (1, Loader):
        try:
            deadweight.region("wrong")(wrong)
        except TypeError as error:
            assert "decorates functions" in str(error)
        else:
            raise AssertionError(wrong)
    with deadweight.region("left at the end"):
        kept.append(blocks(1))
        print("done", file=sys.stdout, flush=True)
        sys.exit(0)


if __name__ == "__main__":
    main()
