"""Suspended generators that keep their locals alive.

Truth: ten `produce` generators are suspended at the peak, each holding 1 to 10 MiB, allocated when `drain` first
advanced it through `relay` (a `yield from`).
"""

from __future__ import annotations

from typing import Iterator

from truth import MIB, malloc_size, say

SIZES = [mib * MIB for mib in range(1, 11)]


def produce(size: int) -> Iterator[int]:
    block = bytearray(size)
    yield 1
    yield len(block)


def relay(size: int) -> Iterator[int]:
    yield from produce(size)


def drain() -> None:
    suspended = [relay(size) for size in SIZES]
    for generator in suspended:
        assert next(generator) == 1
    assert [next(generator) for generator in suspended] == SIZES


if __name__ == "__main__":
    drain()
    held = sum(map(malloc_size, SIZES))
    say("peak", bytes=held, functions={"produce": held}, sizes=list(map(malloc_size, SIZES)))
