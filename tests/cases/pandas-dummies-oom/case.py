"""One-hot encoding of a column with thousands of values, under a limit of address space.

The program sets RLIMIT_AS itself, as a batch system would; MemoryError reaches the top and it ends with status 1.

bad:  dense dummies of 5,000 columns
good: sparse=True
"""
import resource
import sys
import numpy as np
import pandas as pd

LIMIT = 1 << 30


def encode(codes, sparse):
    return pd.get_dummies(codes, sparse=sparse, dtype=np.float64)


def main(variant):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
    rng = np.random.default_rng(3)
    history = []
    for month in range(12):
        codes = pd.Series(rng.integers(0, 1000, 15_000).astype(str))
        history.append(encode(codes, variant == "good"))
    print(len(history), history[0].shape[0])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
