"""Runs out of memory in different ways, and says before each step how much it holds.

Usage: out_of_memory.py WAY. Ways: `single` grows until it is killed; `near` grows to 240 MiB, stays there for three seconds
while it makes and drops blocks, and goes on; `one_call` asks for more than there is in one call; `many` fills a list of small
objects in one call; `cycles` drops pairs of objects that keep each other alive, with the collector off; `child` has a pool whose second worker grows; `caught` meets its limit of address space and goes on;
`uncaught` does not.
"""

from __future__ import annotations

import gc
import os
import sys
import time

MIB = 1 << 20
BLOCK = MIB


def say(word: str, number: int) -> None:
    # The pipe has it even if this process is gone in the next moment.
    os.write(1, f"{word} {number}\n".encode())


def grow(limit: int) -> list[bytearray]:
    held: list[bytearray] = []
    while len(held) * BLOCK < limit:
        held.append(bytearray(b"x") * BLOCK)
        say("held", len(held) * BLOCK)
    return held


def near() -> None:
    held = grow(240 * MIB)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        dropped = [bytearray(b"y") * BLOCK for _ in range(8)]
        time.sleep(0.01)
        del dropped
    say("going on", len(held))
    held += grow(1 << 40)


def one_call() -> bytearray:
    say("asking", 1024 * MIB)
    return bytearray(b"x") * (1024 * MIB)


def many() -> list[complex]:
    return list(map(complex, range(1 << 30)))  # 32 bytes each, nothing lost between them


class Node:
    def __init__(self) -> None:
        self.data = b"x" * 100_000
        self.owner = Owner(self)


class Owner:
    def __init__(self, node: Node) -> None:
        self.node = node


def cycles() -> None:
    gc.disable()
    begun, made = time.monotonic(), 0
    while True:
        Node()
        made += 100_000
        # 80 MiB a second: a busy machine writes a snapshot meanwhile.
        ahead = made / (80 * MIB) - (time.monotonic() - begun)
        if ahead > 0.002:
            time.sleep(ahead)


def work(limit: int) -> int:
    say("worker", os.getpid())
    return len(grow(limit))


def child() -> None:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(work, (limit,)) for limit in (8 * MIB, 1 << 40)]
        say("fine", results[0].get(timeout=10))
        workers = {worker.pid for worker in pool._pool}
        end = time.monotonic() + 12
        # The pool puts another worker in the place of one that was killed.
        while workers == {worker.pid for worker in pool._pool} and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(3)
        say("lost", int(not results[1].ready()))


def limited() -> bytearray:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1024 * MIB, 1024 * MIB))
    time.sleep(0.8)  # long enough to be seen from outside
    return bytearray(4096 * MIB)


def caught() -> None:
    try:
        limited()
    except MemoryError:
        say("caught", 0)


WAYS = {
    "single": lambda: grow(1 << 40),
    "near": near,
    "one_call": one_call,
    "many": many,
    "child": child,
    "cycles": cycles,
    "caught": caught,
    "uncaught": limited,
}

if __name__ == "__main__":
    kept = WAYS[sys.argv[1]]()
