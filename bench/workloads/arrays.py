"""NumPy expressions over large arrays: few blocks, each of megabytes, most of them temporary."""

import _cost
import numpy


def work(scale: float) -> int:
    random = numpy.random.default_rng(7)
    values = random.standard_normal(1_000_000)
    total = 0.0
    for turn in range(int(70 * scale) or 1):
        scaled = (values - values.mean()) / (values.std() + turn)
        kept = scaled[scaled > 0.1]
        total += float(numpy.sqrt(kept * 2.0 + 1.0).sum())
    return int(total)


_cost.run(work)
