"""Generators that feed each other, and asyncio tasks that pass items through a queue."""

import asyncio
from collections.abc import Iterable, Iterator

import _cost


def numbers(count: int) -> Iterator[int]:
    for i in range(count):
        yield i * 17 % 4_099


def records(values: Iterable[int]) -> Iterator[dict[str, int]]:
    for value in values:
        yield {"value": value, "square": value * value}


def chosen(rows: Iterable[dict[str, int]]) -> Iterator[int]:
    for row in rows:
        if row["square"] % 3:
            yield row["value"]


async def produce(queue: "asyncio.Queue[int]", count: int) -> None:
    for i in range(count):
        await queue.put(i)
    await queue.put(-1)


async def consume(queue: "asyncio.Queue[int]") -> int:
    total = 0
    while True:
        item = await queue.get()
        if item < 0:
            return total
        total += item


async def pair(count: int) -> int:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=10)
    producer = asyncio.ensure_future(produce(queue, count))
    total = await consume(queue)
    await producer
    return total


async def tasks(count: int) -> int:
    return sum(await asyncio.gather(*(pair(count) for _ in range(50))))


def work(scale: float) -> int:
    total = sum(chosen(records(numbers(int(2_400_000 * scale)))))
    return total + asyncio.run(tasks(int(3_000 * scale)))


_cost.run(work)
