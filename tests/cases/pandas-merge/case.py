"""A join whose key is not unique on either side: the product of the two sides is built, then grouped again.

Nothing leaks: the joined frame is freed as soon as its sums are taken.

bad:  merge, then groupby
good: each side is grouped before the merge
"""
import sys
import time
import numpy as np
import pandas as pd

KEYS, ROWS = 120, 20_000


def make(seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"key": rng.integers(0, KEYS, ROWS), "value": rng.random(ROWS)})


def total_bad(orders, visits):
    joined = orders.merge(visits, on="key", suffixes=("_order", "_visit"))
    return float((joined["value_order"] * joined["value_visit"]).sum())


def total_good(orders, visits):
    sums = orders.groupby("key")["value"].sum()
    return float((sums * visits.groupby("key")["value"].sum()).sum())


def main(variant):
    orders, visits = make(1), make(2)
    total = total_bad(orders, visits) if variant == "bad" else total_good(orders, visits)
    for _ in range(10):                       # the rest of the program
        time.sleep(0.1)
    print(round(total))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
