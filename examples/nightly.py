"""A nightly benchmark that needs four times the memory it should. Try it with `deadweight run`.

Each round times a few made-up endpoints and puts the samples into a `Table`. A round's table is dropped when its summary
is made, so only one should ever be alive. Two things are wrong:

1. `Table.accessor` is an object that points back at its table. The two keep each other alive after the round, until
   Python's cycle collector happens to run. It counts objects, not bytes, and a table is a handful of lists full of floats,
   so it does not run in time and every round's table is still there at the end. Cure: let the accessor hold a weak
   reference, or make it anew for each use.
2. `publish` ranks and formats all samples in one expression, so a sorted copy of the list and a string for each sample
   exist at the same time. Cure: sort in place and write line by line.
"""

from __future__ import annotations

import os
import random
import statistics
from typing import Iterable

ROUNDS = 24
SAMPLES = 45_000  # of each endpoint in each round
ENDPOINTS = ("search", "checkout", "profile", "upload")
KEPT_FOR_REPORT = 6_000  # of each endpoint in each round


class Accessor:
    """Statistics over a table, in the style `table.accessor.median("search")`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def median(self, endpoint: str) -> float:
        return statistics.median(self._table.columns[endpoint])


class Table:
    """One round's samples, a column for each endpoint."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.columns: dict[str, list[float]] = {}
        self.accessor = Accessor(self)


def time_endpoint(dice: random.Random, endpoint: str) -> list[float]:
    """Stands for real measuring: latencies in milliseconds, with a long tail."""
    return [len(endpoint) * dice.lognormvariate(0.0, 0.5) for _ in range(SAMPLES)]


def measure(number: int) -> Table:
    dice = random.Random(number)
    table = Table(number)
    for endpoint in ENDPOINTS:
        table.columns[endpoint] = time_endpoint(dice, endpoint)
    return table


def summarise(table: Table) -> str:
    medians = (f"{endpoint} {table.accessor.median(endpoint):.1f} ms" for endpoint in ENDPOINTS)
    return f"round {table.number:2}: " + ", ".join(medians)


def publish(history: Iterable[float], path: str) -> int:
    """Writes all kept samples, slowest first, and returns how many characters that took."""
    text = "\n".join([f"{sample:.3f}" for sample in sorted(list(history), reverse=True)])
    with open(path, "w", encoding="ascii") as file:
        return file.write(text)


def main() -> None:
    history: list[float] = []
    for number in range(ROUNDS):
        table = measure(number)
        print(summarise(table))
        for column in table.columns.values():
            history.extend(column[:KEPT_FOR_REPORT])
    written = publish(history, os.devnull)
    print(f"{len(history)} samples published, {written} characters")


if __name__ == "__main__":
    main()
