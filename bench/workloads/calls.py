"""Twelve million calls of an empty function: nothing is allocated, so nothing should cost anything."""

import itertools

import _cost


def nothing(a: object, b: object) -> None:
    """Does nothing."""


def calls(count: int) -> None:
    for _ in itertools.repeat(None, count):  # range() would make an int for every turn
        nothing(None, None)


def work(scale: float) -> int:
    for _ in range(40):
        calls(int(300_000 * scale))
    return 0


_cost.run(work)
