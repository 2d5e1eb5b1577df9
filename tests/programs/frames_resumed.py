"""Stacks of code that stops and goes on, and of other threads: see frames.py."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Iterator

from frames_record import alloc

try:
    import greenlet
except ImportError:  # optional: not part of the standard library
    greenlet = None


def count(case: str) -> Iterator[int]:
    yield alloc(case + ", first")
    yield alloc(case + ", second")


def relay(case: str) -> Iterator[int]:
    yield alloc(case + ", relay")
    yield from count(case)


def talk() -> Iterator[int]:
    try:
        while True:
            alloc(f"generators: sent {(yield 1)}")
    except ValueError:
        yield alloc("generators: thrown into")
    finally:
        alloc("generators: closed")


def generators() -> None:
    list(count("generators: plain"))
    for _ in relay("generators: yield from"):
        pass
    first, second = count("generators: by turns"), count("generators: by turns")
    next(first), next(second), next(second), next(first)
    talker: Any = talk()
    next(talker), talker.send("a"), talker.send("b"), talker.throw(ValueError()), talker.close()
    sum(value for value in (alloc("generators: expression") for _ in range(2)))


async def leaf(case: str, turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
        alloc(case)
    return turns


async def branch(case: str) -> int:
    return await leaf(case, 2) + alloc(case + ", after")


async def ticks() -> AsyncIterator[int]:
    for _ in range(2):
        await asyncio.sleep(0)
        yield alloc("coroutines: async generator")


class Resource:
    async def __aenter__(self) -> int:
        return await leaf("coroutines: __aenter__", 1)

    async def __aexit__(self, *_: Any) -> None:
        alloc("coroutines: __aexit__")


async def coroutines() -> None:
    await branch("coroutines: nested")
    await asyncio.gather(*(branch(f"coroutines: gather {number}") for number in range(4)))
    async for _ in ticks():
        alloc("coroutines: async for")
    async with Resource():
        alloc("coroutines: async with")
    [tick async for tick in ticks()]
    await asyncio.get_running_loop().run_in_executor(None, alloc, "coroutines: executor")
    asyncio.get_running_loop().call_soon(alloc, "coroutines: call_soon")
    await asyncio.sleep(0)


def threads() -> None:
    def work(number: int) -> None:
        everyone.wait()
        for _ in range(3):
            sum(count(f"threads: {number}"))

    everyone = threading.Barrier(8)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: alloc(f"threads: pool {number}"), range(8)))


def greenlets() -> None:
    def ping() -> None:
        alloc("greenlets: ping")
        pong_greenlet.switch()
        alloc("greenlets: ping again")

    def pong() -> None:
        alloc("greenlets: pong")
        ping_greenlet.switch()

    ping_greenlet, pong_greenlet = greenlet.greenlet(ping), greenlet.greenlet(pong)
    ping_greenlet.switch()


def run() -> None:
    generators()
    asyncio.run(coroutines())
    threads()
    if greenlet is not None:
        greenlets()
