"""Starts and stops tracemalloc in the middle, which swaps the interpreter's allocators under a profiler's feet.

Truth: `before`, `during` and `after` each keep 100,000 small `bytes` (lengths 200, 216 and 232) and one large block (20, 21
and 22 MiB). All are live at the end, which is the peak. A profiler may lose small objects made after `tracemalloc.stop()`, but then
says so; it loses no large block.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

from truth import MIB, bytes_size, malloc_size, say

COUNT = 100_000


def before() -> Any:
    small: list = [None] * COUNT
    for i in range(COUNT):
        small[i] = bytes(200)
    return small, bytearray(20 * MIB)


def during() -> Any:
    small: list = [None] * COUNT
    for i in range(COUNT):
        small[i] = bytes(216)
    return small, bytearray(21 * MIB)


def after() -> Any:
    small: list = [None] * COUNT
    for i in range(COUNT):
        small[i] = bytes(232)
    return small, bytearray(22 * MIB)


def main() -> None:
    kept = [before()]
    tracemalloc.start()
    kept.append(during())
    tracemalloc.stop()
    kept.append(after())
    for function, (small, large) in zip(("before", "during", "after"), kept):
        size = bytes_size(len(small[0]))
        say("kept", function=function, count=COUNT, size=size, list=8 * COUNT, large=malloc_size(len(large)))


if __name__ == "__main__":
    main()
