"""A parent that only sums small numbers, and a joblib worker that builds large arrays for them.

Nothing leaks; the memory is the worker's.

bad:  each task takes its whole series into memory at once
good: each task takes it in blocks
"""
import sys
import numpy as np
from joblib import Parallel, delayed

SAMPLES, BLOCK = 24_000_000, 250_000


def energy(seed, block):
    rng = np.random.default_rng(seed)
    total, left = 0.0, SAMPLES
    while left:
        count = min(block, left)
        series = rng.standard_normal(count)
        total += float(np.square(series).sum())
        left -= count
    return total


def main(variant):
    block = SAMPLES if variant == "bad" else BLOCK
    sums = Parallel(n_jobs=2, batch_size=1)(delayed(energy)(seed, block) for seed in range(4))
    print(round(sum(sums)))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
