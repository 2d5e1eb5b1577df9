"""A `ProcessPoolExecutor` in the interpreter's default start method (fork to 3.13, forkserver from 3.14).

Truth: as in the pool programs, four workers hold 24, 25, 26 and 27 MiB in `hold` at the same time for half a second, and the
parent 10 MiB in `main`.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pooled
from truth import MIB, malloc_size


def main() -> None:
    mine = bytearray(10 * MIB)
    barrier = multiprocessing.Barrier(len(pooled.SIZES))
    with ProcessPoolExecutor(len(pooled.SIZES), initializer=pooled.set_up, initargs=(barrier,)) as executor:
        answers = list(executor.map(pooled.hold, pooled.SIZES))
    pooled.state(answers, malloc_size(len(mine)))


if __name__ == "__main__":
    main()
