"""pandas: group, merge and sort tables of 300 000 rows."""

import _cost
import numpy
import pandas


def work(scale: float) -> int:
    rows = 300_000
    random = numpy.random.default_rng(11)
    table = pandas.DataFrame(
        {
            "key": random.integers(0, 5_000, rows),
            "group": random.integers(0, 50, rows),
            "value": random.standard_normal(rows),
        }
    )
    names = pandas.DataFrame({"key": numpy.arange(5_000), "name": ["name %d" % i for i in range(5_000)]})
    total = 0
    for _ in range(int(6 * scale) or 1):
        sums = table.groupby(["key", "group"]).agg({"value": ["mean", "sum", "count"]})
        merged = table.merge(names, on="key")
        ordered = merged.sort_values(["group", "value"])
        total += len(sums) + len(ordered) + int(ordered["value"].iloc[0] * 1_000)
    return total


_cost.run(work)
