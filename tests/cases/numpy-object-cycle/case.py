"""Nodes of a grid that keep their neighbours in numpy object arrays (numpy issue 6581).

numpy.ndarray has no tp_traverse: the collector cannot see what an object array holds, so a cycle through one is
never freed.

bad:  neighbours in numpy arrays of dtype object
good: neighbours in lists
"""
import gc
import sys
import numpy as np


class Cell:
    def __init__(self, samples):
        self.samples = samples
        self.neighbours = None


def make_grid(variant, seed):
    rng = np.random.default_rng(seed)
    cells = [Cell(rng.random(4096)) for _ in range(64)]                  # 32 KiB each
    for i, cell in enumerate(cells):
        near = [cells[i - 1], cells[(i + 1) % len(cells)]]
        if variant == "bad":
            cell.neighbours = np.empty(2, dtype=object)
            cell.neighbours[:] = near
        else:
            cell.neighbours = near
    return cells


def relax(variant, seed):
    grid = make_grid(variant, seed)
    total = sum(float(c.samples.mean() - c.neighbours[0].samples.mean()) for c in grid)
    return abs(total) < 1e-6


def main(variant, rounds):
    done = 0
    for seed in range(rounds):
        done += relax(variant, seed)
        gc.collect()
    print("relaxed", done)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 160)
