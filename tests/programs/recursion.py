"""Deep recursion with a block at each hundredth level.

Truth: `down` is 1,000 levels deep; levels 100, 200, ... 1000 hold 1 MiB and a page for each hundred, ten blocks, all live at
the bottom. The block of level N has N frames of `down` above `main`.
"""

from __future__ import annotations

import sys

from truth import MIB, malloc_size, say

DEPTH, STEP = 1_000, 100


def length_at(level: int) -> int:
    return MIB + 4096 * (level // STEP)


def down(level: int) -> int:
    block = bytearray(length_at(level)) if level % STEP == 0 else b""
    if level == DEPTH:
        return len(block)
    return down(level + 1) + len(block)


def main() -> None:
    sys.setrecursionlimit(DEPTH + 500)
    levels = range(STEP, DEPTH + 1, STEP)
    assert down(1) == sum(map(length_at, levels))
    for level in levels:
        say("block", size=malloc_size(length_at(level)), function="down", depth=level)
    held = sum(malloc_size(length_at(level)) for level in levels)
    say("peak", bytes=held, functions={"down": held})


if __name__ == "__main__":
    main()
