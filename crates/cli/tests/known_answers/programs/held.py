"""Memory that is held, each kind by one holder. States each (`holder`: what it is called, and about how many bytes it holds),
and takes a snapshot in the function that has them all as local variables.

With `numpy`: arrays, their views, and cycles through arrays of objects, which the collector never frees (`uncollectable`).
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import sys
import weakref

import deadweight

MIB = 1024 * 1024
DEPTH = 100_000


class Node:
    __slots__ = ("next",)

    def __init__(self, following: object) -> None:
        self.next = following


class Owner:
    def __init__(self, data: object) -> None:
        self.data = data


class Looker:
    """Sees the data, and does not hold it."""

    def __init__(self, owner: Owner) -> None:
        self.owner = weakref.ref(owner)


def linked_list() -> Node:
    """Its last node holds what most of it weighs."""
    first: object = bytes(16 * MIB)
    for _ in range(DEPTH):
        first = Node(first)
    return first  # type: ignore[return-value]


@functools.lru_cache(maxsize=100)
def cached(number: int) -> bytes:
    return bytes(MIB)


def produce(data: bytes):
    yield len(data)
    yield data


def malloc(size: int) -> ctypes.c_void_p:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    return ctypes.c_void_p(libc.malloc(size))


def behind(block: ctypes.c_void_p) -> ctypes.c_void_p:
    """What has the block by way of two small structures, which a sampled run seldom records."""
    for _ in range(2):
        structure = malloc(48)
        ctypes.memset(structure, 0, 48)
        ctypes.c_uint64.from_address((structure.value or 0) + 16).value = block.value or 0
        block = structure
    return block


def say(**fact: object) -> None:
    print(json.dumps(fact), flush=True)


def holder(name: str, megabytes: float) -> None:
    say(expect="holder", name=name, bytes=int(megabytes * MIB))


def hold() -> None:
    chain = linked_list()
    # Its end, where most of it is.
    holder("chain", 16)
    owner = Owner(bytearray(40 * MIB))
    holder("owner", 40)
    # Loops, because up to 3.11 a comprehension would make a cell of what it uses.
    views, watching = [], []
    for i in range(0, 40 * MIB, MIB):
        views.append(memoryview(owner.data)[i : i + MIB])  # type: ignore[arg-type]
        watching.append(Looker(owner))
    block = malloc(50 * MIB)
    holder("block", 50)
    running = produce(bytes(30 * MIB))
    next(running)
    holder("running", 30)
    table = {"rows": [bytes(MIB) for _ in range(20)]}
    holder("table", 20)
    bound = Owner(bytes(12 * MIB)).__init__
    holder("bound", 12)
    later = functools.partial(len, bytes(13 * MIB))
    holder("later", 13)
    secret = bytes(14 * MIB)
    holder("secret", 14)
    closure = lambda: secret  # noqa: E731
    hidden = behind(malloc(41 * MIB))
    holder("hidden", 41)
    for i in range(22):
        cached(i)
    holder("cached", 22)
    deadweight.snapshot("held")
    print(len(views), len(watching), block, running, len(table), bound, later, closure, chain, hidden)


def take() -> None:
    gc.collect()
    hold()


class Framed:
    """Knows the array that knows it: as an accessor of a data frame."""

    def __init__(self, numpy) -> None:
        self.data = numpy.ones(MIB // 8)
        self.cells = numpy.array([self, None], dtype=object)


def with_numpy() -> None:
    import numpy

    big = numpy.ones(80 * MIB // 8)
    views = []
    for i in range(0, len(big), 1000):
        views.append(big[i : i + 1000])
    holder("big", 80)
    for _ in range(10):
        Framed(numpy)
    gc.collect()
    found = sum(isinstance(o, Framed) for o in gc.get_objects())
    say(expect="uncollectable", type="__main__.Framed", instances=found, bytes=found * MIB)
    deadweight.snapshot("held")
    print(len(views), big.sum())


if __name__ == "__main__":
    if sys.argv[1:] == ["numpy"]:
        with_numpy()
    else:
        take()
