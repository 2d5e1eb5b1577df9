"""The start of a data program: nothing but the import of NumPy and pandas."""

import _cost


def work(scale: float) -> int:
    import numpy
    import pandas

    return len(numpy.__name__) + len(pandas.__name__)


_cost.run(work)
