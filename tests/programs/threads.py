"""Eight threads, each holding a block of its own size at the same time.

Truth: at the peak all eight blocks of `hold` are live, 4 to 11 MiB, and the 3 MiB of `main`.
"""

from __future__ import annotations

import threading

from truth import MIB, malloc_size, say

SIZES = [mib * MIB for mib in range(4, 12)]


def hold(size: int, all_hold: threading.Barrier) -> None:
    block = bytearray(size)
    all_hold.wait()
    del block


def main() -> None:
    mine = bytearray(3 * MIB)
    all_hold = threading.Barrier(len(SIZES))
    workers = [threading.Thread(target=hold, args=(size, all_hold), name=f"hold-{size}") for size in SIZES]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    held, own = sum(map(malloc_size, SIZES)), malloc_size(len(mine))
    say("peak", bytes=held + own, functions={"hold": held, "main": own}, sizes=sorted(map(malloc_size, SIZES)))


if __name__ == "__main__":
    main()
