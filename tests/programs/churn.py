"""Many small objects, some kept and some dropped at once, for checking estimates.

Truth: `drop` allocates `rounds * per_round` blocks of one size and keeps only one round's at a time; the other
functions keep a known number of objects of a known size each, tracked header included. Free lists may hand out
up to a few thousand tuples without an allocation. Everything kept is live at the end of `main`, which is the peak.
"""

from __future__ import annotations

import sys

from truth import bytes_size, say

ROUNDS = 100
PER_ROUND = 20_000
KEPT = 200_000


class Point:
    """Three slots and no dict, so its size is the same everywhere."""

    __slots__ = ("x", "y", "z")


def drop() -> None:
    for _ in range(ROUNDS):
        held: list = [None] * PER_ROUND
        for i in range(PER_ROUND):
            held[i] = bytes(100)


def keep_bytes() -> list:
    held: list = [None] * KEPT
    for i in range(KEPT):
        held[i] = bytes(200)
    return held


def keep_tuples() -> list:
    held: list = [None] * KEPT
    for i in range(KEPT):
        held[i] = (held, i & 0xFF)
    return held


def keep_points() -> list:
    held: list = [None] * KEPT
    for i in range(KEPT):
        held[i] = Point()
    return held


def keep_ints() -> list:
    # An int of a range this far out has two digits, is made in one allocation and comes from no free list.
    return list(range(1 << 40, (1 << 40) + KEPT))


def main() -> None:
    drop()
    kept = [keep_bytes(), keep_tuples(), keep_points(), keep_ints()]
    say("churn", function="drop", count=ROUNDS * PER_ROUND, size=bytes_size(100))
    for held, function in zip(kept, ("keep_bytes", "keep_tuples", "keep_points", "keep_ints")):
        assert len(held) == KEPT
        say("kept", function=function, count=KEPT, size=sys.getsizeof(held[0]), list=8 * KEPT)


if __name__ == "__main__":
    main()
